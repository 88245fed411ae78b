/**
 * One audit record a line: JSON whose last key is the SHA-256 of everything before it, the previous record's
 * hash included (AL-05). A line that is altered, taken out, put in or moved breaks the chain there. The chain
 * has no key: whoever can write the file can also compute a new one; that is what the signed checkpoints are for.
 *
 * A crash leaves at most one torn last line. The next start closes it with a newline and an `audit_repaired`
 * record that holds the hash of the torn bytes and continues from the last whole record.
 */
import { createHash } from 'node:crypto';
import { AUDIT_VERSION, GENESIS, readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord, Head } from '../../shared/audit-line.ts';
import type { AuditEvent } from '../core/ports.ts';
import { plainJson } from '../core/text.ts';
import { callerRecord } from './caller-record.ts';

/** A record is cut down to this; the end of the file is found by reading a few of them back. */
export const LINE_MAX = 32 * 1024;

export const START: Head = { seq: 0, hash: GENESIS };

/** What the log says of itself. */
export type OwnEvent = {
  readonly event: 'audit_repaired' | 'audit_checkpoint' | 'audit_truncated' | 'audit_unsigned' | 'audit_tampered' | 'detected';
  readonly profile: AuditEvent['profile'];
  readonly caller: AuditEvent['caller'];
  readonly request: string | null;
  readonly facts: AuditEvent['facts'];
};

/** An event of the log itself, about nobody. */
export function ownEvent(event: OwnEvent['event'], facts: AuditEvent['facts']): OwnEvent {
  return { event, profile: null, caller: null, request: null, facts };
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

export type Appended = { readonly line: string; readonly head: Head };

/** The line, newline included, and the head that it makes. */
export function appendTo(head: Head, event: AuditEvent | OwnEvent, at: number): Appended {
  const seq = head.seq + 1;
  const whole = body(head, seq, at, event);
  // Facts are the daemon's own, but one of them may hold text of strangers in any length.
  const text = Buffer.byteLength(whole) > LINE_MAX - 128 ? body(head, seq, at, { ...event, facts: { facts_left_out: Buffer.byteLength(whole) } }) : whole;
  const hash = sha256(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}\n`, head: { seq, hash } };
}

function body(head: Head, seq: number, at: number, { event, profile, caller, request, facts }: AuditEvent | OwnEvent): string {
  // Paths are told as they are, and a log is read by cat as well.
  return plainJson({ v: AUDIT_VERSION, seq, at, event, profile, caller: caller === null ? null : callerRecord(caller), request, facts, prev: head.hash });
}

export type ParsedLine = AuditRecord & {
  /** The hash is that of the content. */
  readonly holds: boolean;
};

/** Null where the line is no record at all. */
export function parseLine(line: string): ParsedLine | null {
  const read = readAuditLine(line);
  return read === null ? null : { ...read.record, holds: sha256(read.content) === read.record.hash };
}
