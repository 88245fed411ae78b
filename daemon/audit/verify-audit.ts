/**
 * Reads an audit file from its first line to its last and names the first one that breaks the chain. It needs
 * nothing but the file, and `audit.head` beside it, where that exists, for lines that are missing at the end.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { AUDIT_VERSION, parseLine, sha256, START } from './chain.ts';
import type { Head } from './chain.ts';
import { headPath, readHead } from './head.ts';

/** A crash while a torn line was being closed leaves two; more are no accident. */
const TORN_MAX = 8;

export type AuditVerdict =
  | {
      readonly kind: 'intact';
      readonly records: number;
      /** Lines that a crash tore and the next start closed. */
      readonly torn: readonly number[];
    }
  | { readonly kind: 'broken'; readonly line: number; readonly why: string };

/** Rejects where the file cannot be read. */
export async function verifyAudit(path: string): Promise<AuditVerdict> {
  // Read first: a daemon that is running writes records after it.
  const noted = await readHead(headPath(path));
  const torn: number[] = [];
  let head: Head = START;
  let line = 0;
  let records = 0;
  /** Lines that are no record: fine if the next record says that a crash tore them, or if the file ends there. */
  let unread: string[] = [];
  let passedNoted = noted === null || noted.seq === 0;
  const input = createReadStream(path, { encoding: 'latin1' });
  for await (const bytes of createInterface({ input, crlfDelay: Infinity })) {
    line += 1;
    // Hashed as bytes: a torn line may end inside a character.
    const raw = Buffer.from(bytes, 'latin1');
    const record = parseLine(raw.toString());
    if (record === null) {
      unread.push(bytes);
      if (unread.length > TORN_MAX) return broken(line - TORN_MAX, 'it is no record');
      continue;
    }
    if (unread.length > 0) {
      if (record.torn !== sha256(Buffer.from(unread.join('\n'), 'latin1'))) return broken(line - unread.length, 'it is no record');
      torn.push(...unread.map((_, i) => line - unread.length + i));
      unread = [];
    }
    if (record.v > AUDIT_VERSION) return broken(line, `it is of version ${record.v}; this valetkey knows ${AUDIT_VERSION}`);
    if (!record.holds) return broken(line, 'it was altered: its hash is not that of its content');
    if (record.seq !== head.seq + 1) return broken(line, `record ${head.seq + 1} was expected and ${record.seq} is here: records were taken out, put in or moved`);
    if (record.prev !== head.hash) return broken(line, 'it does not follow from the record before it');
    head = { seq: record.seq, hash: record.hash };
    records += 1;
    if (noted !== null && head.seq === noted.seq) {
      if (head.hash !== noted.hash) return broken(line, 'it is not the record that was noted when it was written');
      passedNoted = true;
    }
  }
  if (noted !== null && !passedNoted) return broken(line + 1, `records ${head.seq + 1} to ${noted.seq} are missing at the end`);
  torn.push(...unread.map((_, i) => line - unread.length + 1 + i));
  return { kind: 'intact', records, torn };
}

function broken(line: number, why: string): AuditVerdict {
  return { kind: 'broken', line, why };
}
