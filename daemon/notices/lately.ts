/** Remembers what happened a moment ago, so that the same thing is told once. Bounded: the oldest goes first. */
import type { Clock } from '../core/ports.ts';

const KEPT = 256;

export class Lately {
  readonly #clock: Pick<Clock, 'boottimeMs'>;
  readonly #withinMs: number;
  readonly #last = new Map<string, number>();

  constructor(clock: Pick<Clock, 'boottimeMs'>, withinMs: number) {
    this.#clock = clock;
    this.#withinMs = withinMs;
  }

  has(key: string): boolean {
    const last = this.#last.get(key);
    return last !== undefined && this.#clock.boottimeMs() - last < this.#withinMs;
  }

  /** How many are not over yet. */
  get size(): number {
    return [...this.#last.keys()].filter((key) => this.has(key)).length;
  }

  /** @param agoMs - it counts as if it had happened so long ago */
  note(key: string, agoMs = 0): void {
    this.#last.delete(key);
    this.#last.set(key, this.#clock.boottimeMs() - agoMs);
    const oldest = this.#last.size > KEPT ? this.#last.keys().next() : null;
    if (oldest !== null && oldest.done !== true) this.#last.delete(oldest.value);
  }
}
