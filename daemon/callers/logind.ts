/**
 * What systemd-logind says of a login session, by loginctl: its output with -p is a stable interface, and a
 * process of its own that is late can be ended without harm. Asked only where logind runs, at logins only.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { readText } from './proc.ts';

export type LogindSession = {
  readonly isActive: boolean;
  readonly isRemote: boolean;
  /** tty, x11, wayland, mir, unspecified. */
  readonly type: string;
  /** user, greeter, background, manager, … */
  readonly class: string;
};

/** Output of loginctl with these arguments; null where it fails or is late. */
export type Loginctl = (args: readonly string[]) => Promise<string | null>;

const DEADLINE_MS = 2000;
const SESSION_ID = /^[A-Za-z0-9]{1,32}$/;

export async function runLoginctl(args: readonly string[]): Promise<string | null> {
  // Without logind, loginctl would only fail more slowly. A seat is there while it runs; images of containers
  // bring the empty directory.
  if ((await namesIn('/run/systemd/seats')).length === 0) return null;
  const options = {
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 65_536,
    // Nothing of the daemon's environment: the bus is the system's, and the words are English.
    env: { PATH: '/usr/bin:/bin:/run/current-system/sw/bin', LC_ALL: 'C' },
  } as const;
  return new Promise((done) => {
    execFile('loginctl', ['--no-pager', ...args], options, (error, stdout) => done(error === null ? stdout : null));
  });
}

/**
 * The session that the caller names, else the user's graphical one: programs that a desktop starts through
 * systemd --user have no XDG_SESSION_ID. Null where logind does not run or does not know.
 */
export async function readLogindSession(
  loginctl: Loginctl,
  caller: { readonly sessionId: string | null; readonly uid: number; readonly hasDisplay: boolean },
): Promise<LogindSession | null> {
  const named = caller.sessionId ?? (caller.hasDisplay ? await loginctl(['show-user', String(caller.uid), '-p', 'Display', '--value']) : null);
  const id = named?.trim() ?? '';
  if (!SESSION_ID.test(id)) return null;
  const text = await loginctl(['show-session', id, '-p', 'Active', '-p', 'Remote', '-p', 'Type', '-p', 'Class']);
  return text === null ? null : parseSession(text);
}

export function parseSession(text: string): LogindSession | null {
  const values = new Map(text.split('\n').map((line) => [line.replace(/=.*/s, ''), line.replace(/^[^=]*=/, '')]));
  const active = values.get('Active');
  if (active === undefined) return null;
  return {
    isActive: active === 'yes',
    isRemote: values.get('Remote') === 'yes',
    type: values.get('Type') ?? '',
    class: values.get('Class') ?? '',
  };
}

/** Users with a session of their own; lingering users and those of greeters are not at the machine. */
export async function countInteractiveUsers(directory = '/run/systemd/users'): Promise<number> {
  const uids = (await namesIn(directory)).filter((name) => Number(name) >= 1000 || name === '0');
  const states = await Promise.all(uids.map((uid) => readText(`${directory}/${uid}`, 16_384)));
  return states.filter((text) => /^STATE=(active|online)$/m.test(text ?? '')).length;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES')) return [];
    throw error;
  }
}
