import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BusFault, encodeCall, messageLength, readMessage } from '../../../../daemon/platform/bus-message.ts';
import { encode } from '../../../support/stand-in-logind.ts';

const LIST = encode(7, {
  type: 2, replySerial: 3, destination: ':1.4', signature: 'a(susso)a{sv}',
  body: [[['c1', 1000, 'ann', 'seat0', '/s/c1'], ['2', 0, 'root', '', '/s/2']], [['LockedHint', ['b', true]], ['Type', ['s', 'wayland']], ['User', ['(uo)', [1000, '/u']]], ['None', ['as', []]]]],
});

/** Throws nothing but BusFault, whatever it is. */
function read(bytes: Buffer): unknown {
  try {
    const length = messageLength(bytes);
    if (length === null || bytes.length < length) return null;
    return readMessage(bytes.subarray(0, length)).body();
  } catch (cause) {
    if (cause instanceof BusFault) return null;
    throw cause;
  }
}

describe('a message of the bus', () => {
  it('is read as it was written', () => {
    expect(messageLength(LIST)).toBe(LIST.length);
    const message = readMessage(LIST);
    expect(message).toMatchObject({ kind: 'return', replySerial: 3, sender: '' });
    expect(message.body()).toEqual([
      [['c1', 1000, 'ann', 'seat0', '/s/c1'], ['2', 0, 'root', '', '/s/2']],
      [['LockedHint', true], ['Type', 'wayland'], ['User', [1000, '/u']], ['None', []]],
    ]);
  });

  it('is read in the byte order that it names', () => {
    // A method return of a big-endian machine: reply_serial 9, body u = 258.
    const bytes = Buffer.from([0x42, 2, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 15, 5, 1, 0x75, 0, 0, 0, 0, 9, 8, 1, 0x67, 0, 1, 0x75, 0, 0, 0, 0, 1, 2]);
    expect(messageLength(bytes)).toBe(bytes.length);
    expect(readMessage(bytes)).toMatchObject({ kind: 'return', replySerial: 9 });
    expect(readMessage(bytes).body()).toEqual([258]);
  });

  it('that is sent can be read', () => {
    const call = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', member: 'AddMatch', strings: ['type=\'signal\'', 'ä'] };
    const bytes = encodeCall(5, call);
    expect(messageLength(bytes)).toBe(bytes.length);
    expect(readMessage(bytes)).toMatchObject({ kind: 'call', path: call.path, interface: call.interface, member: call.member });
    expect(readMessage(bytes).body()).toEqual(call.strings);
  });

  it('that was changed, cut or made up is refused, and nothing else happens', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(LIST.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), (edits) => {
      const bytes = Buffer.from(LIST);
      for (const [at, byte] of edits) bytes[at] = byte;
      read(bytes);
    }), { numRuns: 3_000 });
    fc.assert(fc.property(fc.nat(LIST.length - 1), (length) => read(LIST.subarray(0, length)) === null));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void read(Buffer.from([0x6c, 4, 0, 1, ...bytes]))), { numRuns: 3_000 });
  });

  it('that nests without end is refused', () => {
    // Variants within variants: each says "v" once more.
    const body = Buffer.concat([...Array.from({ length: 64 }, () => Buffer.from([1, 0x76, 0])), Buffer.from([1, 0x79, 0, 7])]);
    const head = encode(1, { type: 4, path: '/x', interface: 'x.y', member: 'Z', signature: 'v', body: [['y', 7]] });
    const bytes = Buffer.concat([head.subarray(0, head.length - 4), body]);
    bytes.writeUInt32LE(body.length, 4);
    expect(() => readMessage(bytes).body()).toThrow('nested too deep');
  });
});
