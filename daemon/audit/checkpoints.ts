/**
 * Signed checkpoints: records of the chain that hold a signature over the record before them, made with a key that
 * only the open vault has. Whoever rewrites the log up to one cannot sign it again. The vault remembers the last one,
 * so that a log which ends before it is known to be cut.
 */
import type { Head } from '../../shared/audit-line.ts';
import type { AuditKeys, AuditState, Clock, Log } from '../core/ports.ts';
import { ownEvent } from './chain.ts';
import type { OwnEvent } from './chain.ts';

const RECORDS = 256;
const EVERY_MS = 600_000;

type CheckpointDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly append: (event: OwnEvent) => void;
  readonly head: () => Head;
  /** Of a record that was there when this run began; null: there is none. */
  readonly hashOf: (seq: number) => Promise<string | null>;
  /** It is not what was signed: what somebody did to it while no daemon ran. */
  readonly onForged: (did: string) => void;
};

export class Checkpoints {
  readonly #deps: CheckpointDeps;
  /** Where the log ended when this run began; null once it was compared. */
  #found: Head | null;
  #keys: AuditKeys | null = null;
  /** Keys that are not used before the log was compared with what they remember. */
  #coming: AuditKeys | null = null;
  #signed: Head | null = null;
  /** Records since the last signature, and when the first of them came. */
  #unsigned = 0;
  #sinceMs = 0;
  /** What the vault shall remember as soon as it is on the disk, and not before: else a crash would read as a cut. */
  #owed: { readonly keys: AuditKeys; readonly head: Head } | null = null;
  #remembering: Promise<void> = Promise.resolve();

  constructor(deps: CheckpointDeps) {
    this.#deps = deps;
    this.#found = deps.head();
  }

  get signed(): Head | null {
    return this.#signed;
  }

  get key(): AuditState['key'] {
    if (this.#keys === null) return null;
    const { kid, publicKey, isLasting, last } = this.#keys;
    return { kid, publicKey, isLasting, last };
  }

  async useKeys(keys: AuditKeys | null): Promise<void> {
    if (keys === (this.#coming ?? this.#keys)) return;
    this.sign();
    this.#keys = null;
    this.#coming = keys;
    if (keys === null) return;
    const [found, { last }] = [this.#found, keys];
    if (found !== null && last !== null) {
      const hash = found.seq === last.seq ? found.hash : found.seq < last.seq ? null : await this.#lookUp(last.seq);
      // Locked meanwhile: it is compared at the next opening.
      if (this.#coming !== keys) return;
      this.#compare(last, found, hash);
    }
    this.#found = null;
    this.#coming = null;
    this.#keys = keys;
    // What earlier runs left unsigned is signed now, after it was compared.
    if (this.#deps.head().seq > 0) this.sign(true);
  }

  noted(event: string): void {
    if (event === 'audit_checkpoint') return;
    if (this.#unsigned === 0) this.#sinceMs = this.#deps.clock.boottimeMs();
    this.#unsigned += 1;
  }

  /** Between two requests, never within one. */
  signIfDue(): void {
    if (this.#unsigned >= RECORDS || (this.#unsigned > 0 && this.#deps.clock.boottimeMs() - this.#sinceMs >= EVERY_MS)) this.sign();
  }

  sign(evenIfNothingIsNew = false): void {
    const keys = this.#keys;
    if (keys === null || (this.#unsigned === 0 && !evenIfNothingIsNew)) return;
    const { clock, log, append } = this.#deps;
    try {
      // No await between the look at the end and the record that follows it.
      const head = this.#deps.head();
      const jws = keys.sign({ ...head, at: clock.now() });
      append(ownEvent('audit_checkpoint', { jws, kid: keys.kid, key: keys.publicKey }));
      this.#signed = head;
      this.#unsigned = 0;
      this.#owed = { keys, head: this.#deps.head() };
    } catch (cause) {
      log.warn('audit_not_signed', { why: String(cause) });
    }
  }

  /** Everything up to here is on the disk. */
  synced({ seq }: Head): void {
    const owed = this.#owed;
    if (owed === null || seq < owed.head.seq) return;
    this.#owed = null;
    this.#remembering = this.#remembering.then(() => owed.keys.remember(owed.head)).catch((cause: unknown) => {
      this.#deps.log.warn('audit_checkpoint_not_remembered', { why: String(cause) });
    });
  }

  /** Resolves when the vault remembers the last signature, or cannot. */
  settled(): Promise<void> {
    return this.#remembering;
  }

  /** A disk that does not say is not taken for a yes. */
  async #lookUp(seq: number): Promise<string | null> {
    try {
      return await this.#deps.hashOf(seq);
    } catch (cause) {
      this.#deps.log.error('audit_not_compared', { record: seq }, cause);
      return null;
    }
  }

  /** The vault's word against the file's: nobody can write the first one without the vault's key. @param hash - of what stands where the last signed record stood */
  #compare(last: Head, found: Head, hash: string | null): void {
    const { log, append, onForged } = this.#deps;
    if (found.seq < last.seq) {
      log.error('audit_truncated', { signed: last.seq, found: found.seq });
      append(ownEvent('audit_truncated', { signed_seq: last.seq, signed_hash: last.hash, found_seq: found.seq }));
      onForged('cut');
      return;
    }
    if (hash !== last.hash) {
      // Longer than it was, and yet not what was signed: somebody wrote it anew.
      log.error('audit_tampered', { what: 'rewritten', signed: last.seq, found: found.seq });
      append(ownEvent('audit_tampered', { what: 'rewritten', signed_seq: last.seq, signed_hash: last.hash }));
      onForged('rewrote');
      return;
    }
    if (found.seq === last.seq) return;
    // A crash leaves such records, and so does a daemon that ended locked; but so does who writes some of his own.
    log.warn('audit_unsigned', { signed: last.seq, found: found.seq });
    append(ownEvent('audit_unsigned', { from_seq: last.seq + 1, to_seq: found.seq }));
  }
}
