/**
 * The systemd user unit, where somebody installed it and a user manager runs: then that one starts the daemon,
 * with the sandbox and the environment of the unit, and not we (PH-01).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Owner } from './local-paths.ts';

const UNIT = 'valetkeyd.service';
/** systemd.unit(5): where user units of a person, of the administrator and of packages are. */
export const UNIT_DIRECTORIES = ['/etc/systemd/user', '/run/systemd/user', '/usr/local/lib/systemd/user', '/usr/lib/systemd/user', '/lib/systemd/user'];
/** By its absolute path: a directory of the caller's PATH may be anybody's. */
const SYSTEMCTL = '/usr/bin/systemctl';

export type UserUnit = { readonly file: string; readonly args: readonly string[] };

/** Null where the daemon has to be started as a process of its own. */
export function findUserUnit(owner: Pick<Owner, 'home'>, env: Readonly<Record<string, string | undefined>>, systemctl: string = SYSTEMCTL): UserUnit | null {
  const runtime = env['XDG_RUNTIME_DIR'];
  // The user manager's own socket: without it systemctl would only fail more slowly.
  if (runtime === undefined || !existsSync(join(runtime, 'systemd/private')) || !existsSync(systemctl)) return null;
  const config = env['XDG_CONFIG_HOME'] ?? join(owner.home, '.config');
  const installed = [join(config, 'systemd/user'), ...UNIT_DIRECTORIES].some((directory) => existsSync(join(directory, UNIT)));
  return installed ? { file: systemctl, args: ['--user', '--quiet', 'start', UNIT] } : null;
}
