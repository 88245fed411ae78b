/**
 * What is known of refreshing one grant right now: the flight, the back-off after failures of the issuer,
 * and for each context (scopes and resource) what the last answer was good for. A request that the last
 * answer already decided is not sent again for a while: else one caller's impossible wish would refresh
 * without end.
 */
import type { BrokerError } from '../core/errors.ts';
import type { TokenNeed } from '../core/grant.ts';
import { NO_BACK_OFF } from './back-off.ts';
import type { BackOff } from './back-off.ts';
import type { Flight } from './flight.ts';

/** How long an answer decides. */
const DECIDES_MS = 30_000;
const CONTEXTS_KEPT = 64;

type Decided = { readonly untilMs: number; readonly error: BrokerError | null; readonly lifeMs: number | null };

export class Line {
  flight: Flight | null = null;
  backOff: BackOff = NO_BACK_OFF;
  /** Rises with each new sign-in. */
  epoch = 0;
  readonly #decided = new Map<string, Decided>();

  /** @param lifeMs - how long the token of that answer lived, where that was too short for its asker; else null */
  decide(need: TokenNeed, nowMs: number, error: BrokerError | null, lifeMs: number | null): void {
    const [oldest] = this.#decided.keys();
    if (this.#decided.size >= CONTEXTS_KEPT && oldest !== undefined) this.#decided.delete(oldest);
    this.#decided.set(contextOf(need), { untilMs: nowMs + DECIDES_MS, error, lifeMs });
  }

  /** What the last answer in this context says to this need; null: nothing, or it was too long ago. */
  decided(need: TokenNeed, nowMs: number): Decided | null {
    const found = this.#decided.get(contextOf(need));
    if (found === undefined || found.untilMs <= nowMs) return null;
    return found;
  }

  forget(): void {
    this.epoch += 1;
    this.backOff = NO_BACK_OFF;
    this.#decided.clear();
  }
}

function contextOf({ scopes, resource, bounds }: TokenNeed): string {
  return JSON.stringify([scopes === null ? null : scopes.toSorted(), resource, bounds === null ? null : bounds.key]);
}
