import { timingSafeEqual, createHash } from 'node:crypto';
import { inspect } from 'node:util';

/**
 * A value that must never be printed. `reveal()` is the only way out, so a search for it finds every place
 * where a secret can leave: issuer/, vault/ and ipc/encode.ts. The architecture test counts them.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** Compares in constant time, also where the lengths differ. */
  equals(other: string): boolean {
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    return timingSafeEqual(digest(this.#value), digest(other));
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
