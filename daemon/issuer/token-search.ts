/**
 * Looks for a token in what goes out to somebody who may not have it: as it is, and in the encodings in which servers
 * repeat what they were sent. What could be its beginning is held back until the next bytes say that it is not, so a
 * token that is cut into pieces is found as well, and not one byte of it leaves before that.
 *
 * This stops servers that repeat their request by habit. One that wants to give the token away can encrypt it, and has
 * had it anyway: it is the resource that the token is for.
 */
import type { Secret } from '../core/secret.ts';

/** Shorter ones would be found by chance. */
const MIN_BYTES = 8;

/** Of base64 those letters that the bytes alone decide, wherever they stand in what was encoded (three places). */
function base64Forms(bytes: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64').replace(/=+$/, '');
    const from = [0, 2, 3][before] ?? 0;
    const partial = (before + bytes.length) % 3 === 0 ? 0 : 1;
    const middle = text.slice(from, text.length - partial);
    return [middle, middle.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

const percent = (text: string, letters: RegExp): string => text.replaceAll(letters, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

function formsOf(text: string): readonly (string | Buffer)[] {
  const bytes = Buffer.from(text, 'utf8');
  const encoded = [percent(text, /[^A-Za-z0-9._~-]/g), percent(text, /[^A-Za-z0-9]/g), percent(text, /./gs)];
  return [
    text, ...encoded, ...encoded.map((each) => each.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())),
    ...base64Forms(bytes), bytes.toString('hex'), bytes.toString('hex').toUpperCase(),
    // JSON and HTML, by those of its letters that are escaped there.
    text.replaceAll('/', '\\/'), text.replaceAll('+', '\\u002b').replaceAll('/', '\\u002f'), text.replaceAll('+', '&#43;').replaceAll('=', '&#61;').replaceAll('/', '&#47;'), text.replaceAll('+', '&#x2B;').replaceAll('=', '&#x3D;').replaceAll('/', '&#x2F;'),
    [...text].toReversed().join(''), Buffer.from(text, 'utf16le'), Buffer.from(text, 'utf16le').swap16(),
  ];
}

/** Of a JWT its signature by itself as well: what stands before it is known, or guessed, from other answers. */
function partsOf(token: string): readonly string[] {
  const parts = token.split('.');
  const last = parts.at(-1) ?? '';
  return parts.length >= 3 && last.length >= 32 ? [token, last] : [token];
}

export class TokenSearch {
  readonly #needles: readonly Buffer[];
  /** By their first byte, since that tells most of them apart. */
  readonly #beginnings: readonly (readonly Buffer[])[];
  readonly #longest: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(token: Secret) {
    const forms = partsOf(token.reveal()).flatMap(formsOf);
    const unique = new Map(forms.map((form) => Buffer.from(form)).map((bytes) => [bytes.toString('latin1'), bytes]));
    this.#needles = [...unique.values()].filter(({ length }) => length >= MIN_BYTES);
    this.#beginnings = Array.from({ length: 256 }, (_, first) => this.#needles.filter((needle) => needle[0] === first));
    this.#longest = Math.max(0, ...this.#needles.map(({ length }) => length));
  }

  /** What may go on of all so far; null: the token is in it, and nothing may. */
  next(chunk: Uint8Array): Buffer | null {
    const bytes = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    if (this.#isIn(bytes)) return null;
    const from = this.#beginningIn(bytes);
    // A copy: a part of a large buffer would hold all of it.
    this.#held = Buffer.from(bytes.subarray(from));
    return bytes.subarray(0, from);
  }

  /** What was held back, when nothing more comes. */
  end(): Buffer {
    return this.#held;
  }

  isIn(text: string): boolean {
    return this.#isIn(Buffer.from(text, 'latin1'));
  }

  #isIn(bytes: Buffer): boolean {
    return this.#needles.some((needle) => bytes.includes(needle));
  }

  /** Where the longest end begins that could be a beginning of one of them. */
  #beginningIn(bytes: Buffer): number {
    for (let at = Math.max(0, bytes.length - this.#longest + 1); at < bytes.length; at += 1) {
      if (this.#beginnings[bytes[at] ?? 0]?.some((needle) => begins(needle, bytes, at)) === true) return at;
    }
    return bytes.length;
  }
}

function begins(needle: Buffer, bytes: Buffer, at: number): boolean {
  const size = bytes.length - at;
  return size < needle.length && bytes.compare(needle, 0, size, at) === 0;
}
