/**
 * From bytes to frames. The first terminator of a connection, newline or form feed, is the only one it may
 * use. Neither may stand in a JSON string unescaped (RFC 8259, section 7), so the end of a frame is found
 * without reading it. Holds at most one frame, whose size is limited; every byte is looked at once.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { BrokerError } from '../../core/errors.ts';

const FRAME_LIMIT = 65_536;
const NEWLINE = 0x0a;
const FORM_FEED = 0x0c;
const EMPTY = Buffer.alloc(0);

type Terminator = '\n' | '\f';

export class FrameReader {
  #byte: number | null = null;
  #chunk: Buffer = EMPTY;
  #at = 0;
  #isAscii = true;
  /** The beginning of a frame whose end has not come. It grows by doubling: a byte at a time costs no more than a byte. */
  #held: Buffer = EMPTY;
  #heldBytes = 0;

  /** A newline where no frame has ended yet. */
  get terminator(): Terminator {
    return this.#byte === FORM_FEED ? '\f' : '\n';
  }

  /** Part of a frame has come, and its end has not. */
  get isWithin(): boolean {
    return this.#heldBytes > 0;
  }

  /** Only when next() has said null. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#isAscii = isAscii(chunk);
  }

  /** The next whole frame without its terminator; null: more has to come. Throws where the stream cannot be followed any more. */
  next(): string | null {
    const end = this.#findEnd();
    const bytes = this.#heldBytes + (end === -1 ? this.#chunk.length : end) - this.#at;
    if (bytes > FRAME_LIMIT) throw new BrokerError('payload_too_large', 'the frame is larger than 64 KiB');
    if (end === -1) {
      this.#hold(this.#chunk.length);
      return null;
    }
    const text = this.#heldBytes === 0 ? this.#textTo(end) : this.#textOfHeld(end);
    this.#at = end + 1;
    return text;
  }

  #findEnd(): number {
    if (this.#byte !== null) return this.#chunk.indexOf(this.#byte, this.#at);
    const ends = [NEWLINE, FORM_FEED].map((byte) => this.#chunk.indexOf(byte, this.#at)).filter((at) => at !== -1);
    if (ends.length === 0) return -1;
    const end = Math.min(...ends);
    this.#byte = this.#chunk[end] === NEWLINE ? NEWLINE : FORM_FEED;
    return end;
  }

  #textTo(end: number): string {
    if (this.#isAscii) return this.#chunk.toString('latin1', this.#at, end);
    return decode(this.#chunk.subarray(this.#at, end));
  }

  #textOfHeld(end: number): string {
    this.#hold(end);
    const text = decode(this.#held.subarray(0, this.#heldBytes));
    this.#held = EMPTY;
    this.#heldBytes = 0;
    return text;
  }

  #hold(end: number): void {
    const more = end - this.#at;
    const needed = this.#heldBytes + more;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(FRAME_LIMIT, Math.max(needed, this.#held.length * 2, 1_024)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    this.#chunk.copy(this.#held, this.#heldBytes, this.#at, end);
    this.#heldBytes = needed;
    this.#at = end;
  }
}

function decode(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new BrokerError('bad_request', 'the frame is not UTF-8');
  return bytes.toString('utf8');
}
