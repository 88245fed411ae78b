/**
 * What is known of asking for tokens of one workload: a slot, with its tokens and its back-off, and in it a lane for
 * each context (scopes and resource), with its flight and what the issuer last said. What was just refused is not
 * asked for again for a while: else one caller's impossible wish would ask without end.
 */
import type { AccessToken, AuthorizationServer } from '../core/domain.ts';
import type { BrokerError } from '../core/errors.ts';
import type { TokenNeed } from '../core/grant.ts';
import type { Instant } from '../core/time.ts';
import type { Workload } from '../core/workload.ts';
import { NO_BACK_OFF } from '../tokens/back-off.ts';
import type { BackOff } from '../tokens/back-off.ts';
import type { Flight } from '../tokens/flight.ts';
import { waitsError } from './refusals.ts';

/** How long an answer decides. */
const DECIDES_MS = 30_000;
const LANES_KEPT = 64;

export class Lane {
  flight: Flight<AccessToken> | null = null;
  #refused: { readonly untilMs: number; readonly error: BrokerError } | null = null;
  #last: { readonly untilMs: number; readonly token: AccessToken } | null = null;

  refuse(error: BrokerError, at: Instant): void {
    this.#refused = { untilMs: at.boottimeMs + DECIDES_MS, error };
  }

  gave(token: AccessToken, at: Instant): void {
    this.#refused = null;
    this.#last = { untilMs: at.boottimeMs + DECIDES_MS, token };
  }

  /** What the last answer says to who asks now; null: nothing, or it was too long ago. */
  refusal(at: Instant): BrokerError | null {
    return this.#refused !== null && this.#refused.untilMs > at.boottimeMs ? this.#refused.error : null;
  }

  /** What the issuer gives in this context, where a token has just come. */
  lastToken(at: Instant): AccessToken | null {
    return this.#last !== null && this.#last.untilMs > at.boottimeMs ? this.#last.token : null;
  }

  forgive(): void {
    this.#refused = null;
  }
}

export class Slot {
  /** As it was configured when this was made. */
  readonly workload: Workload;
  /** That gave the tokens, and takes them back. */
  server: AuthorizationServer | null = null;
  tokens: readonly AccessToken[] = [];
  backOff: BackOff = NO_BACK_OFF;
  lastUsedMs: number | null = null;
  readonly #lanes = new Map<string, Lane>();
  #isOver = false;

  constructor(workload: Workload) {
    this.workload = workload;
  }

  lane({ scopes, resource }: TokenNeed): Lane {
    const key = JSON.stringify([scopes === null ? null : scopes.toSorted(), resource]);
    const lane = this.#lanes.get(key) ?? new Lane();
    this.#lanes.delete(key);
    this.#lanes.set(key, lane);
    // Of those at rest the one that was asked for longest ago makes room.
    const oldest = this.#lanes.size > LANES_KEPT ? [...this.#lanes].find(([, { flight }]) => flight === null) : undefined;
    if (oldest !== undefined && oldest[0] !== key) this.#lanes.delete(oldest[0]);
    return lane;
  }

  /** An error of the issuer is about the client, not about one of its wishes. */
  refusal(workload: Workload, at: Instant): BrokerError | null {
    return this.backOff.notBeforeMs > at.boottimeMs ? waitsError(workload, this.backOff, at) : null;
  }

  clearRefusals(): void {
    this.backOff = NO_BACK_OFF;
    for (const lane of this.#lanes.values()) lane.forgive();
  }

  end(): void {
    this.#isOver = true;
    this.tokens = [];
  }

  /** Nobody looks here any more: what comes for it is kept nowhere. */
  get isOver(): boolean {
    return this.#isOver;
  }
}
