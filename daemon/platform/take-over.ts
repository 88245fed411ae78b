/**
 * A daemon that somebody started on demand gives way to the one that a supervisor starts with its socket: the
 * supervisor has put that socket in the place of the other's, so new clients do not reach the other any more. It is asked to
 * end as `valetkey daemon stop` asks, finishes what is on the wire, and then its lock is free (IP-04). Only one
 * way: a daemon that was not given a socket leaves the one that lives alone.
 */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLockRecord } from './lock-record.ts';
import { tryLock } from './lock.ts';
import type { Lock } from './lock.ts';

/** A drain takes 65 s, and the floors 3 s; the unit's TimeoutStartSec is longer than this. */
const WAIT_MS = 80_000;
const LOOK_MS = 50;

/** Null where it cannot be told who holds the lock, or that one does not end. */
export async function takeOver(lockFile: string, lockHolders: () => string = readLocks): Promise<Lock | null> {
  const pid = holderOf(lockFile, lockHolders());
  if (pid !== null && !ask(pid)) return tryLock(lockFile);
  const rounds = pid === null ? 0 : WAIT_MS / LOOK_MS;
  for (let round = 0; round < rounds; round += 1) {
    const lock = tryLock(lockFile);
    if (lock !== null) return lock;
    await sleep(LOOK_MS);
  }
  return null;
}

/** The process that the record names, if the kernel says that this one holds the lock: the record alone is a hint. */
function holderOf(lockFile: string, locks: string): number | null {
  const record = parseLockRecord(readFileSync(lockFile, 'utf8'), lockFile);
  if (record === null) return null;
  const { ino } = statSync(lockFile);
  // proc_locks(5): "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131074 0 EOF"; the device differs from stat's on some file systems.
  const held = locks.split('\n').some((line) => {
    const [, kind, , , pid, file = ''] = line.trim().split(/\s+/);
    return kind === 'FLOCK' && Number(pid) === record.pid && file.endsWith(`:${ino}`);
  });
  return held ? record.pid : null;
}

function readLocks(): string {
  try {
    return readFileSync('/proc/locks', 'utf8');
  } catch {
    return ''; // not Linux: nobody tells, and the other daemon stays
  }
}

function ask(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM');
  } catch {
    return false; // it ended in this moment
  }
}
