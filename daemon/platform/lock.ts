/**
 * The one daemon of a user holds an flock on the lock file (IP-04). The kernel frees it when the process ends,
 * however it ends; libuv opens every file O_CLOEXEC, so no child keeps it. The file is never unlinked: two
 * daemons could then each hold "the" lock, on different files.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, lstatSync, openSync, writeSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { constants as os } from 'node:os';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { diskStep } from '../core/disk-step.ts';
import { BrokerError } from '../core/errors.ts';
import type { LockRecord } from './lock-record.ts';
import { loadNative } from './native.ts';
import type { Native } from './native.ts';

export type Lock = {
  /** Replaces the record; durable when it returns. Throws vault_unwritable. */
  write(record: LockRecord): void;
  /** Empties the record and frees the lock. */
  release(): void;
  /** For a successor, which then holds the same lock. */
  readonly descriptor: number;
  /** Where it came from another process, the kernel goes on to name that one as the holder; this says who it is now. */
  claim(): void;
};

const FLOCK = 'int flock(int, int)';
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** A file that keeps being replaced under us is an attack or a loop, not a race. */
const ATTEMPTS = 5;

/** Null where another process holds it. The directory is private: see private-dir.ts. */
export function tryLock(path: string, native: Native = loadNative()): Lock | null {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const fd = openLockFile(path);
    if (!isLocked(fd, path, native)) {
      closeSync(fd);
      return null;
    }
    // Between open and flock the file may have been removed (a purge) and made anew by another daemon.
    if (isSameFile(fstatSync(fd), lstatSync(path, { throwIfNoEntry: false }))) return lockOn(fd, path, native);
    closeSync(fd);
  }
  throw new BrokerError('runtime_dir_untrusted', `${path} is replaced again and again`);
}

/** The lock that the daemon before this one holds, and has left open for it. Throws runtime_dir_untrusted for another file, or one that is not locked by it. */
export function inheritLock(fd: number, path: string, native: Native = loadNative()): Lock {
  const file = fstatSync(fd);
  // On the same open file a second flock changes nothing; on any other it would fail.
  if (file.isFile() && isSameFile(file, lstatSync(path, { throwIfNoEntry: false })) && isLocked(fd, path, native)) return lockOn(fd, path, native);
  throw new BrokerError('runtime_dir_untrusted', `descriptor ${fd} is not the lock ${path}`);
}

function openLockFile(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  } catch (cause) {
    throw refusedOpen(path, cause);
  }
  const file = fstatSync(fd);
  if (file.isFile() && file.uid === process.geteuid?.() && (file.mode & 0o077) === 0) return fd;
  closeSync(fd);
  throw new BrokerError('runtime_dir_untrusted', `${path} is not a file of this user with mode 0600`);
}

/** A file of somebody else refuses as a directory that cannot be written does. */
function refusedOpen(path: string, cause: unknown): BrokerError {
  const code = errorName(cause);
  const hint = diskStep(code, dirname(path));
  const owner = code === 'EACCES' ? ownerOf(path) : null;
  if (owner !== null && owner !== process.geteuid?.()) return new BrokerError('runtime_dir_untrusted', `${path} is owned by uid ${owner}`, { cause });
  return hint === null
    ? new BrokerError('runtime_dir_untrusted', `${path} cannot be opened: ${code}`, { cause })
    : new BrokerError('vault_unwritable', `${path} cannot be opened for writing: ${code}`, { hint, cause });
}

/** Null where there is no file, or its directory cannot be looked into either. */
function ownerOf(path: string): number | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.uid ?? null;
  } catch (cause) {
    if (errorName(cause) === 'EACCES') return null;
    throw cause;
  }
}

function isLocked(fd: number, path: string, native: Native): boolean {
  const result = native.call(FLOCK, fd, LOCK_EX | LOCK_NB);
  if (result === 0) return true;
  if (result === -os.errno.EWOULDBLOCK) return false;
  closeSync(fd);
  throw new BrokerError('runtime_dir_untrusted', `${path} cannot be locked: ${getSystemErrorName(result)}`);
}

function isSameFile(a: Stats, b: Stats | undefined): boolean {
  return b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

function lockOn(fd: number, path: string, native: Native): Lock {
  let held = true;
  const onDisk = (work: () => void): void => {
    try {
      work();
    } catch (cause) {
      const code = errorName(cause);
      const hint = diskStep(code, path);
      throw new BrokerError('vault_unwritable', `${path} cannot be written: ${code}`, hint === null ? { cause } : { hint, cause });
    }
  };
  return {
    descriptor: fd,
    claim() {
      // By way of a shared lock, which keeps everybody else out as well: they all ask for an exclusive one.
      for (const kind of [LOCK_SH, LOCK_EX]) native.call(FLOCK, fd, kind | LOCK_NB);
    },
    write(record) {
      if (!held) throw new Error('the lock was released');
      onDisk(() => {
        ftruncateSync(fd, 0);
        // @fault-sync lock.truncated
        writeSync(fd, `${JSON.stringify(record)}\n`, 0);
        // @fault-sync lock.written
        fsyncSync(fd);
        // @fault-sync lock.synced
      });
    },
    release() {
      if (!held) return;
      held = false;
      try {
        onDisk(() => ftruncateSync(fd, 0));
      } finally {
        closeSync(fd);
      }
    },
  };
}

function errorName(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
