/**
 * What goes out to a reader. The answers of one turn leave in one write. While 64 KiB are unread it is full,
 * and nothing more should be made for it; a reader that leaves 256 KiB unread is cut off.
 */
import type { Socket } from 'node:net';

const FULL_BYTES = 65_536;
const CUT_BYTES = 262_144;

export class Outlet {
  readonly #socket: Socket;
  #text = '';
  #isAwaited = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get isFull(): boolean {
    if (this.#text.length > FULL_BYTES) this.flush();
    return this.#socket.writableLength > FULL_BYTES;
  }

  get isEmpty(): boolean {
    return this.#text === '' && this.#socket.writableLength === 0;
  }

  add(text: string): void {
    this.#text += text;
  }

  flush(): void {
    if (this.#text === '' || !this.#socket.writable) return;
    const text = this.#text;
    this.#text = '';
    this.#socket.write(text);
    if (this.#socket.writableLength > CUT_BYTES) this.#socket.destroy();
  }

  /** Once the reader has caught up; not at all where it has already. */
  whenRead(goOn: () => void): void {
    if (this.#isAwaited || this.#socket.writableLength === 0) return;
    this.#isAwaited = true;
    this.#socket.once('drain', () => {
      this.#isAwaited = false;
      goOn();
    });
  }

  /** The last that is said. The socket is closed when the other side has ended as well. */
  end(text: string): void {
    this.#socket.end(this.#text + text);
    this.#text = '';
  }
}
