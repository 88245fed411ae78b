/**
 * A file that nobody but its user and root can change, or put another in the place of: it is theirs, nobody else may
 * write it, and the same holds for every directory on the way to it, and on the way of every link. Looked at
 * by lstat, component by component from the root down, as the kernel walks.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPrivateGroup } from './private-group.ts';

/** As the kernel's own limit (path_resolution(7)). */
const LINKS_MAX = 40;
const STICKY = 0o1000;

/** @returns what is wrong with it, in words; null: nothing. */
export function whyUntrusted(path: string, uid: number): string | null {
  if (!path.startsWith('/') || path.includes('\0')) return `${path} is not an absolute path`;
  const ahead = split(path);
  let current = '/';
  let links = 0;
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    // What is behind us are real directories, so this is the one that the kernel goes to as well.
    if (name === '..') {
      current = dirname(current);
      continue;
    }
    const next = join(current, name);
    const entry = lstatSync(next, { throwIfNoEntry: false });
    if (entry === undefined) return `${next} is not there`;
    if (entry.isSymbolicLink()) {
      links += 1;
      if (entry.uid !== 0 && entry.uid !== uid) return `${next} is a link that is owned by uid ${entry.uid}`;
      if (links > LINKS_MAX) return `${next} is a loop of symbolic links`;
      const target = readlinkSync(next);
      ahead.unshift(...split(target));
      if (target.startsWith('/')) current = '/';
      continue;
    }
    const why = whyNot(next, entry, uid, ahead.length === 0);
    if (why !== null) return why;
    current = next;
  }
  return current === '/' ? `${path} is a directory` : null;
}

function whyNot(path: string, entry: Stats, uid: number, isLast: boolean): string | null {
  if (isLast ? !entry.isFile() : !entry.isDirectory()) return `${path} is not a ${isLast ? 'regular file' : 'directory'}`;
  if (entry.uid !== 0 && entry.uid !== uid) return `${path} is owned by uid ${entry.uid}`;
  const writers = entry.mode & 0o022;
  if (writers === 0) return null;
  // Sticky and root's, like /tmp: others may add entries there, but not move ours.
  if (!isLast && entry.uid === 0 && (entry.mode & STICKY) !== 0) return null;
  // Where every user has a group of his own, umask 002 is usual and harmless.
  if (writers === 0o020 && entry.uid === uid && isPrivateGroup(entry.gid, uid)) return null;
  return `${path} has mode ${(entry.mode & 0o7777).toString(8).padStart(4, '0')}: others could change what runs`;
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
