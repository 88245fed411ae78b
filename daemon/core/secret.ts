import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

/** Whatever holds a secret: however it is printed, it says that it is one. */
export abstract class Unprinted {
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

/**
 * A value that must never be printed. `reveal()` is the only way out, so a search for it finds every place
 * where a secret can leave: issuer/, vault/ and ipc/encode.ts. The architecture test counts them.
 */
export class Secret extends Unprinted {
  readonly #value: string;

  constructor(value: string) {
    super();
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

  sameAs(other: Secret): boolean {
    return this.equals(other.#value);
  }

  /** Names the value in records without giving any of it away: a truncated HMAC under a key that stays here. */
  fingerprint(key: Uint8Array): string {
    return createHmac('sha256', key).update(this.#value).digest('base64url').slice(0, 22);
  }
}
