/**
 * The 32 bytes that seal everything. They are zeroed on close(), but not under the hands of who is sealing
 * with them (half of a zeroed key would seal a file that opens never), nor while a refresh is on the wire
 * whose answer has yet to be saved.
 */
import { randomBytes } from 'node:crypto';
import { BrokerError } from '../core/errors.ts';

export const KEY_BYTES = 32;

export class DataKey {
  readonly #bytes: Buffer;
  #holds = 0;
  #closed = false;
  #zeroed = false;

  /** Takes the buffer over: it is zeroed when this is closed. */
  constructor(bytes: Buffer) {
    if (bytes.length !== KEY_BYTES) throw new Error(`a data key has ${KEY_BYTES} bytes`);
    this.#bytes = bytes;
  }

  /** Bytes of the kernel, in a Buffer from the start: the Random port makes strings, which cannot be zeroed. */
  static generate(): DataKey {
    return new DataKey(randomBytes(KEY_BYTES));
  }

  async use<T>(work: (bytes: Uint8Array) => Promise<T>): Promise<T> {
    this.hold();
    try {
      return await work(this.#bytes);
    } finally {
      this.release();
    }
  }

  /** Keeps the bytes until release(), also past close(). */
  hold(): void {
    if (this.#zeroed) throw new BrokerError('vault_locked', 'the vault is locked');
    this.#holds += 1;
  }

  release(): void {
    this.#holds -= 1;
    this.#zeroWhenDone();
  }

  close(): void {
    this.#closed = true;
    this.#zeroWhenDone();
  }

  #zeroWhenDone(): void {
    if (!this.#closed || this.#holds > 0) return;
    this.#bytes.fill(0);
    this.#zeroed = true;
  }
}
