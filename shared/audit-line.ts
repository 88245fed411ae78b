/**
 * A line of the audit log as both ends know it: JSON whose last key is the SHA-256 of everything before it. The daemon
 * writes it and the client reads the file itself, so that a log can be read and verified where no daemon runs.
 * Pure: whoever calls computes the hash.
 */
import { isJsonObject, parseJsonObject } from './json-object.ts';
import type { JsonObject } from './json-object.ts';

export const AUDIT_VERSION = 1;
/** The hash before the first record. */
export const GENESIS = '0'.repeat(64);
/** The file that is written to; beside it stand those that were full, each named by its first record. */
export const AUDIT_FILE = 'audit.jsonl';
/** The number and hash of a record that was synced. */
export const AUDIT_HEAD_FILE = 'audit.head';
/** Of the header of a signed checkpoint (RFC 7515, section 4.1.9). */
export const CHECKPOINT_TYPE = 'valetkey-audit-checkpoint';

/** Where a chain ends. */
export type Head = { readonly seq: number; readonly hash: string };

export type Facts = JsonObject;

export type AuditRecord = Head & {
  readonly v: number;
  readonly prev: string;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly at: number;
  readonly event: string;
  readonly profile: string | null;
  readonly caller: Facts | null;
  readonly request: string | null;
  readonly facts: Facts;
};

/** What a checkpoint signs: the record right before it. */
export type CheckpointClaims = Head & { readonly at: number };

const SEQ_DIGITS = 12;
const ARCHIVE = /^audit-(\d{12})\.jsonl$/;

export function archiveName(first: number): string {
  return `audit-${String(first).padStart(SEQ_DIGITS, '0')}.jsonl`;
}

/** The files of a log in the order of their records. */
export function auditFilesIn(names: readonly string[]): readonly string[] {
  return [...names.filter((name) => ARCHIVE.test(name)).toSorted(), ...names.filter((name) => name === AUDIT_FILE)];
}

const ENDING = /,"hash":"([0-9a-f]{64})"\}$/;

/** Null where the line is no record at all. `content` is what its hash is of. */
export function readAuditLine(line: string): { readonly record: AuditRecord; readonly content: string } | null {
  const found = ENDING.exec(line);
  const value = found === null ? null : parseJsonObject(line);
  if (found === null || value === null) return null;
  const { v, seq, prev, at, event, profile, caller, request, facts } = value;
  if (typeof v !== 'number' || typeof seq !== 'number' || typeof prev !== 'string' || typeof event !== 'string') return null;
  return {
    content: `${line.slice(0, found.index)}}`,
    record: {
      v, seq, prev, event, hash: found[1] ?? '',
      at: typeof at === 'number' ? at : 0,
      profile: typeof profile === 'string' ? profile : null,
      caller: isJsonObject(caller) ? caller : null,
      request: typeof request === 'string' ? request : null,
      facts: isJsonObject(facts) ? facts : {},
    },
  };
}
