/**
 * The audit log: files of 0600, only ever appended to, each record chained to the one before (AL-05).
 *
 * A1  Records are written in the order of their append() calls, whole batches in one write.
 * A2  append() resolves when its record is in the file; it is on the disk within a second.
 * A3  A disk that refuses stops nothing at once: up to 1,000 records wait, append() resolves, and the log warns.
 *     Beyond that append() rejects. A record that was half written is continued where it broke off.
 * A4  While the vault is open, what is in the file is signed every ten minutes or 256 records, and at lock and stop.
 * A5  A file that is full is kept under another name, and the chain goes on in the next one.
 * A6  A file that is moved, replaced or cut while it is written to is noticed within a second and said.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AUDIT_FILE, AUDIT_HEAD_FILE, auditFilesIn } from '../../shared/audit-line.ts';
import type { Head } from '../../shared/audit-line.ts';
import { diskStep } from '../core/disk-step.ts';
import { BrokerError } from '../core/errors.ts';
import type { Audit, AuditEvent, AuditKeys, AuditState, Clock, Log } from '../core/ports.ts';
import { makeAuditDir, openForAppend, readTail } from './audit-file.ts';
import type { Tail } from './audit-file.ts';
import { appendTo, ownEvent, sha256 } from './chain.ts';
import type { OwnEvent } from './chain.ts';
import { Checkpoints } from './checkpoints.ts';
import { Detectors } from './detectors.ts';
import { hashOfRecord } from './find-record.ts';
import { Guard } from './guard.ts';
import { writeHead } from './head.ts';
import { FULL_BYTES, isFull, openBook, turnPage } from './rotation.ts';
import type { Book } from './rotation.ts';

export type AuditDeps = {
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** When a file is full; where it is left out, at 16 MiB. */
  readonly fullBytes?: number;
};

const WAITING_MAX = 1_000;
const SYNC_MS = 1_000;

export function auditPath(dir: string): string {
  return join(dir, AUDIT_FILE);
}

/**
 * Rejects where the directory is not private, the disk refuses, or the file is newer than this version. A torn
 * last line is closed.
 */
export async function openAudit(deps: AuditDeps): Promise<Audit> {
  try {
    return await openChain(deps);
  } catch (cause) {
    const code = cause instanceof Error && 'syscall' in cause && 'code' in cause ? String(cause.code) : null;
    if (code === null) throw cause;
    const hint = diskStep(code, deps.dir);
    throw new BrokerError('vault_unwritable', `the audit log in ${deps.dir} cannot be opened: ${code}`, hint === null ? { cause } : { hint, cause });
  }
}

