/** The user's own systemd: two units, the link that enables the socket, and systemctl. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SYSTEMCTL, UNIT, unitDirectories } from '../user-unit.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { marked } from './own-file.ts';
import { shipped } from './supervisor.ts';
import type { Site, Supervisor } from './supervisor.ts';
import { serviceUnit, startOf } from './unit-text.ts';

const SOCKET_UNIT = 'valetkeyd.socket';
const JOURNALCTL = '/usr/bin/journalctl';

export function systemd({ owner, env, run }: Site, systemctl: string = SYSTEMCTL): Supervisor {
  const { own, shared } = unitDirectories(owner, env);
  const base = join(own, '../..');
  const control = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(systemctl, ['--user', ...args]);
    if (status === 0) return stdout;
    const said = stderr.trim().split('\n')[0] ?? '';
    throw ValetkeyError.local('daemon_start_failed', `systemctl --user ${args.join(' ')} ended with ${status ?? 'a signal'}${said === '' ? '' : `: ${said}`}`, { hint: 'Run: valetkey service logs' });
  };
  // What we wrote for this user stands before what a package has for all.
  const packagedIn = existsSync(join(own, UNIT)) ? undefined : shared.find((directory) => existsSync(join(directory, UNIT)));
  const packagedStart = packagedIn === undefined ? null : startOf(readFileSync(join(packagedIn, UNIT), 'utf8'));
  const isThere = (): boolean => env['XDG_RUNTIME_DIR'] !== undefined && existsSync(join(env['XDG_RUNTIME_DIR'], 'systemd/private')) && existsSync(systemctl);
  return {
    name: 'systemd',
    base,
    isThere,
    packaged: packagedIn === undefined || packagedStart === null ? null : { file: join(packagedIn, UNIT), ...packagedStart },
    demand() {
      if (!existsSync(systemctl)) throw ValetkeyError.local('service_unavailable', `there is no ${systemctl}: this system is not run by systemd, and nothing was written`);
      if (isThere()) return;
      throw ValetkeyError.local('service_unavailable', 'no systemd of this user runs in this session (sudo, su and containers have none), and nothing was written', {
        hint: 'Run it in a login session of your own; until then: valetkey daemon start',
      });
    },
    files(program) {
      const wants = join(own, 'sockets.target.wants', SOCKET_UNIT);
      if (packagedIn !== undefined) return [{ kind: 'link', path: wants, target: join(packagedIn, SOCKET_UNIT) }];
      const moved = Object.fromEntries((['XDG_STATE_HOME', 'XDG_CONFIG_HOME'] as const).flatMap((name) => (env[name]?.startsWith('/') === true ? [[name, env[name]]] : [])));
      return [
        { kind: 'text', path: join(own, UNIT), text: marked(serviceUnit(shipped(`systemd/${UNIT}`), program, moved), 'hash'), mode: 0o644 },
        { kind: 'text', path: join(own, SOCKET_UNIT), text: marked(shipped(`systemd/${SOCKET_UNIT}`), 'hash'), mode: 0o644 },
        // As systemctl enable would make it; made here, so that what undoes it knows it.
        { kind: 'link', path: wants, target: join(own, SOCKET_UNIT) },
      ];
    },
    startedBy: () => startOf(readFileSync(join(own, UNIT), 'utf8')),
    async start(changed) {
      await control('daemon-reload');
      await control('reset-failed', SOCKET_UNIT, UNIT).catch(() => undefined); // there was nothing to forget
      await control('start', SOCKET_UNIT);
      if (changed) await control('try-restart', UNIT);
      await control('start', UNIT); // waits for it, and fails if it does
    },
    async stop() {
      if (isThere()) await control('stop', SOCKET_UNIT, UNIT);
    },
    async forget() {
      if (isThere()) await control('daemon-reload');
    },
    async state() {
      if (!isThere()) return null;
      const shown = async (unit: string): Promise<Readonly<Record<string, string>>> => Object.fromEntries(
        (await control('show', unit, '--property=ActiveState,SubState,StatusText,NRestarts')).trim().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      const [socket, service] = await Promise.all([shown(SOCKET_UNIT), shown(UNIT)]);
      return {
        listening: socket['ActiveState'] === 'active', daemon: `${service['ActiveState'] ?? 'unknown'} (${service['SubState'] ?? ''})`,
        says: service['StatusText'] || null, restarts: Number(service['NRestarts'] ?? 0),
      };
    },
    logs: (lines, follows) => ({ file: JOURNALCTL, args: [`--user-unit=${UNIT}`, `--lines=${lines}`, '--no-pager', '--output=cat', ...(follows ? ['--follow'] : [])] }),
  };
}
