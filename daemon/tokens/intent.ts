/**
 * The intent of one refresh: on the disk once the connection to the issuer stands, and before the refresh token
 * is on the wire (TK-04). Not earlier: a crash while a name is looked up or TLS is agreed on has sent nothing,
 * and must not read as a lost answer.
 */
import type { Grant } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { GrantBook, Log, Vault } from '../core/ports.ts';
import type { Instant } from '../core/time.ts';

export type IntentDeps = {
  readonly vault: Pick<Vault, 'beginRefresh' | 'abandonRefresh'>;
  readonly book: Pick<GrantBook, 'get'>;
  readonly log: Log;
  /** The user's own lock. */
  readonly isLocked: () => boolean;
};

export class Intent {
  readonly #deps: IntentDeps;
  readonly #grant: Grant;
  readonly #sent: Instant;
  #writing: Promise<void> | null = null;
  #isOvertaken = false;

  /** @param sent - when the token is counted as sent first */
  constructor(deps: IntentDeps, grant: Grant, sent: Instant) {
    this.#deps = deps;
    this.#grant = grant;
    this.#sent = sent;
  }

  /** A logout, a sign-in or a lock came while the connection was made: nothing was sent. */
  get isOvertaken(): boolean {
    return this.#isOvertaken;
  }

  /** Durable when it resolves; the second time it was done before. Throws where nothing may be sent. */
  async write(): Promise<void> {
    const { vault, book, isLocked } = this.#deps;
    const { profile, generation } = this.#grant;
    if (isLocked() || book.get(profile)?.generation !== generation) {
      this.#isOvertaken = true;
      throw new BrokerError('cancelled', `the refresh of ${profile} was overtaken`);
    }
    const { now: at, bootId, boottimeMs: ms } = this.#sent;
    this.#writing ??= vault.beginRefresh(profile, { generation, at, boottime: { bootId, ms } });
    await this.#writing;
    // @fault refresh.intent-durable
  }

  /** Takes it back: nothing was sent, or what was sent left the grant as it was. */
  async abandon(): Promise<void> {
    const { vault, log } = this.#deps;
    if (this.#writing === null) return;
    try {
      await this.#writing;
      await vault.abandonRefresh(this.#grant.profile);
    } catch (cause) {
      // What stays reads as a lost answer at the next start, which costs a sign-in and loses nothing.
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('vault_unwritable', { profile: this.#grant.profile, why: cause.message });
    }
  }
}
