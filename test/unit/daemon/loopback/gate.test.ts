import { describe, expect, it } from 'vitest';
import { refuseRequest } from '../../../../daemon/loopback/gate.ts';

const AUTHORITY = '127.0.0.1:40123';
const NAVIGATION = ['Host', AUTHORITY, 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document', 'Sec-Fetch-Site', 'cross-site', 'Sec-Fetch-User', '?1'];
const head = (rawHeaders: readonly string[], over: { readonly method?: string; readonly target?: string } = {}) =>
  refuseRequest({ method: 'GET', target: '/callback?code=1', rawHeaders, ...over }, AUTHORITY);

describe('the gate', () => {
  it('lets a browser\'s navigation through, and a plain client\'s GET', () => {
    expect(head(NAVIGATION)).toBeNull();
    expect(head(['host', AUTHORITY])).toBeNull();
    expect(head(['Host', AUTHORITY, 'Content-Length', '0'])).toBeNull();
  });

  it.each([
    ['no Host', [], 'bad_host'],
    ['two Hosts', ['Host', AUTHORITY, 'Host', 'evil.example'], 'bad_host'],
    ['two equal Hosts', ['Host', AUTHORITY, 'hOsT', AUTHORITY], 'bad_host'],
    ['another name', ['Host', 'evil.example'], 'misdirected'],
    ['another name with our port', ['Host', 'evil.example:40123'], 'misdirected'],
    ['the name localhost', ['Host', 'localhost:40123'], 'misdirected'],
    ['no port', ['Host', '127.0.0.1'], 'misdirected'],
    ['another port', ['Host', '127.0.0.1:40124'], 'misdirected'],
    ['another spelling of the address', ['Host', '127.1:40123'], 'misdirected'],
    ['an Origin', [...NAVIGATION, 'Origin', 'null'], 'not_navigation'],
    ['fetch()', ['Host', AUTHORITY, 'Sec-Fetch-Mode', 'cors', 'Sec-Fetch-Dest', 'empty'], 'not_navigation'],
    ['an image', ['Host', AUTHORITY, 'Sec-Fetch-Mode', 'no-cors', 'Sec-Fetch-Dest', 'image'], 'not_navigation'],
    ['a frame', ['Host', AUTHORITY, 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'iframe'], 'not_navigation'],
    ['a mode that comes twice', [...NAVIGATION, 'Sec-Fetch-Mode', 'cors'], 'not_navigation'],
    ['a prefetch', [...NAVIGATION, 'Sec-Purpose', 'prefetch;prerender'], 'prefetch'],
    ['an old prefetch', [...NAVIGATION, 'Purpose', 'prefetch'], 'prefetch'],
    ['a body', [...NAVIGATION, 'Content-Length', '7'], 'bad_body'],
    ['a chunked body', [...NAVIGATION, 'Transfer-Encoding', 'chunked'], 'bad_body'],
  ])('refuses %s', (_what, rawHeaders, reason) => {
    expect(head(rawHeaders)).toBe(reason);
  });

  it.each(['HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'CONNECT', 'get'])('refuses the method %s', (method) => {
    expect(head(NAVIGATION, { method })).toBe('bad_method');
  });

  it.each(['http://127.0.0.1:40123/callback?code=1', '*', 'callback', ''])('refuses the target %j', (target) => {
    expect(head(NAVIGATION, { target })).toBe('bad_target');
  });
});
