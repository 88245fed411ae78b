/** `tail -f`: what is appended from now on, past a turn of the page too: the old file is read to its end first. */
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAuditLine } from '../../shared/audit-line.ts';
import type { Line } from './log-files.ts';

const LOOK_MS = 250;
const PIECE = 64 * 1024;
/** A line is cut at half of this by who writes it. */
const REST_MAX = 64 * 1024;

function isAbsence(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if (isAbsence(cause)) return null;
    throw cause;
  }
}

async function inodeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).ino;
  } catch (cause) {
    if (isAbsence(cause)) return null;
    throw cause;
  }
}

/** @param afterSeq - the last record that was shown already */
export async function* follow(path: string, afterSeq: number, signal: AbortSignal): AsyncGenerator<Line, void, undefined> {
  let file: FileHandle | null = null;
  let seen = afterSeq;
  let at = 0;
  let rest = Buffer.alloc(0);
  try {
    while (!signal.aborted) {
      file ??= await openIfThere(path);
      const bytes = Buffer.alloc(PIECE);
      const { bytesRead } = file === null ? { bytesRead: 0 } : await file.read(bytes, 0, PIECE, at);
      at += bytesRead;
      const lines = Buffer.concat([rest, bytes.subarray(0, bytesRead)]);
      const end = lines.lastIndexOf(10) + 1;
      rest = lines.length - end > REST_MAX ? Buffer.alloc(0) : lines.subarray(end);
      for (const text of lines.toString('utf8', 0, end).split('\n')) {
        const read = readAuditLine(text);
        if (read === null || read.record.seq <= seen) continue;
        seen = read.record.seq;
        yield { text, record: read.record };
      }
      if (bytesRead > 0) continue;
      if (file !== null && (await file.stat()).ino !== (await inodeOf(path))) {
        await file.close();
        file = null;
        at = 0;
        rest = Buffer.alloc(0);
        continue;
      }
      await sleep(LOOK_MS, null, { signal }).catch(() => null); // aborted: the loop ends
    }
  } finally {
    await file?.close();
  }
}
