/**
 * The connections that are open, and how long each may take for what it is about. Time is kept coarsely: one
 * timer for all of them, that stands still while there is none. A limit is met up to a second late, and
 * setting it costs no more than writing a number.
 */
import type { Socket } from 'node:net';
import type { Caller } from '../core/domain.ts';
import type { Clock } from '../core/ports.ts';
import { Ending, LEFT } from './deadline.ts';

const TICK_MS = 500;
export const NEVER = Number.POSITIVE_INFINITY;

/** Who speaks on a connection: what its dialect does with what comes. */
export type Speaker = {
  data(chunk: Buffer): void;
  /** The other side sends no more. */
  end(): void;
  close(): void;
  /** The daemon takes no more: the connection is ended as soon as nothing is left to be answered. */
  rest(): void;
  /** The time that was set is over. */
  late(): void;
};

/** One open connection and its caller. */
export class Connection {
  readonly socket: Socket;
  /** A promise until the caller was looked at; it stays one, and rejects, where that could not be. */
  caller: Caller | Promise<Caller>;
  /** The tick at which its time is over. */
  until: number;
  speaker: Speaker | null = null;
  /** It is a stream of events, and has no more to ask. */
  isStream = false;
  previous: Connection | null = null;
  next: Connection | null = null;
  /** What came in this turn of the event loop. */
  #unread: Buffer | null = null;
  #gone: Ending | null = null;
  #hasLeft = false;

  constructor(socket: Socket, caller: Caller | Promise<Caller>, until: number) {
    this.socket = socket;
    this.caller = caller;
    this.until = until;
    if (caller instanceof Promise) {
      caller.then((known) => {
        this.caller = known;
      }, () => undefined); // whoever asks by it is told
    }
  }

  /** Ends when the caller leaves. It may have left already. */
  get gone(): Ending {
    if (this.#gone === null) {
      this.#gone = new Ending();
      if (this.#hasLeft) this.#gone.end(LEFT);
    }
    return this.#gone;
  }

  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Keeps what came for take(); false: something was kept already. */
  keep(chunk: Buffer): boolean {
    const before = this.#unread;
    this.#unread = before === null ? chunk : Buffer.concat([before, chunk]);
    return before === null;
  }

  get hasKept(): boolean {
    return this.#unread !== null;
  }

  take(): void {
    const chunk = this.#unread;
    this.#unread = null;
    if (chunk !== null) this.speaker?.data(chunk);
  }

  leave(): void {
    this.#hasLeft = true;
    this.#gone?.end(LEFT);
    this.speaker?.close();
    this.speaker = null;
  }
}

/** A list of links and not a Set: a table that a Set has outgrown holds on to what was in it, until a large collection of garbage. */
export class Connections {
  readonly #clock: Clock;
  #first: Connection | null = null;
  #size = 0;
  #tick = 0;
  #isTicking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For Connection.until; `ms` from now, and no earlier. */
  in(ms: number): number {
    return this.#tick + Math.ceil(ms / TICK_MS) + 1;
  }

  /** There is no other. */
  get isOne(): boolean {
    return this.#first?.next === null;
  }

  get size(): number {
    return this.#size;
  }

  add(connection: Connection): void {
    this.#size += 1;
    connection.next = this.#first;
    if (this.#first !== null) this.#first.previous = connection;
    this.#first = connection;
    if (!this.#isTicking) void this.#run();
  }

  remove(connection: Connection): void {
    const { previous, next } = connection;
    this.#size -= 1;
    if (previous !== null) previous.next = next;
    else if (this.#first === connection) this.#first = next;
    if (next !== null) next.previous = previous;
    connection.previous = null;
    connection.next = null;
  }

  /** Each may leave while it is looked at. */
  *all(): Generator<Connection> {
    for (let connection = this.#first, next = connection; connection !== null; connection = next) {
      next = connection.next;
      yield connection;
    }
  }

  async #run(): Promise<void> {
    this.#isTicking = true;
    const { signal } = new AbortController(); // nobody ends it: it ends by itself
    try {
      // One more round after the last has left, so that callers who come and go do not start a timer each.
      for (let idle = 0; idle < 2; idle = this.#first === null ? idle + 1 : 0) {
        await this.#clock.sleep(TICK_MS, signal);
        this.#tick += 1;
        for (const { until, speaker, socket } of this.all()) {
          if (until > this.#tick) continue;
          if (speaker === null) socket.destroy();
          else speaker.late();
        }
      }
    } finally {
      this.#isTicking = false;
    }
  }
}
