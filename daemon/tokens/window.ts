/**
 * How many refreshes may be on the wire at one issuer at once: a slow start, as TCP has one (RFC 5681, section 3.1).
 * An issuer that takes refresh tokens and never answers may cost the sign-in of each that was sent, and is known
 * for it seconds later only. So a few go first; each that is answered lets another go besides the one that takes
 * its place, and the next round is twice as large. Nothing is remembered when the wire is empty.
 *
 * I14 Into silence go FIRST refreshes: more are sent to an issuer only while it answers, or by its circuit.
 */
import type { Clock } from '../core/ports.ts';

/**
 * What an issuer that hangs may take before anybody can know. Not one: an answer can be lost by an accident of its
 * own connection, and everybody else would wait for it in vain.
 */
const FIRST = 2;
/**
 * What an issuer takes at most that dies in the middle of a crowd. Fifty grants at once go in five rounds (2, 4, 8,
 * 16, 20), and would be no faster without it: at an issuer 50 ms away 0.45 s, of which all in one round are 0.2.
 */
const CEILING = 32;
/**
 * An answer speaks for what follows it at once. Token endpoints that are well take tenths of a second, also the
 * slowest of 300 on a busy machine (docs/reliability.md, outages); after this long without an answer to anything,
 * what is unanswered is a reason to hold back. Suspend counts: whoever wakes up knows nothing.
 */
const FRESH_MS = 2_500;

/** A place on the wire. */
export type Turn = {
  /** Gives it back. */
  leave(): void;
  /** False when it was given back, or given up with all the others there. */
  isCounted(): boolean;
};

export class Window {
  readonly #clock: Pick<Clock, 'boottimeMs'>;
  readonly #onEmpty: () => void;
  readonly #onWire = new Set<Turn>();
  /** In the order of their coming. */
  readonly #waiting = new Set<() => void>();
  #size = FIRST;
  #answeredMs = -Infinity;

  /** @param onEmpty - nothing is on the wire: what was known is out of date with the next refresh, and need not be kept */
  constructor(clock: Pick<Clock, 'boottimeMs'>, onEmpty: () => void) {
    this.#clock = clock;
    this.#onEmpty = onEmpty;
  }

  /**
   * Resolves when the turn has come.
   *
   * @param waiting - ends the wait with its reason; a turn that came is kept
   */
  enter(waiting: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (waiting.aborted) {
        reject(waiting.reason);
        return;
      }
      const turn: Turn = { leave: () => this.#leave(turn), isCounted: () => this.#onWire.has(turn) };
      const quit = (): void => {
        this.#waiting.delete(go);
        reject(waiting.reason);
      };
      const go = (): void => {
        waiting.removeEventListener('abort', quit);
        this.#onWire.add(turn);
        resolve(turn);
      };
      this.#waiting.add(go);
      waiting.addEventListener('abort', quit, { once: true });
      this.#admit();
    });
  }

  /** A refresh was answered, whatever was said. It is larger only for who waits: what nobody needed was not tried. */
  answered(): void {
    this.#answeredMs = this.#clock.boottimeMs();
    if (this.#waiting.size > 0) this.#size = Math.min(CEILING, this.#size + 1);
  }

  /** The issuer failed, and its circuit says what may be sent: what is on the wire is given up, and is in nobody's way. */
  restart(): void {
    this.#onWire.clear();
    this.#refill();
  }

  #leave(turn: Turn): void {
    if (this.#onWire.delete(turn)) this.#refill();
  }

  #refill(): void {
    this.#admit();
    if (this.#onWire.size === 0) this.#onEmpty();
  }

  /** Time alone opens no place, so this is asked only when somebody comes, leaves or fails. */
  #admit(): void {
    const isFresh = this.#clock.boottimeMs() - this.#answeredMs <= FRESH_MS;
    const places = isFresh ? this.#size : FIRST;
    for (const go of this.#waiting) {
      if (this.#onWire.size >= places) return;
      this.#waiting.delete(go);
      go();
    }
  }
}
