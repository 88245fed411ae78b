/**
 * The few variables of a caller's environment that say where it runs. The rest is dropped as it is read: an
 * environment is full of other people's secrets.
 */
import { CI_VARIABLES, CONTAINER_VARIABLES, IDE_VARIABLES, SSH_VARIABLES } from './facts.ts';
import type { Environment } from './facts.ts';
import { readStrings } from './proc.ts';

const KEPT = new Set<string>([
  ...CI_VARIABLES, ...SSH_VARIABLES, ...CONTAINER_VARIABLES, ...IDE_VARIABLES,
  'WSL_DISTRO_NAME', 'WSL_INTEROP', 'XRDP_SESSION', 'SESSIONNAME',
  'DISPLAY', 'WAYLAND_DISPLAY', 'XDG_SESSION_ID', 'XDG_RUNTIME_DIR', 'XDG_CURRENT_DESKTOP',
  'BROWSER', 'HOME', 'XDG_CONFIG_HOME', 'XDG_CONFIG_DIRS', 'XDG_DATA_HOME', 'XDG_DATA_DIRS',
]);
/** What Linux allows a process with a usual stack (execve(2)). What lies beyond is not looked at. */
const MAX_BYTES = 2 * 1024 * 1024;

/** Null where it cannot be read. */
export async function readEnvironment(pid: number): Promise<Environment | null> {
  const strings = await readStrings(`/proc/${pid}/environ`, MAX_BYTES);
  return strings === null ? null : environmentOf(strings);
}

export function environmentOf(strings: readonly string[]): Environment {
  const pairs = strings.flatMap((text): readonly [string, string][] => {
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(equals, 0));
    return KEPT.has(name) || name.startsWith('ViewClient_') ? [[name, text.slice(equals + 1)]] : [];
  });
  // getenv(3) takes the first of two.
  return new Map(pairs.toReversed());
}
