/**
 * Walks the whole log from its first record to its last and names the first line that breaks the chain (AL-05). It
 * needs nothing but the files: the chain shows what was altered, put in or taken out; the head file what is missing at
 * the end; the signed checkpoints that nobody without the vault's key wrote it anew. What the vault remembers, and what
 * a running daemon has in memory, is compared where somebody can say it.
 */
import { isUtf8 } from 'node:buffer';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AUDIT_FILE, AUDIT_HEAD_FILE, AUDIT_VERSION, CHECKPOINT_TYPE, GENESIS, readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord, Head } from '../../shared/audit-line.ts';
import { isJsonObject } from '../../shared/json-object.ts';
import { auditFiles, rawLines } from './log-files.ts';

/** A crash while a torn line was being closed leaves two; more are no accident. */
const TORN_MAX = 8;

export type Intact = {
  readonly kind: 'intact';
  readonly files: number;
  readonly records: number;
  /** Lines that a crash tore and the next start closed. */
  readonly torn: readonly number[];
  readonly checkpoints: number;
  /** The last record that a checkpoint signed, and the key that it says. Null: nothing is signed. */
  readonly signed: (Head & { readonly at: number; readonly kid: string }) | null;
  /** Thumbprints of all keys that signed, the first one first. */
  readonly kids: readonly string[];
  /** Where the daemon itself recorded that the log was tampered with, or cut: a chain that is whole by now says no more of it. */
  readonly told: readonly (Pick<AuditRecord, 'seq' | 'at' | 'event'>)[];
};
export type Broken = { readonly kind: 'broken'; readonly file: string; readonly line: number; readonly why: string };
export type AuditVerdict = Intact | Broken;

/** What somebody else knows of this log. */
export type Expected = {
  /** Records that have to be there: the vault remembers them, or the daemon wrote them. */
  readonly heads: readonly Head[];
  /** The only key that may have signed; null: any. */
  readonly kid: string | null;
};

/** More are not listed. */
const TOLD_MAX = 64;

const NOTHING: Expected = { heads: [], kid: null };

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Null where there is none, or it was torn by a crash: then it says nothing. */
async function readHead(dir: string): Promise<Head | null> {
  const text = await readFile(join(dir, AUDIT_HEAD_FILE), 'utf8').catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw cause;
  });
  const [, seq, hash] = /^1 (\d{1,15}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
  return seq === undefined || hash === undefined ? null : { seq: Number(seq), hash };
}

/** @param path - the file that is written to; those before it stand beside it */
export async function verifyAudit(path: string, expected = NOTHING): Promise<AuditVerdict> {
  const dir = dirname(path);
  // Read first: a daemon that is running writes records after it.
  const noted = await readHead(dir);
  const walk = new Walk([...expected.heads, ...(noted === null || noted.seq === 0 ? [] : [noted])], expected.kid);
  const files = await auditFiles(dir);
  for (const file of files) {
    walk.open(basename(file));
    for await (const bytes of rawLines(file)) {
      const broken = walk.take(bytes);
      if (broken !== null) return broken;
    }
  }
  return walk.end(files.length);
}

class Walk {
  readonly #awaited: Map<number, string>;
  readonly #kid: string | null;
  readonly #torn: number[] = [];
  readonly #kids = new Set<string>();
  readonly #told: Intact['told'][number][] = [];
  #file: string = AUDIT_FILE;
  #line = 0;
  #head: Head = { seq: 0, hash: GENESIS };
  #checkpoints = 0;
  #signed: Intact['signed'] = null;
  /** Lines that are no record: fine if the next record says that a crash tore them, or if the log ends there. */
  #unread: string[] = [];

  constructor(awaited: readonly Head[], kid: string | null) {
    this.#awaited = new Map(awaited.map(({ seq, hash }) => [seq, hash]));
    this.#kid = kid;
  }

  open(file: string): void {
    this.#file = file;
    this.#line = 0;
  }

