/**
 * One connection to a message bus, as its client: calls with strings, and the signals that were asked for. The bus names
 * who sent a message, and whoever listens has to look, since any program of the machine may send to any other. A message
 * that is too long or makes no sense is passed over: nobody can end the connection, or fill the daemon, by sending.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Clock } from '../core/ports.ts';
import { BusFault, encodeCall, messageLength, readMessage } from './bus-message.ts';
import type { BusCall, BusMessage, BusValue } from './bus-message.ts';

export const BUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' } as const;

export type Bus = {
  /** The values of the answer. Rejects with BusFault for an error, a lost connection, and after the deadline. */
  call(call: BusCall): Promise<readonly BusValue[]>;
  /** Resolves when the connection is lost, or was closed. */
  readonly lost: Promise<void>;
  close(): void;
};

export type BusDeps = { readonly clock: Pick<Clock, 'sleep'>; readonly uid: number; readonly onSignal: (signal: BusMessage) => void };

const DEADLINE_MS = 2_000;
/** A list of all sessions of a machine takes a few KiB. */
const MESSAGE_MAX = 256 * 1024;
const LINE_MAX = 512;

/** @param path - of the bus's socket. Rejects with BusFault. */
export async function connectBus(path: string, deps: BusDeps): Promise<Bus> {
  const wire = new Wire(connect(path), deps);
  try {
    await wire.authenticate(deps.uid);
    await wire.call({ ...BUS, member: 'Hello', strings: [] });
    return wire;
  } catch (cause) {
    wire.close();
    throw cause;
  }
}

type Waiting = { readonly resolve: (message: BusMessage) => void; readonly reject: (fault: BusFault) => void };

class Wire implements Bus {
  readonly lost: Promise<void>;
  readonly #socket: Socket;
  readonly #deps: BusDeps;
  readonly #calls = new Map<number, Waiting>();
  #serial = 0;
  /** What has come and is no whole message yet. */
  #bytes: Buffer = Buffer.alloc(0);
  /** Of a message that is passed over. */
  #skip = 0;
  #accepted: { readonly resolve: () => void; readonly reject: (fault: BusFault) => void } | null = null;
  #isMessages = false;

  constructor(socket: Socket, deps: BusDeps) {
    this.#socket = socket;
    this.#deps = deps;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => socket.destroy()); // told by 'close'
    this.lost = new Promise((resolve) => {
      socket.once('close', () => {
        const fault = new BusFault('the connection to the bus is lost');
        this.#accepted?.reject(fault);
        for (const { reject } of this.#calls.values()) reject(fault);
        this.#calls.clear();
        resolve();
      });
    });
  }

  /** "Authentication Protocol": the kernel tells who we are, and the bus compares. */
  authenticate(uid: number): Promise<void> {
    this.#socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
    return this.#within(new Promise((resolve, reject) => {
      this.#accepted = { resolve, reject };
    }));
  }

  async call(call: BusCall): Promise<readonly BusValue[]> {
    this.#serial += 1;
    const serial = this.#serial;
    const answer = new Promise<BusMessage>((resolve, reject) => {
      if (this.#socket.destroyed) reject(new BusFault('the connection to the bus is lost'));
      else this.#calls.set(serial, { resolve, reject });
    });
    this.#socket.write(encodeCall(serial, call));
    try {
      const message = await this.#within(answer);
      if (message.kind === 'error') throw new BusFault(`${call.member}: ${message.errorName}`);
      return message.body();
    } finally {
      this.#calls.delete(serial);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #within<T>(work: Promise<T>): Promise<T> {
    const done = new AbortController();
    const late = this.#deps.clock.sleep(DEADLINE_MS, done.signal).then(() => {
      throw new BusFault('the bus did not answer in time');
    });
    late.catch(() => undefined); // it was answered first
    try {
      return await Promise.race([work, late]);
    } finally {
      done.abort();
    }
  }

  #take(chunk: Buffer): void {
    try {
      const skipped = Math.min(this.#skip, chunk.length);
      this.#skip -= skipped;
      const rest = chunk.subarray(skipped);
      this.#bytes = this.#bytes.length === 0 ? rest : Buffer.concat([this.#bytes, rest]);
      if (!this.#isMessages) this.#readLine();
      while (this.#isMessages && this.#readOne());
    } catch (cause) {
      // No message begins here, and where the next one would nobody can tell.
      if (!(cause instanceof BusFault)) throw cause;
      this.#socket.destroy();
    }
  }

  #readLine(): void {
    const end = this.#bytes.indexOf('\r\n');
    if (end < 0 && this.#bytes.length <= LINE_MAX) return;
    if (!this.#bytes.subarray(0, Math.max(end, 0)).toString('latin1').startsWith('OK ')) throw new BusFault('the bus does not let us in');
    this.#bytes = this.#bytes.subarray(end + 2);
    this.#isMessages = true;
    this.#socket.write('BEGIN\r\n');
    this.#accepted?.resolve();
  }

  /** False where there is no whole one. */
  #readOne(): boolean {
    const length = messageLength(this.#bytes);
    if (length === null) return false;
    if (length > MESSAGE_MAX) {
      this.#skip = Math.max(0, length - this.#bytes.length);
      this.#bytes = this.#bytes.subarray(Math.min(length, this.#bytes.length));
      return this.#skip === 0;
    }
    if (this.#bytes.length < length) return false;
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    try {
      this.#deliver(readMessage(bytes));
    } catch (cause) {
      if (!(cause instanceof BusFault)) throw cause; // somebody sent us nonsense, which says nothing of the rest
    }
    return true;
  }

  #deliver(message: BusMessage): void {
    if (message.kind === 'signal') this.#deps.onSignal(message);
    // Only the bus and who was called answer; the bus lets nobody else answer a call.
    else if (message.kind !== 'call') this.#calls.get(message.replySerial)?.resolve(message);
  }
}
