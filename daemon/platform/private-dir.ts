/**
 * A directory that nobody but its user can read, and that nobody but its user and root can put another in
 * place of (IP-01, IP-02). Everything is verified by lstat, component by component from the root down, as the
 * kernel walks; links on the way are followed only where nobody else could have planted or could move them.
 */
import { lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { diskStep } from '../core/disk-step.ts';
import { BrokerError } from '../core/errors.ts';
import { isPrivateGroup } from './private-group.ts';

/** As the kernel's own limit (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Makes the directory, and what is missing above it, with mode 0700; or verifies it.
 * Throws BrokerError runtime_dir_untrusted, or vault_unwritable where the disk refuses; both name the path and
 * the fact.
 */
export function ensurePrivateDir(path: string, uid: number): void {
  if (!path.startsWith('/') || path.includes('\0')) throw untrusted(path, 'is not an absolute path');
  const names = split(path);
  if (names.length === 0 || names.includes('..')) throw untrusted(path, 'cannot be a private directory');
  const plain = `/${names.join('/')}`;
  walk(split(dirname(plain)), uid);
  const directory = lstatOrMake(plain);
  if (!directory.isDirectory()) throw untrusted(plain, directory.isSymbolicLink() ? 'is a symbolic link' : 'is not a directory');
  if (directory.uid !== uid) throw untrusted(plain, `is owned by uid ${directory.uid}`);
  if ((directory.mode & 0o077) !== 0) throw untrusted(plain, `has mode ${octal(directory)}`, `Run: chmod 700 ${plain}`);
}

/** Verifies every directory on the way, and every directory that a link on the way leads through. */
function walk(names: readonly string[], uid: number): void {
  const ahead = [...names];
  let current = '/';
  let links = 0;
  verifyStep(current, lstatOrMake(current), uid);
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    const next = join(current, name);
    const entry = lstatOrMake(next);
    if (entry.isSymbolicLink()) {
      if (entry.uid !== 0 && entry.uid !== uid) throw untrusted(next, `is a link that is owned by uid ${entry.uid}`);
      links += 1;
      if (links > MAX_LINKS) throw untrusted(next, 'is a loop of symbolic links');
      const target = readlinkSync(next);
      ahead.unshift(...split(target));
      if (target.startsWith('/')) current = '/';
    } else {
      verifyStep(next, entry, uid);
      current = next;
    }
  }
}

function verifyStep(path: string, entry: Stats, uid: number): void {
  if (!entry.isDirectory()) throw untrusted(path, 'is not a directory');
  if (entry.uid !== 0 && entry.uid !== uid) throw untrusted(path, `is owned by uid ${entry.uid}`);
  const writers = entry.mode & 0o022;
  if (writers === 0) return;
  // Sticky and root's, like /tmp: others may add entries there, but not move ours.
  if (entry.uid === 0 && (entry.mode & 0o1000) !== 0) return;
  // Where every user has a group of his own, umask 002 is usual and harmless.
  if (writers === 0o020 && entry.uid === uid && isPrivateGroup(entry.gid, uid)) return;
  throw untrusted(path, `has mode ${octal(entry)}: others could replace what is in it`, `Run: chmod go-w ${path}`);
}

function lstatOrMake(path: string): Stats {
  try {
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry !== undefined) return entry;
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'an error';
    // EEXIST: another daemon that is starting was faster; what it made is checked like any other.
    if (code !== 'EEXIST') throw refused(path, code, cause);
  }
  return lstatSync(path);
}

function split(path: string): readonly string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function refused(path: string, code: string, cause: unknown): BrokerError {
  // What has to change for an entry to be made or seen is the directory that it is in.
  const hint = diskStep(code, dirname(path));
  return hint === null
    ? untrusted(path, `cannot be used: ${code}`, null, cause)
    : new BrokerError('vault_unwritable', `${path} cannot be made or looked at: ${code}`, { hint, cause });
}

function untrusted(path: string, fact: string, hint: string | null = null, cause?: unknown): BrokerError {
  return new BrokerError('runtime_dir_untrusted', `${path} ${fact}`, hint === null ? { cause } : { hint, cause });
}

function octal(entry: Stats): string {
  return (entry.mode & 0o7777).toString(8).padStart(4, '0');
}
