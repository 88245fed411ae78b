/**
 * What the clock of each issuer shows, learnt from the Date of its answers (RFC 9110, section 6.6.1) and carried
 * on by the clock that never jumps: so a fresh ID token is told from an old one whatever is done to the clock of
 * this machine. An issuer that lies about the time makes its own ID tokens last, which it could do anyway.
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Clock, IssuerSkew } from '../core/ports.ts';
import type { HttpAnswer } from './http.ts';

/** Longer, and nobody knows when within it the answer was written. */
const LONGEST_EXCHANGE_MS = 5_000;
/** Beyond this it is no clock that drifts or stands in the wrong zone, and the issuer's Date is as likely to be the wrong one. */
const MAX_BELIEVED_MS = 86_400_000;
const MAX_ISSUERS = 64;

/** Issuer's time less boot time, and when that was learnt. */
type Learnt = { readonly beyondBootMs: number; readonly at: EpochMs };

export class Skews {
  readonly #clock: Clock;
  /** The longest known first. */
  readonly #learnt = new Map<string, Learnt>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param startedMs - boot time before the request */
  learn(issuer: string, answer: Pick<HttpAnswer, 'header'>, startedMs: number): void {
    const endedMs = this.#clock.boottimeMs();
    const saidMs = Date.parse(answer.header('date') ?? '');
    // With an Age it comes from a cache, which hands on the Date of long ago (RFC 9111, section 4.2.3).
    if (endedMs - startedMs > LONGEST_EXCHANGE_MS || Number.isNaN(saidMs) || answer.header('age') !== null) return;
    this.#learnt.delete(issuer);
    this.#learnt.set(issuer, { beyondBootMs: saidMs - (startedMs + endedMs) / 2, at: this.#clock.now() });
    const [oldest] = this.#learnt.keys();
    if (this.#learnt.size > MAX_ISSUERS && oldest !== undefined) this.#learnt.delete(oldest);
  }

  list(): readonly IssuerSkew[] {
    return [...this.#learnt].map(([issuer, learnt]) => ({ issuer, skewMs: this.#skewMs(learnt), at: learnt.at }));
  }

  /** What the issuer's clock shows now, where that is known and can be believed; else what this machine's does. */
  nowMsAt(issuer: string): number {
    const learnt = this.#learnt.get(issuer);
    const skewMs = learnt === undefined ? 0 : this.#skewMs(learnt);
    return this.#clock.now() + (Math.abs(skewMs) <= MAX_BELIEVED_MS ? skewMs : 0);
  }

  #skewMs({ beyondBootMs }: Learnt): number {
    return Math.round(beyondBootMs + this.#clock.boottimeMs() - this.#clock.now());
  }
}
