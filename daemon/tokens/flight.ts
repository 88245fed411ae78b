/**
 * One refresh on its way. From the moment the token is on the wire nothing aborts it, however slow the issuer
 * is: its answer may hold the only valid refresh token. Who waits does not wait that long.
 *
 * I7  A waiter's deadline, death or impatience ends its wait, never the flight.
 */
import type { Clock, Transient } from '../core/ports.ts';
import type { FlightOutcome } from './refusals.ts';

/** Who waits is answered within ten seconds, its own way included: after this long it is told that the issuer does not answer. */
const PATIENCE_MS = 9_500;

export const NO_ANSWER_YET: Transient = { kind: 'transient', answerLost: true, retryAfterMs: null, reach: 'network', cause: 'timeout', timedOut: true };

export class Flight {
  readonly outcome: Promise<FlightOutcome>;
  /** The outcome, or after PATIENCE_MS that there is none yet. */
  readonly #heard: Promise<FlightOutcome>;

  /** @param onOverdue - called once, if the issuer did not answer in time */
  constructor(clock: Clock, outcome: Promise<FlightOutcome>, onOverdue: () => void) {
    const landed = new AbortController();
    this.outcome = outcome.finally(() => landed.abort());
    this.#heard = clock.sleep(PATIENCE_MS, landed.signal).then(
      () => {
        onOverdue();
        return { kind: 'transient', transient: NO_ANSWER_YET };
      },
      () => this.outcome, // it landed first
    );
    // Told to whoever waits; perhaps nobody does.
    this.outcome.catch(() => undefined);
    this.#heard.catch(() => undefined);
  }

  /** @param signal - ends this wait with its reason */
  async wait(signal: AbortSignal): Promise<FlightOutcome> {
    signal.throwIfAborted();
    let stop: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([this.outcome, this.#heard, aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
