/**
 * One refresh on its way. From the moment the token is on the wire nothing aborts it, however slow the issuer
 * is: its answer may hold the only valid refresh token. Who waits does not wait that long. One that waits for its
 * turn is not on its way yet, and ends when nobody would be there to be told.
 *
 * I7  A waiter's deadline, death or impatience ends its wait, never the flight.
 */
import type { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { FlightOutcome } from './refusals.ts';

/** Who waits is answered within ten seconds, its own way included: after this long it is told that the issuer does not answer. */
export const PATIENCE_MS = 9_500;

/** @typeParam Outcome - what lands; of a refresh, unless said otherwise */
export class Flight<Outcome = FlightOutcome> {
  readonly outcome: Promise<Outcome>;
  /** The outcome, or after PATIENCE_MS that there is none yet. */
  readonly #heard: Promise<Outcome>;
  readonly #waiting = new AbortController();

  /**
   * @param send - its signal ends the wait for a turn
   * @param overdue - what whoever waits is told when there is no outcome in time
   */
  constructor(clock: Clock, send: (waiting: AbortSignal) => Promise<Outcome>, overdue: () => BrokerError) {
    const landed = new AbortController();
    this.outcome = send(this.#waiting.signal).finally(() => landed.abort());
    this.#heard = clock.sleep(PATIENCE_MS, landed.signal).then(
      () => {
        const late = overdue();
        this.dismiss(late);
        throw late;
      },
      () => this.outcome, // it landed first
    );
    // Told to whoever waits; perhaps nobody does.
    this.outcome.catch(() => undefined);
    this.#heard.catch(() => undefined);
  }

  /** Ends it with this reason if it still waits for its turn; what is on the wire stays there. */
  dismiss(reason: BrokerError): void {
    this.#waiting.abort(reason);
  }

  /** @param signal - ends this wait with its reason */
  async wait(signal: AbortSignal): Promise<Outcome> {
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
