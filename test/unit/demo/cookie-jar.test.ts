/** Cookies as browsers keep them: the loopback listener's own protection is measured with this jar. */
import { describe, expect, it } from 'vitest';
import { CookieJar } from '../../../demo/cookie-jar.ts';

const here = new URL('http://127.0.0.1:4000/start/abc');
const get = { crossSite: false, method: 'GET' } as const;

function jarWith(...lines: readonly string[]): CookieJar {
  const jar = new CookieJar();
  jar.store(here, lines);
  return jar;
}

describe('cookie jar', () => {
  it('sends a cookie back to its host, whatever the port, and to no other host', () => {
    const jar = jarWith('a=1; Path=/');
    expect(jar.header(new URL('http://127.0.0.1:9/x'), get)).toBe('a=1');
    expect(jar.header(new URL('http://[::1]:4000/x'), get)).toBe('');
    expect(jar.header(new URL('http://localhost:4000/x'), get)).toBe('');
  });

  it('minds the path, by whole segments, and puts the longer path first', () => {
    const jar = jarWith('wide=1; Path=/', 'narrow=2; Path=/callback; HttpOnly');
    expect(jar.header(new URL('http://127.0.0.1:4000/callback?code=1'), get)).toBe('narrow=2; wide=1');
    expect(jar.header(new URL('http://127.0.0.1:4000/callback/x'), get)).toBe('narrow=2; wide=1');
    expect(jar.header(new URL('http://127.0.0.1:4000/callbackx'), get)).toBe('wide=1');
  });

  it('takes the directory of the page where no path is given', () => {
    expect(jarWith('a=1').cookies).toMatchObject([{ path: '/start' }]);
  });

  it('replaces and deletes', () => {
    const jar = jarWith('a=1; Path=/', 'a=2; Path=/', 'b=3; Path=/', 'b=; Path=/; Max-Age=0', 'c=4; Path=/', 'c=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT');
    expect(jar.header(here, get)).toBe('a=2');
  });

  it('keeps SameSite cookies from cross-site navigations as browsers do', () => {
    const jar = jarWith('strict=1; Path=/; SameSite=Strict', 'lax=2; Path=/; SameSite=Lax', 'default=3; Path=/', 'none=4; Path=/; SameSite=None; Secure');
    expect(jar.header(here, { crossSite: true, method: 'GET' })).toBe('lax=2; default=3; none=4');
    expect(jar.header(here, { crossSite: true, method: 'POST' })).toBe('none=4');
    expect(jar.header(here, get)).toBe('strict=1; lax=2; default=3; none=4');
  });

  it('takes no Secure cookie from a place that is not', () => {
    const jar = new CookieJar();
    jar.store(new URL('http://issuer.example/'), ['a=1; Secure']);
    expect(jar.cookies).toEqual([]);
  });
});
