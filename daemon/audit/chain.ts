/**
 * One audit record a line: JSON whose last key is the SHA-256 of everything before it, the previous record's
 * hash included (AL-05). A line that is altered, taken out, put in or moved breaks the chain there. The chain
 * has no key: whoever can write the file can also compute a new one, and only a copy elsewhere shows that.
 *
 * A crash leaves at most one torn last line. The next start closes it with a newline and an `audit_repaired`
 * record that holds the hash of the torn bytes and continues from the last whole record.
 */
import { createHash } from 'node:crypto';
import type { AuditEvent } from '../core/ports.ts';
import { callerRecord } from './caller-record.ts';

export const AUDIT_VERSION = 1;
/** The hash before the first record. */
export const GENESIS = '0'.repeat(64);
/** A record is cut down to this; the end of the file is found by reading a few of them back. */
export const LINE_MAX = 32 * 1024;

/** Where a chain ends. */
export type Head = { readonly seq: number; readonly hash: string };

export const START: Head = { seq: 0, hash: GENESIS };

export type Repair = { readonly event: 'audit_repaired'; readonly profile: null; readonly caller: null; readonly request: null; readonly facts: { readonly torn: string } };

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The line, newline included, and the head that it makes. */
export function appendTo(head: Head, event: AuditEvent | Repair, at: number): { readonly line: string; readonly head: Head } {
  const seq = head.seq + 1;
  const whole = body(head, seq, at, event);
  // Facts are the daemon's own, but one of them may hold text of strangers in any length.
  const text = Buffer.byteLength(whole) > LINE_MAX - 128 ? body(head, seq, at, { ...event, facts: { facts_left_out: Buffer.byteLength(whole) } }) : whole;
  const hash = sha256(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}\n`, head: { seq, hash } };
}

function body(head: Head, seq: number, at: number, { event, profile, caller, request, facts }: Omit<AuditEvent, 'event'> & { readonly event: string }): string {
  return JSON.stringify({ v: AUDIT_VERSION, seq, at, event, profile, caller: caller === null ? null : callerRecord(caller), request, facts, prev: head.hash });
}

const ENDING = /,"hash":"([0-9a-f]{64})"\}$/;

export type ParsedLine = {
  readonly v: number;
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
  /** The hash is that of the content. */
  readonly holds: boolean;
  /** SHA-256 of the torn line before this one; null in all other records. */
  readonly torn: string | null;
};

/** Null where the line is no record at all. */
export function parseLine(line: string): ParsedLine | null {
  const hash = ENDING.exec(line)?.[1];
  if (hash === undefined) return null;
  const record = parseJson(line);
  if (record === null) return null;
  const { v, seq, prev, event, facts } = record;
  if (typeof v !== 'number' || typeof seq !== 'number' || typeof prev !== 'string') return null;
  const torn = event === 'audit_repaired' && typeof facts === 'object' && facts !== null && 'torn' in facts && typeof facts.torn === 'string' ? facts.torn : null;
  return { v, seq, prev, hash, holds: sha256(`${line.replace(ENDING, '')}}`) === hash, torn };
}

function parseJson(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}
