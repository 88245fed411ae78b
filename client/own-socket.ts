/**
 * Where the daemon may listen, and the proof that such a place is this user's own before anything is sent to it
 * (IP-06): another user who plants a socket where ours would be gets no connection, no profile name and no
 * passphrase. The directory has to be ours with mode 0700, so that nobody else can change what is in it
 * between the look and the connect. client/launcher/find_socket.c looks in the same way.
 */
import { lstatSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Paths } from '../shared/paths.ts';

/** What the running daemon writes into its lock file, as far as a client needs it. */
export type LockRecord = {
  readonly pid: number;
  readonly socket: string;
  readonly version: string;
};

/** Something else is where the daemon's own should be. A class of its own: the fast entry loads no table of errors. */
export class UntrustedPath extends Error {
  readonly path: string;
  readonly hint: string | null;

  constructor(path: string, what: string, hint: string | null = null, cause?: unknown) {
    super(`${path} ${what}; nothing was sent`, cause === undefined ? undefined : { cause });
    this.path = path;
    this.hint = hint;
  }
}

const LOCK_RECORD_MAX = 4096;

function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (cause) {
    throw new UntrustedPath(path, 'cannot be looked at', null, cause); // EACCES, ELOOP, …
  }
}

/**
 * The record may be stale, empty or torn at any moment, and is then null: the caller falls back to the
 * default path. A lock file that others may write says nothing at all.
 */
export function readLockRecord(lockFile: string, uid: number): LockRecord | null {
  const stats = lookAt(lockFile);
  if (stats === null || !stats.isFile() || stats.uid !== uid || (stats.mode & 0o022) !== 0 || stats.size > LOCK_RECORD_MAX) return null;
  const record = parseJson(readFileSync(lockFile, 'utf8'));
  if (typeof record !== 'object' || record === null) return null;
  const { pid, socket, version } = record as Partial<Record<keyof LockRecord, unknown>>;
  if (typeof pid !== 'number' || typeof socket !== 'string' || !socket.startsWith('/')) return null;
  return { pid, socket, version: typeof version === 'string' ? version : 'unknown' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // torn: the daemon is writing it, or died while it did
  }
}

const ELSEWHERE = ['SSH_CONNECTION', 'SSH_CLIENT', 'SSH_TTY', 'REMOTE_CONTAINERS', 'CODESPACES', 'KUBERNETES_SERVICE_HOST', 'container'] as const;

/**
 * The broker of another machine, where ssh or a container put its socket here, and this process is in a session of
 * ssh or in a container: a sign-in there is worth more than one here. Then where the own daemon may listen. Who
 * starts or stops a daemon means the own one: socketCandidates().
 */
export function reachableSockets(paths: Pick<Paths, 'lockFile' | 'socket' | 'forwardedSocket'>, uid: number, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const own = socketCandidates(paths, uid);
  const isElsewhere = lookAt(paths.forwardedSocket) !== null && ELSEWHERE.some((name) => (env[name] ?? '') !== '');
  return isElsewhere ? [paths.forwardedSocket, ...own] : own;
}

/** Where the daemon may listen, the likeliest first. cron and su find it by the lock record alone. */
export function socketCandidates(paths: Pick<Paths, 'lockFile' | 'socket'>, uid: number): readonly string[] {
  const recorded = readLockRecord(paths.lockFile, uid)?.socket;
  return recorded === undefined || recorded === paths.socket ? [paths.socket] : [recorded, paths.socket];
}

/**
 * @returns false if there is no socket.
 * @throws UntrustedPath
 */
export function isOwnSocket(socket: string, uid: number): boolean {
  if (socket.startsWith('\\\\.\\pipe\\')) return true; // experimental: a named pipe has no mode to look at
  const directory = dirname(socket);
  const dir = lookAt(directory);
  if (dir === null) return false;
  if (!dir.isDirectory()) throw new UntrustedPath(directory, 'is not a directory');
  if (dir.uid !== uid) throw new UntrustedPath(directory, `belongs to user ${dir.uid}`);
  if ((dir.mode & 0o777) !== 0o700) throw new UntrustedPath(directory, `has mode ${octal(dir.mode)} instead of 0700`, `Run: chmod 0700 ${directory}`);
  const file = lookAt(socket);
  if (file === null) return false;
  if (!file.isSocket()) throw new UntrustedPath(socket, 'is not a socket');
  if (file.uid !== uid) throw new UntrustedPath(socket, `belongs to user ${file.uid}`);
  if ((file.mode & 0o777) !== 0o600) throw new UntrustedPath(socket, `has mode ${octal(file.mode)} instead of 0600`, `Run: chmod 0600 ${socket}`);
  return true;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
