/** Takes the last byte, or the last file, of a disk, and gives it back. Synchronous: it fits between two steps of somebody else. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export function takeAllSpace(dir: string): () => void {
  const path = join(dir, 'filler');
  const fd = openSync(path, 'w', 0o600);
  for (const size of [262_144, 4_096, 1]) {
    const block = Buffer.alloc(size, 1);
    while (isWritten(() => writeSync(fd, block) === size)) { /* until it is full */ }
  }
  closeSync(fd);
  return () => rmSync(path, { force: true });
}

export function takeAllFiles(dir: string): () => void {
  const paths: string[] = [];
  for (let i = 0; isWritten(() => {
    const path = join(dir, `filler-${i}`);
    closeSync(openSync(path, 'w', 0o600));
    paths.push(path);
    return true;
  }); i += 1) { /* until there is none left */ }
  return () => { for (const path of paths) rmSync(path, { force: true }); };
}

function isWritten(write: () => boolean): boolean {
  try {
    return write();
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC') return false;
    throw cause;
  }
}
