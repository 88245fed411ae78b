/**
 * What kept connections said in one turn of the event loop, taken together when all of it was read. Each process
 * is then looked at once for all its answers: after everything that it asks for by them was there, and right
 * before the first of them leaves.
 */
import type { Callers } from '../core/ports.ts';
import type { Connection } from './connections.ts';

export class Turn {
  readonly #callers: Pick<Callers, 'lookOnce'>;
  #waiting: Connection[] = [];

  constructor(callers: Pick<Callers, 'lookOnce'>) {
    this.#callers = callers;
  }

  /** To be called by the event that brought the chunk. */
  add(connection: Connection, chunk: Buffer): void {
    if (connection.unread !== null) {
      connection.unread = Buffer.concat([connection.unread, chunk]);
      return;
    }
    connection.unread = chunk;
    // After all sockets of this turn were read, and before the loop waits again.
    if (this.#waiting.push(connection) === 1) setImmediate(() => this.#take());
  }

  #take(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#callers.lookOnce(() => {
      for (const connection of waiting) connection.takeUnread();
    });
  }
}