  take(bytes: string): Broken | null {
    this.#line += 1;
    // Hashed as bytes: a torn line may end inside a character. Bytes that are no character would all be read as the same one.
    const line = Buffer.from(bytes, 'latin1');
    const read = isUtf8(line) ? readAuditLine(line.toString()) : null;
    if (read === null) {
      this.#unread.push(bytes);
      return this.#unread.length > TORN_MAX ? this.#broken('it is no record', this.#line - TORN_MAX) : null;
    }
    const { seq, at, event } = read.record;
    if ((event === 'audit_tampered' || event === 'audit_truncated') && this.#told.length < TOLD_MAX) this.#told.push({ seq, at, event });
    return this.#closeTorn(read.record) ?? this.#follow(read.record, read.content) ?? this.#checkSignature(read.record);
  }

  end(files: number): AuditVerdict {
    const missing = Math.max(0, ...this.#awaited.keys());
    if (missing > this.#head.seq) return this.#broken(`records ${this.#head.seq + 1} to ${missing} are missing at the end`, this.#line + 1);
    // Who names a key expects it to have signed: without a signature anybody can have written the whole log anew.
    if (this.#kid !== null && this.#signed === null) return this.#broken('nothing in the log is signed, and the key that you named should have signed it', Math.max(1, this.#line));
    this.#torn.push(...this.#unread.map((_, i) => this.#line - this.#unread.length + 1 + i));
    return { kind: 'intact', files, records: this.#head.seq, torn: this.#torn, checkpoints: this.#checkpoints, signed: this.#signed, kids: [...this.#kids], told: this.#told };
  }

  #closeTorn({ event, facts }: AuditRecord): Broken | null {
    if (this.#unread.length === 0) return null;
    const from = this.#line - this.#unread.length;
    const torn = event === 'audit_repaired' ? facts['torn'] : null;
    if (torn !== sha256(Buffer.from(this.#unread.join('\n'), 'latin1'))) return this.#broken('it is no record', from);
    this.#torn.push(...this.#unread.map((_, i) => from + i));
    this.#unread = [];
    return null;
  }

  #follow({ v, seq, prev, hash }: AuditRecord, content: string): Broken | null {
    if (v > AUDIT_VERSION) return this.#broken(`it is of version ${v}; this valetkey knows ${AUDIT_VERSION}`);
    if (sha256(content) !== hash) return this.#broken('it was altered: its hash is not that of its content');
    if (seq !== this.#head.seq + 1) return this.#broken(`record ${this.#head.seq + 1} was expected and ${seq} is here: records were taken out, put in or moved`);
    if (prev !== this.#head.hash) return this.#broken('it does not follow from the record before it');
    this.#head = { seq, hash };
    const noted = this.#awaited.get(seq);
    return noted === undefined || noted === hash ? null : this.#broken('it is not the record that was noted when it was written: the log was written anew');
  }

  #checkSignature({ event, seq, prev, facts }: AuditRecord): Broken | null {
    if (event !== 'audit_checkpoint') return null;
    const kid = signerOf(facts['jws'], facts['key'], { seq: seq - 1, hash: prev });
    if (kid === null) return this.#broken('its signature does not hold');
    if (this.#kid !== null && kid !== this.#kid) return this.#broken(`it was signed with another key, ${kid}`);
    this.#kids.add(kid);
    this.#checkpoints += 1;
    const claims = claimsOf(facts['jws']);
    this.#signed = { seq: seq - 1, hash: prev, at: typeof claims?.['at'] === 'number' ? claims['at'] : 0, kid };
    return null;
  }

  #broken(why: string, line = this.#line): Broken {
    return { kind: 'broken', file: this.#file, line, why };
  }
}

function decode(part: string | undefined): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString());
    return isJsonObject(value) ? value : null;
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}

function claimsOf(jws: unknown): Readonly<Record<string, unknown>> | null {
  return typeof jws === 'string' ? decode(jws.split('.')[1]) : null;
}

/** RFC 7638: a key's name is the hash of its members, so that a record cannot say another one. */
export function thumbprint(x: string): string {
  return createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
}

/** The key that signed this very record; null where none did. RFC 8037, section 3.1. */
function signerOf(jws: unknown, key: unknown, of: Head): string | null {
  if (typeof jws !== 'string' || !isJsonObject(key) || typeof key['x'] !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(key['x'])) return null;
  const [head, payload, signature, ...more] = jws.split('.');
  const header = decode(head);
  const claims = claimsOf(jws);
  const kid = thumbprint(key['x']);
  if (more.length > 0 || header?.['alg'] !== 'EdDSA' || header['typ'] !== CHECKPOINT_TYPE || header['kid'] !== kid) return null;
  if (claims?.['seq'] !== of.seq || claims['hash'] !== of.hash) return null;
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key['x'] }, format: 'jwk' });
  return verify(null, Buffer.from(`${head}.${payload}`), publicKey, Buffer.from(signature ?? '', 'base64url')) ? kid : null;
}
