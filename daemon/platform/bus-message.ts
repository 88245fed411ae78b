/**
 * Messages of D-Bus (D-Bus specification 0.43, "Message Protocol"): those that are sent, built; those that come, read.
 * What comes is anybody's: every length is held against what is there, nesting is bounded, and what does not fit throws
 * BusFault. A body is read only where somebody wants it.
 */
export class BusFault extends Error {}

export type BusValue = number | bigint | boolean | string | readonly BusValue[];
export type BusMessage = {
  readonly kind: 'call' | 'return' | 'error' | 'signal';
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly errorName: string;
  readonly sender: string;
  /** Of the call that this answers; 0: none. */
  readonly replySerial: number;
  /** Values as the signature says; a dictionary is an array of pairs, and a variant its value. */
  readonly body: () => readonly BusValue[];
};

const KINDS: readonly (BusMessage['kind'] | null)[] = [null, 'call', 'return', 'error', 'signal'];
const PROTOCOL = 1;
const LITTLE = 'l'.charCodeAt(0);
const BIG = 'B'.charCodeAt(0);
/** endianness, type, flags, version, body length, serial, length of the header's fields. */
const FIXED_BYTES = 16;
/** What the specification allows. */
const LENGTH_MAX = 128 * 1024 * 1024;
/** Names have 255 bytes at most, and the paths of login sessions fewer. */
const HEADER_MAX = 4_096;
const SIGNATURE_MAX = 255;
/** The specification's 32 arrays within 32 structures; nothing that is read here nests deeper than four. */
const DEPTH_MAX = 16;
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, sender: 7, signature: 8 } as const;

const padded = (offset: number, to: number): number => Math.ceil(offset / to) * to;
const ALIGNMENT: Readonly<Record<string, number>> = { y: 1, g: 1, v: 1, n: 2, q: 2, b: 4, i: 4, u: 4, s: 4, o: 4, a: 4, h: 4, x: 8, t: 8, d: 8, '(': 8, '{': 8 };

/** Bytes of the message that begins here; null: too few to tell. Throws BusFault where it is none. */
export function messageLength(bytes: Buffer): number | null {
  if (bytes.length < FIXED_BYTES) return null;
  const view = viewOf(bytes);
  const isLittle = endiannessOf(view);
  if (view.getUint8(3) !== PROTOCOL) throw new BusFault('a message of another protocol version');
  const length = padded(FIXED_BYTES + view.getUint32(12, isLittle), 8) + view.getUint32(4, isLittle);
  if (length > LENGTH_MAX) throw new BusFault('a message is too long');
  return length;
}

