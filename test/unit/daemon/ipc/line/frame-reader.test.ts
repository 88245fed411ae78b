import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../../daemon/core/errors.ts';
import { FrameReader } from '../../../../../daemon/ipc/line/frame-reader.ts';

function read(reader: FrameReader, chunk: Buffer): string[] {
  reader.push(chunk);
  const frames: string[] = [];
  for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(frame);
  return frames;
}

describe('a reader of frames', () => {
  it('[IP-11] gives the same frames however the bytes are cut', () => {
    const text = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }).map((each) => each.replaceAll(/[\n\f]/g, '')), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(text, fc.constantFrom('\n', '\f'), fc.array(fc.nat(400), { maxLength: 12 }), (frames, terminator, cuts) => {
      const bytes = Buffer.from(frames.map((frame) => frame + terminator).join(''));
      const reader = new FrameReader();
      const found: string[] = [];
      let at = 0;
      for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
        found.push(...read(reader, bytes.subarray(at, cut)));
        at = Math.min(cut, bytes.length);
      }
      expect(found).toEqual(frames);
      expect(reader.isWithin).toBe(false);
      expect(reader.terminator).toBe(terminator);
    }));
  });

  it('keeps to the first terminator', () => {
    const reader = new FrameReader();
    expect(read(reader, Buffer.from('a\nb\fc\n'))).toEqual(['a', 'b\fc']);
    expect(read(new FrameReader(), Buffer.from('a\fb\nc\f'))).toEqual(['a', 'b\nc']);
  });

  it('knows that a frame has begun', () => {
    const reader = new FrameReader();
    read(reader, Buffer.from('{"a"'));
    expect(reader.isWithin).toBe(true);
    expect(read(reader, Buffer.from(':1}\n'))).toEqual(['{"a":1}']);
    expect(reader.isWithin).toBe(false);
  });

  it.each([['whole', 65_536], ['byte by byte', 1], ['by thirds', 22_000]])('[IP-11] takes 65,536 bytes and not one more, %s', (_, step) => {
    const feed = (length: number): string[] => {
      const bytes = Buffer.from(`${'x'.repeat(length)}\n`);
      const reader = new FrameReader();
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += step) found.push(...read(reader, bytes.subarray(at, at + step)));
      return found;
    };
    expect(feed(65_536)[0]).toHaveLength(65_536);
    expect(() => feed(65_537)).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
  });

  it('[IP-11] refuses what is not UTF-8, also in a frame that came in pieces', () => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
      expect(() => read(new FrameReader(), Buffer.from([0x7b, ...bytes, 0x0a]))).toThrow(BrokerError);
      const reader = new FrameReader();
      read(reader, Buffer.from([0x7b, ...bytes]));
      expect(() => read(reader, Buffer.from('}\n'))).toThrow('the frame is not UTF-8');
    }
  });
});
