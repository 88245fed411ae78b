import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../daemon/core/secret.ts';
import { TokenSearch } from '../../../../daemon/issuer/token-search.ts';

const JWT = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"ada"}').toString('base64url')}.${randomBytes(256).toString('base64url')}`;
const OPAQUE = 'vk_aaab/aaab+EXAMPLE==aaab';

/** What goes on of these chunks; `isCut`: the rest does not. */
function through(token: string, chunks: readonly Buffer[]): { readonly out: string; readonly isCut: boolean } {
  const search = new TokenSearch(new Secret(token));
  let out = '';
  for (const chunk of chunks) {
    const next = search.next(chunk);
    if (next === null) return { out, isCut: true };
    out += next.toString('latin1');
  }
  return { out: out + search.end().toString('latin1'), isCut: false };
}

function cutAt(bytes: Buffer, at: readonly number[]): readonly Buffer[] {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const noise = fc.string({ unit: fc.constantFrom('a', 'b', 'v', 'k', '_', 'e', 'y', 'J', '.', ' '), maxLength: 300 });
const cuts = fc.array(fc.nat(), { maxLength: 8 });

describe('the search for a token', () => {
  it('finds it wherever it stands and however it was cut, and lets none of it out before', () => {
    fc.assert(fc.property(fc.constantFrom(JWT, OPAQUE), noise, noise, cuts, (token, before, after, at) => {
      const { out, isCut } = through(token, cutAt(Buffer.from(before + token + after), at));
      expect(isCut).toBe(true);
      expect(before.startsWith(out)).toBe(true);
    }));
  });

  it('lets everything else pass, to the byte', () => {
    fc.assert(fc.property(fc.constantFrom(JWT, OPAQUE), noise, fc.nat(40), cuts, (token, text, part, at) => {
      const all = text + token.slice(0, part % 20) + text;
      expect(through(token, cutAt(Buffer.from(all), at))).toEqual({ out: all, isCut: false });
    }));
  });

  it('passes bytes that are no text', () => {
    const bytes = randomBytes(100_000);
    expect(through(JWT, cutAt(bytes, [1, 77, 65_536]))).toEqual({ out: bytes.toString('latin1'), isCut: false });
  });

  it('finds the signature of a JWT by itself, since what stands before it is no secret', () => {
    expect(through(JWT, [Buffer.from(`{"signature":"${JWT.split('.')[2]}"}`)]).isCut).toBe(true);
    expect(through(JWT, [Buffer.from(`{"header":"${JWT.split('.')[0]}"}`)]).isCut).toBe(false);
  });

  it.each(Array.from({ length: 9 }, (_, i) => i))('finds it in base64 with %i bytes before it', (count) => {
    for (const coding of ['base64', 'base64url'] as const) {
      for (const token of [JWT, OPAQUE]) expect(through(token, [Buffer.from(Buffer.from(`${'x'.repeat(count)}${token}${'y'.repeat(count % 3)}`).toString(coding))]).isCut).toBe(true);
    }
  });

  it.each([
    ['encodeURIComponent', (token: string) => encodeURIComponent(token)], ['the same in small letters', (token: string) => encodeURIComponent(token).toLowerCase() === token ? token : encodeURIComponent(token).replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())],
    ['JSON that escapes slashes', (token: string) => JSON.stringify(token).replaceAll('/', '\\/')], ['HTML', (token: string) => token.replaceAll('+', '&#43;').replaceAll('=', '&#61;').replaceAll('/', '&#47;')],
    ['hexadecimal in capitals', (token: string) => Buffer.from(token).toString('hex').toUpperCase()],
  ])('finds it by %s', (_, form) => {
    expect(through(OPAQUE, [Buffer.from(`before ${form(OPAQUE)} after`)]).isCut).toBe(true);
  });

  it('holds back no more than could be the beginning of one', () => {
    const search = new TokenSearch(new Secret(OPAQUE));
    expect(search.next(Buffer.from('data: event\n\n'))?.toString()).toBe('data: event\n\n');
    expect(search.next(Buffer.from('vk_aa'))?.toString()).toBe('');
    expect(search.next(Buffer.from('c'))?.toString()).toBe('vk_aac');
  });
});
