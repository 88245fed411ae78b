/**
 * Turning the page of the audit log: the full file is renamed to the number of its first record, and the next one
 * begins. The new file is made before the old one is moved, so that a disk which refuses leaves everything as it was.
 * After a crash in between, the chain is taken up from the end of the file that was moved. Nothing is ever deleted.
 */
import { access, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveName } from '../../shared/audit-line.ts';
import { openForAppend } from './audit-file.ts';
import { LINE_MAX, parseLine } from './chain.ts';

export const FULL_BYTES = 16 * 1024 * 1024;
const FULL_AGE_MS = 31 * 86_400_000;
/** Where the disk refused to turn the page. */
const AGAIN_MS = 60_000;

/** The file that is written to. */
export type Book = { readonly file: FileHandle; readonly first: number; readonly since: number | null; size: number; triedAt: number | null };

/** @param first - the number that its first record will have; null: it has one */
export async function openBook(file: FileHandle, first: number | null): Promise<Book> {
  const { size } = await file.stat();
  const bytes = Buffer.alloc(Math.min(size, LINE_MAX));
  await file.read(bytes, 0, bytes.length, 0);
  const record = parseLine(bytes.subarray(0, Math.max(0, bytes.indexOf(10))).toString());
  return { file, size, triedAt: null, first: first ?? record?.seq ?? 1, since: record?.at ?? null };
}

export function isFull({ size, since, triedAt }: Book, now: number, fullBytes: number): boolean {
  if (size === 0 || (triedAt !== null && now - triedAt < AGAIN_MS)) return false;
  return size >= fullBytes || (since !== null && now - since >= FULL_AGE_MS);
}

type Page = { readonly dir: string; readonly path: string; readonly next: number; readonly now: number };

export async function turnPage(book: Book, { dir, path, next, now }: Page): Promise<Book> {
  const fresh = `${path}.next`;
  const full = join(dir, archiveName(book.first));
  if (await exists(full)) throw new Error(`${full} is there already`);
  await unlink(fresh).catch((cause: unknown) => {
    if (!isAbsence(cause)) throw cause;
  });
  const file = await openForAppend(fresh);
  try {
    await rename(path, full);
    await rename(fresh, path).catch(async (cause: unknown) => {
      await rename(full, path);
      throw cause;
    });
    await syncDir(dir);
  } catch (cause) {
    await file.close();
    throw cause;
  }
  await book.file.close();
  return { file, first: next, since: now, size: 0, triedAt: null };
}

function isAbsence(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (cause) {
    if (isAbsence(cause)) return false;
    throw cause;
  }
}

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