/** @param bytes - one message, whole */
export function readMessage(bytes: Buffer): BusMessage {
  const view = viewOf(bytes);
  const isLittle = endiannessOf(view);
  const kind = KINDS[view.getUint8(1)] ?? null;
  if (kind === null) throw new BusFault('a message of an unknown type');
  const bodyAt = bytes.length - view.getUint32(4, isLittle);
  if (bodyAt > HEADER_MAX) throw new BusFault('the header of a message is too long');
  const fields = new Map<number, BusValue>();
  const header = new Reader(view, 12, bodyAt, isLittle);
  for (const field of arrayOf(header.value('a(yv)', 0).value)) {
    const [code, value] = arrayOf(field);
    if (typeof code === 'number' && value !== undefined) fields.set(code, value);
  }
  const text = (code: number): string => {
    const value = fields.get(code);
    return typeof value === 'string' ? value : '';
  };
  const serial = fields.get(FIELD.replySerial);
  return {
    kind, path: text(FIELD.path), interface: text(FIELD.interface), member: text(FIELD.member), errorName: text(FIELD.errorName), sender: text(FIELD.sender),
    replySerial: typeof serial === 'number' ? serial : 0,
    body: () => {
      const signature = text(FIELD.signature);
      if (signature.length > SIGNATURE_MAX) throw new BusFault('a signature is too long');
      return new Reader(view, bodyAt, bytes.length, isLittle).all(signature);
    },
  };
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function endiannessOf(view: DataView): boolean {
  const mark = view.getUint8(0);
  if (mark !== LITTLE && mark !== BIG) throw new BusFault('no message begins here');
  return mark === LITTLE;
}

export function arrayOf(value: BusValue | undefined): readonly BusValue[] {
  if (!Array.isArray(value)) throw new BusFault('a value is no array');
  return value as readonly BusValue[]; // what Array.isArray leaves of the union
}

/** Offsets count from the message's start, which is where values are aligned to. A body begins at a multiple of 8. */
class Reader {
  readonly #view: DataView;
  readonly #end: number;
  readonly #isLittle: boolean;
  #at: number;

  constructor(view: DataView, at: number, end: number, isLittle: boolean) {
    this.#view = view;
    this.#at = at;
    this.#end = end;
    this.#isLittle = isLittle;
  }

  all(signature: string): readonly BusValue[] {
    const values: BusValue[] = [];
    for (let rest = signature; rest !== '';) {
      const { value, rest: after } = this.value(rest, 0);
      values.push(value);
      rest = after;
    }
    return values;
  }

  /** Reads the first type of the signature. @returns its value, and the signature behind it */
  value(signature: string, depth: number): { readonly value: BusValue; readonly rest: string } {
    if (depth > DEPTH_MAX) throw new BusFault('a value is nested too deep');
    const type = signature.charAt(0);
    const rest = signature.slice(1);
    switch (type) {
      case 'y': return { value: this.#view.getUint8(this.#take(1, 1)), rest };
      case 'n': return { value: this.#view.getInt16(this.#take(2, 2), this.#isLittle), rest };
      case 'q': return { value: this.#view.getUint16(this.#take(2, 2), this.#isLittle), rest };
      case 'b': return { value: this.#view.getUint32(this.#take(4, 4), this.#isLittle) === 1, rest };
      case 'i': return { value: this.#view.getInt32(this.#take(4, 4), this.#isLittle), rest };
      case 'u': case 'h': return { value: this.#u32(), rest };
      case 'x': return { value: this.#view.getBigInt64(this.#take(8, 8), this.#isLittle), rest };
      case 't': return { value: this.#view.getBigUint64(this.#take(8, 8), this.#isLittle), rest };
      case 'd': return { value: this.#view.getFloat64(this.#take(8, 8), this.#isLittle), rest };
      case 's': case 'o': return { value: this.#text(this.#u32()), rest };
      case 'g': return { value: this.#text(this.#view.getUint8(this.#take(1, 1))), rest };
      case 'v': return { value: this.#variant(depth), rest };
      case 'a': return this.#array(rest, depth);
      case '(': return this.#struct(rest, ')', depth);
      case '{': return this.#struct(rest, '}', depth);
      default: throw new BusFault('a type is not known');
    }
  }

  #variant(depth: number): BusValue {
    const signature = this.#text(this.#view.getUint8(this.#take(1, 1)));
    const { value, rest } = this.value(signature, depth + 1);
    if (rest !== '') throw new BusFault('a variant holds more than one value');
    return value;
  }

  #array(element: string, depth: number): { readonly value: BusValue; readonly rest: string } {
    const length = this.#u32();
    this.#take(0, ALIGNMENT[element.charAt(0)] ?? 1);
    const end = this.#at + length;
    if (end > this.#end) throw new BusFault('an array is longer than its message');
    const values: BusValue[] = [];
    while (this.#at < end) {
      const before = this.#at;
      values.push(this.value(element, depth + 1).value);
      if (this.#at === before) throw new BusFault('an array holds values of no length');
    }
    if (this.#at !== end) throw new BusFault('an array ends within a value');
    return { value: values, rest: behindType(element, depth + 1) };
  }

  #struct(members: string, close: string, depth: number): { readonly value: BusValue; readonly rest: string } {
    this.#take(0, 8);
    const values: BusValue[] = [];
    let rest = members;
    while (!rest.startsWith(close)) {
      const read = this.value(rest, depth + 1);
      values.push(read.value);
      rest = read.rest;
    }
    return { value: values, rest: rest.slice(1) };
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4, 4), this.#isLittle);
  }

  #text(length: number): string {
    const at = this.#take(length + 1, 1); // and its NUL
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at, length).toString('utf8');
  }

  /** @returns where the aligned value begins */
  #take(bytes: number, alignment: number): number {
    const at = padded(this.#at, alignment);
    if (at + bytes > this.#end) throw new BusFault('a value is longer than its message');
    this.#at = at + bytes;
    return at;
  }
}

/** The signature behind its first type, which no value was there to lead through. */
function behindType(signature: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new BusFault('a type is nested too deep');
  const type = signature.charAt(0);
  if (type === 'a') return behindType(signature.slice(1), depth + 1);
  if (type !== '(' && type !== '{') return signature.slice(1);
  const close = type === '(' ? ')' : '}';
  let rest = signature.slice(1);
  while (rest !== '' && !rest.startsWith(close)) rest = behindType(rest, depth + 1);
  if (rest === '') throw new BusFault('a signature does not end');
  return rest.slice(1);
}

export type BusCall = { readonly destination: string; readonly path: string; readonly interface: string; readonly member: string; readonly strings: readonly string[] };

/** A call with strings for arguments: nothing else is ever sent. */
export function encodeCall(serial: number, { destination, path, interface: name, member, strings }: BusCall): Buffer {
  const body = encodeStrings(strings);
  const fields: Buffer[] = [];
  let at = FIXED_BYTES;
  const field = (code: number, type: 'o' | 's' | 'g', value: string): void => {
    const lead = Buffer.alloc(padded(at, 8) - at);
    const head = Buffer.from([code, 1, type.charCodeAt(0), 0]);
    const text = Buffer.from(value);
    const length = type === 'g' ? Buffer.from([text.length]) : Buffer.alloc(4);
    if (type !== 'g') length.writeUInt32LE(text.length);
    const bytes = Buffer.concat([lead, head, length, text, Buffer.alloc(1)]);
    at += bytes.length;
    fields.push(bytes);
  };
  field(FIELD.path, 'o', path);
  field(FIELD.interface, 's', name);
  field(FIELD.member, 's', member);
  field(FIELD.destination, 's', destination);
  if (strings.length > 0) field(FIELD.signature, 'g', 's'.repeat(strings.length));
  const fixed = Buffer.alloc(FIXED_BYTES);
  fixed.set([LITTLE, 1, 0, PROTOCOL]);
  fixed.writeUInt32LE(body.length, 4);
  fixed.writeUInt32LE(serial, 8);
  fixed.writeUInt32LE(at - FIXED_BYTES, 12);
  return Buffer.concat([fixed, ...fields, Buffer.alloc(padded(at, 8) - at), body]);
}

function encodeStrings(strings: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const text of strings) {
    const bytes = Buffer.from(text);
    const part = Buffer.alloc(padded(at, 4) - at + 4 + bytes.length + 1);
    part.writeUInt32LE(bytes.length, padded(at, 4) - at);
    bytes.copy(part, padded(at, 4) - at + 4);
    at += part.length;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
