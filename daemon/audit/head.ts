/**
 * `audit.head`: the number and hash of a record that was synced. It shows when lines are taken off the end of the
 * audit file, which the chain alone cannot. It may lag behind; it never runs ahead.
 */
import { open, readFile, rename } from 'node:fs/promises';
import type { Head } from './chain.ts';

export function headPath(auditPath: string): string {
  return auditPath.replace(/(\.jsonl)?$/, '.head');
}

/** Null where there is none, or it was torn by a crash: then it says nothing. */
export async function readHead(path: string): Promise<Head | null> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw cause;
  });
  const [, seq, hash] = /^1 (\d{1,15}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
  return seq === undefined || hash === undefined ? null : { seq: Number(seq), hash };
}

export async function writeHead(path: string, { seq, hash }: Head): Promise<void> {
  const temporary = `${path}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    // @fault audit.head.opened
    await handle.writeFile(`1 ${seq} ${hash}\n`);
  } finally {
    await handle.close();
  }
  // @fault audit.head.written
  await rename(temporary, path);
  // @fault audit.head.renamed
}
