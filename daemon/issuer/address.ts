/**
 * Which URLs of an issuer may be used at all: https, or http where the profile allows it and the host is
 * written as 127.0.0.1 or [::1]. Checked where metadata is read and again before every request.
 */
const MAX_LENGTH = 2048;
/** The letters themselves: WHATWG parsing would also accept 127.1, 0x7f000001 and the like. */
const LOOPBACK_HTTP = /^http:\/\/(?:127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:[/?]|$)/;
const NOT_IN_A_URL = /[^\x21-\x5b\x5d-\x7e]/;

/** Why the URL may not be used; null: it may. */
export function refusedUrl(text: string, allowLoopbackHttp: boolean): string | null {
  if (text.length > MAX_LENGTH) return 'is too long';
  // URL parsing would strip them in silence, and what was checked would not be what is used.
  if (NOT_IN_A_URL.test(text) || !URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'holds a name or password';
  if (text.includes('#')) return 'has a fragment';
  if (url.protocol === 'https:') return null;
  if (url.protocol !== 'http:') return 'is not https';
  if (!LOOPBACK_HTTP.test(text)) return 'is not https';
  return allowLoopbackHttp ? null : 'is http on loopback, which the profile does not allow (allow_loopback_http)';
}
