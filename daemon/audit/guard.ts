/**
 * Whether the audit file is still the one that is written to, whole: a process of the same user can move, replace or
 * cut it at any time, and an open descriptor does not tell. What comes after is not written into nowhere: it goes into
 * the file that stands there by then, or a new one, and the gap shows.
 */
import { lstat } from 'node:fs/promises';
import type { Clock, Detection, Log } from '../core/ports.ts';
import { makeAuditDir, openForAppend, readTail } from './audit-file.ts';
import { openBook } from './rotation.ts';
import type { Book } from './rotation.ts';

type GuardDeps = { readonly dir: string; readonly path: string; readonly clock: Clock; readonly log: Log };
type Found = { readonly what: 'moved' | 'cut'; readonly book: Book; readonly isUnfinished: boolean };

/** How long it is said in status, as with what detectors see. */
const SAID_MS = 3_600_000;

export class Guard {
  readonly #deps: GuardDeps;
  #last: Detection | null = null;

  constructor(deps: GuardDeps) {
    this.#deps = deps;
  }

  /** Null: all is well. Rejects where the disk refuses, or what stands there may not be written to. */
  async look(book: Book, next: number): Promise<Found | null> {
    const { dir, path, log } = this.#deps;
    const what = await tamperingWith(book, path);
    if (what === null) return null;
    log.error('audit_tampered', { path, what });
    this.note(what === 'moved' ? 'moved or replaced' : 'cut', 'it was written to');
    if (what === 'moved') await makeAuditDir(dir);
    const file = what === 'moved' ? await openForAppend(path) : book.file;
    const { isUnfinished, head } = await readTail(file, path);
    const found = { what, isUnfinished, book: await openBook(file, head.seq === 0 ? next : null) };
    if (what === 'moved') await book.file.close();
    return found;
  }

  note(did: string, whileWhat: string): void {
    const { clock, path } = this.#deps;
    this.#last = { detector: 'audit_tampered', at: clock.now(), profile: null, program: null, what: `somebody ${did} the audit log ${path} while ${whileWhat}` };
  }

  seen(): readonly Detection[] {
    return this.#last === null || this.#deps.clock.now() - this.#last.at > SAID_MS ? [] : [this.#last];
  }
}

async function tamperingWith({ file, size }: Book, path: string): Promise<'moved' | 'cut' | null> {
  const mine = await file.stat({ bigint: true });
  const there = await lstat(path, { bigint: true }).catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return null;
    throw cause;
  });
  if (there === null || there.ino !== mine.ino || there.dev !== mine.dev) return 'moved';
  return mine.size < size ? 'cut' : null;
}
