/**
 * The files of the audit log, read where they are: they belong to this user and are 0600, so a daemon that is
 * stopped, locked or broken takes nobody's evidence away, and one that runs is not kept busy. A record at a time is
 * in memory, however long the log is.
 */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { auditFilesIn, readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import { ValetkeyError } from '../valetkey-error.ts';

/** Paths in the order of their records; none where nothing was ever recorded. */
export async function auditFiles(dir: string): Promise<readonly string[]> {
  try {
    return auditFilesIn(await readdir(dir)).map((name) => join(dir, name));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw unreadable(dir, cause);
  }
}

/** Lines as bytes, a character each: a torn line may end inside a character. Only a line feed ends one: what else stands there was put in. */
export async function* rawLines(path: string): AsyncGenerator<string, void, undefined> {
  const input = createReadStream(path, { encoding: 'latin1' });
  let parts: string[] = [];
  try {
    for await (const chunk of input) {
      const [first = '', ...more] = String(chunk).split('\n');
      parts.push(first);
      for (const next of more) {
        yield parts.join('');
        parts = [next];
      }
    }
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    input.destroy();
  }
  const rest = parts.join('');
  if (rest !== '') yield rest;
}

export type Line = { readonly text: string; readonly record: AuditRecord };

/** What is a record, with the line that it stands in. Whether it holds, only `verify` tells. */
export async function* readLines(paths: readonly string[]): AsyncGenerator<Line, void, undefined> {
  for (const path of paths) {
    for await (const bytes of rawLines(path)) {
      const text = Buffer.from(bytes, 'latin1').toString();
      const read = readAuditLine(text);
      if (read !== null) yield { text, record: read.record };
    }
  }
}

/** The last `count` that are wanted, the newest last. Older files are read only where the newer have too few. */
export async function lastLines(dir: string, count: number, isWanted: (record: AuditRecord) => boolean): Promise<readonly Line[]> {
  let found: readonly Line[] = [];
  for (const path of (await auditFiles(dir)).toReversed()) {
    const room = count - found.length;
    if (room <= 0) break;
    let here: Line[] = [];
    for await (const line of readLines([path])) {
      if (!isWanted(line.record)) continue;
      here.push(line);
      if (here.length >= room * 2 + 16) here = here.slice(-room);
    }
    found = [...here.slice(-room), ...found];
  }
  return found;
}

function unreadable(path: string, cause: unknown): ValetkeyError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return ValetkeyError.local('runtime_dir_untrusted', `the audit log at ${path} cannot be read: ${why}`, { cause, hint: 'Run: valetkey doctor' });
}
