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

/** (uint32) -1 in /proc/PID/sessionid: no login has set it. */
const NO_AUDIT_SESSION = 4_294_967_295;

/** The kernel's word before the caller's own: the scope that logind made, the audit session, the variable. */
export function sessionIdOf({ unit, auditSession, named }: { readonly unit: string | null; readonly auditSession: string | null; readonly named: string | null }): string | null {
  const scope = /^session-([A-Za-z0-9]+)\.scope$/.exec(unit ?? '')?.[1];
  if (scope !== undefined) return scope;
  const audited = auditSession?.trim() ?? '';
  return /^[1-9]\d*$/.test(audited) && Number(audited) < NO_AUDIT_SESSION ? audited : named;
}

/**
 * The id of the user's graphical session; null: none, or logind does not run. Programs that a desktop starts
 * through systemd --user belong to it, and neither their cgroup nor their audit session says so.
 */
export async function readDesktop(loginctl: Loginctl, uid: number): Promise<string | null> {
  const id = (await loginctl(['show-user', String(uid), '-p', 'Display', '--value']))?.trim() ?? '';
  return SESSION_ID.test(id) ? id : null;
}

/** Null where logind does not run or does not know. */
export async function readLogindSession(loginctl: Loginctl, id: string | null): Promise<LogindSession | null> {
  if (id === null || !SESSION_ID.test(id)) return null;
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
