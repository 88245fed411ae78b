/**
 * What was asked on kept connections in one turn of the event loop, taken together when all of it was read. Each
 * process is then looked at once for all its answers: after everything that it asks for by them was there, and
 * right before the first of them leaves.
 */
import type { Callers } from '../core/ports.ts';

export type Waiting = {
  /** Throws nothing: others wait behind it. */
  take(): void;
};

export class Turn {
  readonly #callers: Pick<Callers, 'lookOnce'>;
  #waiting: Waiting[] = [];

  constructor(callers: Pick<Callers, 'lookOnce'>) {
    this.#callers = callers;
  }

  /** To be called by the event that brought what is asked. */
  add(waiting: Waiting): void {
    // After all sockets of this turn were read, and before the loop waits again.
    if (this.#waiting.push(waiting) === 1) setImmediate(() => this.#take());
  }

  #take(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#callers.lookOnce(() => {
      for (const each of waiting) each.take();
    });
  }
}