async function openChain(deps: AuditDeps): Promise<Audit> {
  await makeAuditDir(deps.dir);
  const path = auditPath(deps.dir);
  const file = await openForAppend(path);
  try {
    const own = await readTail(file, path);
    const tail = own.head.seq > 0 ? own : { ...own, ...(await lastArchived(deps.dir)) };
    const { head, torn, isUnfinished, isAltered } = tail;
    if (isAltered) deps.log.error('audit_altered', { path, record: head.seq });
    const audit = new AuditLog(deps, path, await openBook(file, own.head.seq === 0 ? head.seq + 1 : null), tail);
    if (isUnfinished) audit.finishLine();
    if (torn !== null) {
      deps.log.warn('audit_repaired', { path, after_record: head.seq, bytes: torn.length });
      await audit.add(ownEvent('audit_repaired', { torn: sha256(Buffer.from(torn, 'latin1')) }));
    }
    return audit;
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

/** Where the chain ended before this file: its last records were put away, and the daemon ended before it wrote another. */
async function lastArchived(dir: string): Promise<Partial<Tail>> {
  const name = auditFilesIn(await readdir(dir)).findLast((each) => each !== AUDIT_FILE);
  if (name === undefined) return {};
  const file = await openForAppend(join(dir, name));
  try {
    const { head, isAltered, records } = await readTail(file, join(dir, name));
    return { head, isAltered, records };
  } finally {
    await file.close();
  }
}

type Waiting = { readonly head: Head; readonly written: () => void };

class AuditLog implements Audit {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #dir: string;
  readonly #fullBytes: number;
  readonly #path: string;
  readonly #stop = new AbortController();
  readonly #syncing: Promise<void>;
  readonly #checkpoints: Checkpoints;
  readonly #detectors: Detectors;
  readonly #guard: Guard;
  #isLookDue = false;
  #book: Book;
  /** The end of the chain, records that wait included. */
  #head: Head;
  /** The last record that is in the file, and the last that is known to be on the disk. */
  #written: Head;
  #synced: Head;
  /** What is still to be written, whole lines after at most one rest of a line. */
  #bytes = Buffer.alloc(0);
  /** The file ends with a whole line. */
  #isWhole = true;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  /** What the disk refuses. A record that is in the file and not yet on the disk holds nobody up. */
  #failing: 'write' | 'sync' | null = null;

  constructor({ clock, log, dir, fullBytes = FULL_BYTES }: AuditDeps, path: string, book: Book, { head, records: past }: Pick<Tail, 'head' | 'records'>) {
    this.#clock = clock;
    this.#log = log;
    this.#dir = dir;
    this.#fullBytes = fullBytes;
    this.#path = path;
    this.#book = book;
    this.#head = head;
    this.#written = head;
    this.#synced = head;
    const own = (event: OwnEvent): void => void this.add(event).catch((cause: unknown) => log.warn('audit_not_recorded', { event: event.event, why: String(cause) }));
    this.#checkpoints = new Checkpoints({ clock, log, append: own, head: () => this.#head, hashOf: (seq) => hashOfRecord(dir, seq), onForged: (did) => this.#guard.note(did, 'no daemon ran') });
    this.#detectors = new Detectors({ log, append: own }, past);
    this.#guard = new Guard({ clock, log, dir, path });
    this.#syncing = this.#syncEverySecond();
  }

  append(event: AuditEvent): Promise<void> {
    return this.add(event);
  }

  trouble(): string | null {
    if (this.#failing === null) return null;
    return `the disk refuses ${this.#path}; ${this.#waiting.length} records wait in memory, and beyond ${WAITING_MAX} no token is released`;
  }

  state(): AuditState {
    return { file: this.#path, head: this.#written, signed: this.#checkpoints.signed, key: this.#checkpoints.key, detections: [...this.#guard.seen(), ...this.#detectors.active(this.#clock.now())] };
  }

  async useKeys(keys: AuditKeys | null): Promise<void> {
    await this.#checkpoints.useKeys(keys);
    if (keys !== null) return;
    await this.#writing;
    await this.#sync();
    await this.#checkpoints.settled();
  }

  /** Ends the line that a crash left open. */
  finishLine(): void {
    this.#bytes = Buffer.from('\n');
    this.#isWhole = false;
  }

  async add(event: AuditEvent | OwnEvent): Promise<void> {
    if (this.#stop.signal.aborted) throw new BrokerError('shutting_down', 'the audit log is closed');
    if (this.#waiting.length >= WAITING_MAX) {
      throw new BrokerError('vault_unwritable', `the audit log ${this.#path} cannot be written, and ${WAITING_MAX} records wait already`);
    }
    // No await from here to the queue: the order of the calls is the order of the chain (A1).
    const at = this.#clock.now();
    const { line, head } = appendTo(this.#head, event, at);
    this.#head = head;
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(line)]);
    const written = new Promise<void>((resolve) => this.#waiting.push({ head, written: resolve }));
    this.#write();
    this.#checkpoints.noted(event.event);
    this.#detectors.see(event, at);
    if (this.#failing === 'write') return;
    await Promise.race([written, this.#writing]);
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return this.#syncing;
    this.#checkpoints.sign();
    this.#stop.abort(new Error('the audit log was closed'));
    await this.#syncing;
    await this.#writing;
    if (this.#waiting.length > 0) await this.#writeAll();
    await this.#sync();
    if (this.#waiting.length > 0) this.#log.error('audit_lost', { path: this.#path, records: this.#waiting.length });
    await this.#checkpoints.settled();
    await this.#book.file.close();
  }

  /** One writer at a time; it sees what is added while it writes. */
  #write(): void {
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when nothing waits any more, or the disk refused. */
  async #writeAll(): Promise<void> {
    try {
      if (this.#isLookDue) await this.#look();
      await this.#writeBatches();
    } catch (cause) {
      this.#fail('write', cause);
    }
    // In the same turn in which nothing was left, so that the next record starts a writer of its own.
    this.#writing = null;
  }

  /** A6. As part of the writing, so that the file is never changed under a write. */
  async #look(): Promise<void> {
    this.#isLookDue = false;
    const found = await this.#guard.look(this.#book, this.#written.seq + 1);
    if (found === null) return;
    this.#book = found.book;
    if (found.isUnfinished && this.#isWhole) this.#bytes = Buffer.concat([Buffer.from('\n'), this.#bytes]);
    void this.add(ownEvent('audit_tampered', { what: found.what, after_seq: this.#written.seq }));
  }

  async #writeBatches(): Promise<void> {
    while (this.#bytes.length > 0) {
      if (this.#isWhole && isFull(this.#book, this.#clock.now(), this.#fullBytes)) await this.#turnPage();
      const batch = this.#bytes;
      const last = this.#waiting.length;
      // @fault audit.append.claimed
      const { bytesWritten } = await this.#book.file.write(batch);
      // @fault audit.append.written
      this.#bytes = this.#bytes.subarray(bytesWritten);
      this.#book.size += bytesWritten;
      this.#isWhole = bytesWritten === batch.length;
      if (!this.#isWhole) continue;
      this.#written = this.#waiting[last - 1]?.head ?? this.#written;
      for (const { written } of this.#waiting.splice(0, last)) written();
      if (this.#failing === 'write') this.#mend();
    }
  }

  /** A5. Where the disk refuses, it goes on in the same file. */
  async #turnPage(): Promise<void> {
    const before = this.#book;
    try {
      await before.file.datasync();
      this.#book = await turnPage(before, { dir: this.#dir, path: this.#path, next: this.#written.seq + 1, now: this.#clock.now() });
      this.#log.info('audit_rotated', { path: this.#path, records: this.#written.seq });
    } catch (cause) {
      before.triedAt = this.#clock.now();
      this.#log.error('audit_not_rotated', { path: this.#path }, cause);
    }
  }

  #mend(): void {
    this.#log.warn('audit_written_again', { path: this.#path });
    this.#failing = null;
  }

  #fail(what: 'write' | 'sync', cause: unknown): void {
    if (this.#failing === null) this.#log.error('audit_unwritable', { path: this.#path, waiting: this.#waiting.length }, cause);
    this.#failing = what;
  }

  async #syncEverySecond(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#clock.sleep(SYNC_MS, this.#stop.signal);
      } catch (cause) {
        if (this.#stop.signal.aborted) return;
        throw cause;
      }
      // A refused record is tried again here, so that none waits for the next one.
      this.#isLookDue = true;
      this.#write();
      await this.#writing;
      await this.#sync();
      this.#checkpoints.signIfDue();
    }
  }

  async #sync(): Promise<void> {
    const head = this.#written;
    if (head.seq === this.#synced.seq) return this.#checkpoints.synced(head);
    try {
      await this.#book.file.datasync();
      // @fault audit.synced
      await writeHead(join(this.#dir, AUDIT_HEAD_FILE), head);
      this.#synced = head;
      this.#checkpoints.synced(head);
      if (this.#failing === 'sync') this.#mend();
    } catch (cause) {
      this.#fail(this.#failing ?? 'sync', cause);
    }
  }
}
