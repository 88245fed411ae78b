/**
 * Which file a shell would run for a word, by PATH (XCU 2.9.1.4), so that what cannot run is known before a token is
 * asked for. Between this look and the start the file may change: then the start says so, by the same two errors.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ValetkeyError } from './valetkey-error.ts';

/** Of execvp(3), where PATH is not set. */
const DEFAULT_PATH = '/usr/bin:/bin';

type Look = 'runs' | 'refused' | 'absent';

function lookAt(path: string): Look {
  try {
    if (!statSync(path).isFile()) return 'refused';
    accessSync(path, constants.X_OK);
    return 'runs';
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') ? 'absent' : 'refused';
  }
}

export const notFound = (word: string): ValetkeyError => ValetkeyError.local('command_not_found', `there is no program ${JSON.stringify(word)}${word.includes('/') ? '' : ' on PATH'}`);

export const notExecutable = (path: string, why: string): ValetkeyError => ValetkeyError.local('command_not_executable', `${path} ${why}`, { hint: `See: ls -l ${path}` });

/**
 * @returns the file, as it is to be run
 * @throws ValetkeyError command_not_found, command_not_executable
 */
export function findProgram(word: string, path: string | undefined, cwd: () => string): string {
  if (word === '') throw notFound(word);
  // An empty part of PATH is the working directory (XBD 8.3).
  const places = word.includes('/') ? [word] : (path ?? DEFAULT_PATH).split(':').map((folder) => `${folder === '' ? '.' : folder}/${word}`);
  let refused: string | null = null;
  for (const place of places) {
    const file = place.startsWith('/') ? place : resolve(cwd(), place);
    const found = lookAt(file);
    if (found === 'runs') return file;
    // A file that may not be run hides none behind it on PATH (execvp(3)); a directory is no file.
    if (found === 'refused') refused ??= file;
  }
  if (refused !== null && word.includes('/')) throw notExecutable(refused, statSync(refused, { throwIfNoEntry: false })?.isDirectory() === true ? 'is a directory' : 'may not be run');
  if (refused !== null && statSync(refused, { throwIfNoEntry: false })?.isFile() === true) throw notExecutable(refused, 'may not be run');
  throw notFound(word);
}
