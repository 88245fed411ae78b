/** A home directory with the files of tools in it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { privateDirectory } from '../stand-in.ts';

export const OWN = process.getuid?.() ?? 0;

export function put(home: string, file: string, content: string | Buffer, mode = 0o600): string {
  const path = join(home, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode });
  return path;
}

export function homeWith(...files: readonly { readonly file: string; readonly content: string | Buffer }[]): string {
  const home = privateDirectory();
  for (const { file, content } of files) put(home, file, content);
  return home;
}
