/** What must hold of every file below the state directory, whenever the process died. */
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Nothing where it was not made yet. */
function below(dir: string): readonly string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).toSorted();
}

/** Readable or writable by others than their user, or no plain file. */
export function exposed(dir: string): readonly string[] {
  if (!existsSync(dir)) return [];
  return ['.', ...below(dir)].flatMap((name) => {
    const stats = lstatSync(join(dir, name), { throwIfNoEntry: false });
    if (stats === undefined) return []; // a temporary file, gone again meanwhile
    const isPlain = stats.isFile() || stats.isDirectory() || stats.isSocket();
    return isPlain && (stats.mode & 0o077) === 0 ? [] : [`${name} 0${(stats.mode & 0o7777).toString(8)}`];
  });
}

/** Half written files that nobody swept. The audit's head has one temporary name for good, written anew each second. */
export function leftovers(dir: string): readonly string[] {
  return below(dir).filter((name) => name.endsWith('.tmp') && name !== join('audit', 'audit.head.tmp'));
}

export function corrupt(dir: string): readonly string[] {
  return below(dir).filter((name) => name.includes('.corrupt-'));
}
