/** The classes that the bundle puts in the place of Node's own: the same answers from both, for all that openid-client does. */
import { describe, expect, it } from 'vitest';
import * as ours from '../../../../daemon/issuer/fetch-classes.ts';

type Classes = Pick<typeof globalThis, 'Headers' | 'Response'>;

const MAKERS: readonly (readonly [string, Classes])[] = [
  ["Node's", globalThis],
  // What openid-client asks of them is all that they have.
  ['ours', ours as unknown as Classes],
];

describe.each(MAKERS)('%s Headers', (_whose, { Headers }) => {
  it('take names in any case and give them in small letters and in order', () => {
    const headers = new Headers({ 'User-Agent': 'valetkey', Accept: 'application/json' });
    headers.set('ACCEPT', ' text/html ');
    expect([...headers.entries()]).toEqual([['accept', 'text/html'], ['user-agent', 'valetkey']]);
    expect([headers.get('Accept'), headers.has('user-agent'), headers.get('cookie')]).toEqual(['text/html', true, null]);
  });

  it('join what is said twice, forget what is taken away, and are copied', () => {
    const headers = new Headers();
    headers.append('accept', 'application/json');
    headers.append('Accept', 'application/jwt');
    const copy = new Headers(headers);
    headers.delete('Accept');
    expect([headers.has('accept'), copy.get('accept')]).toEqual([false, 'application/json, application/jwt']);
  });

  it('say what they are, since openid-client looks there', () => {
    expect(Object.prototype.toString.call(new Headers())).toBe('[object Headers]');
  });
});

describe.each(MAKERS)('a Response of %s', (_whose, { Response }) => {
  it('is read once, and its copy once more', async () => {
    const response = Response.json({ a: 1 }, { status: 400 });
    expect([response.status, response.headers.get('content-type'), response.bodyUsed]).toEqual([400, 'application/json', false]);
    const copy = response.clone();
    expect(await response.json()).toEqual({ a: 1 });
    expect(response.bodyUsed).toBe(true);
    await expect(response.text()).rejects.toThrow(TypeError);
    expect(() => response.clone()).toThrow(TypeError);
    expect(await copy.text()).toBe('{"a":1}');
  });

  it('may have no body', async () => {
    const response = new Response(null, { status: 503, headers: { 'Retry-After': '5' } });
    expect([response.status, response.body, response.headers.get('retry-after')]).toEqual([503, null, '5']);
    expect(await response.text()).toBe('');
  });

  it('rejects what is no JSON', async () => {
    await expect(new Response('<html>').json()).rejects.toThrow(SyntaxError);
  });

  it('says what it is, since openid-client looks there', () => {
    expect(Object.prototype.toString.call(new Response(null))).toBe('[object Response]');
  });
});
