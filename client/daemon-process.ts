/**
 * The daemon as a process, where its socket does not lead to it: whoever cleans a runtime directory takes the
 * socket and leaves the daemon, which still holds the lock, so that no other can start.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { readLockRecord } from './find-socket.ts';
import type { LockRecord } from './find-socket.ts';
import type { Paths } from '../shared/paths.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** Signal 0 only asks. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH, or EPERM: somebody else's, so the pid was given away since
  }
}

/** The record is a hint, and its pid may have been given to another program since: Linux alone tells. */
function isDaemon(pid: number, uid: number): boolean {
  try {
    const owner = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    // The program itself, or the script of an interpreter: not whatever file some program was given.
    const script = words.slice(1).find((word) => !word.startsWith('-')) ?? '';
    const isNode = /(?:^|\/)node[\w.-]*$/.test(words[0] ?? '');
    const name = isNode ? script : words[0] ?? '';
    return Number(owner) === uid && /(?:^|\/)(?:valetkeyd(?:\.cjs)?|daemon\/main\.js)$/.test(name);
  } catch {
    return false; // it ended in this moment, or /proc hides it: then it is not known to be ours
  }
}

export function isRunning(pid: number, uid: number): boolean {
  return pid > 1 && isAlive(pid) && (process.platform !== 'linux' || isDaemon(pid, uid));
}

/** The daemon that the lock record names, if that process lives and may be it. */
export function livingDaemon(paths: Pick<Paths, 'lockFile'>, uid: number): LockRecord | null {
  const record = readLockRecord(paths.lockFile, uid);
  return record !== null && isRunning(record.pid, uid) ? record : null;
}

/** It emptied its record and ended. A daemon that was killed leaves its record behind. */
export function hasLeft(paths: Pick<Paths, 'lockFile'>): boolean {
  return lstatSync(paths.lockFile, { throwIfNoEntry: false })?.size === 0;
}

/** A daemon takes away the socket that it made; what is there without one is a supervisor's. */
export function isSocketHeld(paths: Pick<Paths, 'lockFile' | 'socket'>): boolean {
  return hasLeft(paths) && existsSync(paths.socket);
}

/** Said where nobody answers; null if no daemon runs. */
export function socketGone(paths: Pick<Paths, 'lockFile'>, uid: number): ValetkeyError | null {
  const daemon = livingDaemon(paths, uid);
  if (daemon === null) return null;
  const what = existsSync(daemon.socket) ? `does not answer on ${daemon.socket}` : `its socket ${daemon.socket} is gone`;
  return ValetkeyError.local('daemon_unreachable', `daemon ${daemon.pid} runs, but ${what}`, { hint: `If it is ending it is gone within a minute; else run: kill ${daemon.pid}, then the command again` });
}
