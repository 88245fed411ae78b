/**
 * `audit.head`: the number and hash of a record that was synced. It shows when lines are taken off the end of the
 * audit file, which the chain alone cannot. It may lag behind; it never runs ahead.
 */
import { open, rename } from 'node:fs/promises';
import type { Head } from '../../shared/audit-line.ts';

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
