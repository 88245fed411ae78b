/**
 * Finds the daemon's socket and proves that it is this user's own before anything is sent to it (IP-06):
 * another user who plants a socket where ours would be gets no connection, no profile name and no
 * passphrase. The directory has to be ours with mode 0700, so that nobody else can change what is in it
 * between the look and the connect.
 */
import { lstatSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import type { Paths } from '../shared/paths.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** What the running daemon writes into its lock file, as far as a client needs it. */
export type LockRecord = {
  readonly pid: number;
  readonly socket: string;
  readonly version: string;
};

const LOCK_RECORD_MAX = 4096;
const PROBE_TIMEOUT_MS = 1_000;

function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (cause) {
    throw ValetkeyError.local('server_untrusted', `${path} cannot be looked at; nothing was sent`, { cause }); // EACCES, ELOOP, …
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

/** Where the daemon may listen, the likeliest first. cron and su find it by the lock record alone. */
export function socketCandidates(paths: Pick<Paths, 'lockFile' | 'socket'>, uid: number): readonly string[] {
  const recorded = readLockRecord(paths.lockFile, uid)?.socket;
  return recorded === undefined || recorded === paths.socket ? [paths.socket] : [recorded, paths.socket];
}

function untrusted(path: string, what: string, hint?: string): ValetkeyError {
  return ValetkeyError.local('server_untrusted', `${path} ${what}; nothing was sent`, hint === undefined ? {} : { hint });
}

/**
 * @returns false if there is no socket.
 * @throws ValetkeyError `server_untrusted`
 */
export function isOwnSocket(socket: string, uid: number): boolean {
  if (socket.startsWith('\\\\.\\pipe\\')) return true; // experimental: a named pipe has no mode to look at
  const directory = dirname(socket);
  const dir = lookAt(directory);
  if (dir === null) return false;
  if (!dir.isDirectory()) throw untrusted(directory, 'is not a directory');
  if (dir.uid !== uid) throw untrusted(directory, `belongs to user ${dir.uid}`);
  if ((dir.mode & 0o777) !== 0o700) throw untrusted(directory, `has mode ${octal(dir.mode)} instead of 0700`, `Run: chmod 0700 ${directory}`);
  const file = lookAt(socket);
  if (file === null) return false;
  if (!file.isSocket()) throw untrusted(socket, 'is not a socket');
  if (file.uid !== uid) throw untrusted(socket, `belongs to user ${file.uid}`);
  if ((file.mode & 0o777) !== 0o600) throw untrusted(socket, `has mode ${octal(file.mode)} instead of 0600`, `Run: chmod 0600 ${socket}`);
  return true;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** Does somebody accept there? Sends nothing. */
async function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path: socket });
    const settle = (live: boolean) => {
      probe.destroy();
      resolve(live);
    };
    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle(false));
    probe.once('connect', () => settle(true));
    probe.once('error', () => settle(false));
  });
}

/** The first own socket on which a daemon accepts; null if there is none. */
export async function findLiveSocket(paths: Pick<Paths, 'lockFile' | 'socket'>, uid: number): Promise<string | null> {
  for (const socket of socketCandidates(paths, uid)) {
    if (isOwnSocket(socket, uid) && await accepts(socket)) return socket;
  }
  return null;
}
