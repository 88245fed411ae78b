import { readFile } from 'node:fs/promises';
import { ValetkeyError } from './valetkey-error.ts';

/** @throws ValetkeyError bad_request where it cannot be read */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw ValetkeyError.local('bad_request', `${file} cannot be read (${cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'})`, { cause });
  }
}
