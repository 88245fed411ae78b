/**
 * A program that is run because of where it lies: only root may be able to change it, or put another in its place.
 * So it is a regular file of root's that nobody else may write, and so are the directories above it, with and
 * without the links on the way. PATH has no say, the daemon's or anybody's.
 */
import { lstat, realpath } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';

const WRITABLE_BY_OTHERS = 0o022;

/** The path without links, where only root can change what runs; null where it is not there, or somebody else could. */
export async function rootsProgram(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    const file = await lstat(real);
    const isProgram = file.isFile() && (file.mode & 0o111) !== 0 && isRoots(file);
    const places = [...above(real), ...above(path)];
    if (!isProgram || !(await Promise.all(places.map(isRootsPlace))).every(Boolean)) return null;
    return real;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null; // not there, or not ours to look at: then not ours to run
    throw error;
  }
}

function above(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...above(parent)];
}

/** The mode of a link says nothing; where it lies, and leads, is looked at in its own right. */
async function isRootsPlace(path: string): Promise<boolean> {
  const entry = await lstat(path);
  return entry.isSymbolicLink() ? entry.uid === 0 : entry.isDirectory() && isRoots(entry);
}

function isRoots({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & WRITABLE_BY_OTHERS) === 0;
}
