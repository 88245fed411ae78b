/**
 * What a URL in the configuration may be. Each check returns the problem as a sentence, or null. Only
 * printable ASCII passes: the URL parser would silently drop or re-spell anything else, and issuers are
 * compared to the letter (RFC 8414, section 3.3).
 */
const PRINTABLE = /^[\x21-\x5b\x5d-\x7e]+$/;
/** To the letter: the parser also takes 127.1 and 0x7f000001 for 127.0.0.1. */
const LOOPBACK_HTTP = /^http:\/\/(?:127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:[/?]|$)/;

function parseUrl(text: string): URL | null {
  return PRINTABLE.test(text) && URL.canParse(text) ? new URL(text) : null;
}

/** An issuer's or endpoint's URL: https, or http to this machine where the profile allows it. */
function transportProblem(text: string, allowLoopbackHttp: boolean): string | null {
  const url = parseUrl(text);
  if (url === null || url.hostname === '') return 'is not a URL such as https://issuer.example.com';
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password';
  if (text.includes('#')) return 'must not have a fragment';
  if (url.protocol === 'https:') return null;
  if (url.protocol !== 'http:') return 'must begin with https://';
  if (!LOOPBACK_HTTP.test(text)) return 'must begin with https://; http is allowed for the literal hosts 127.0.0.1 and [::1] only';
  return allowLoopbackHttp ? null : 'uses http on this machine; set allow_loopback_http = true if that is meant';
}

/** An issuer identifier has neither query nor fragment (RFC 8414, section 2). */
export function issuerProblem(text: string, allowLoopbackHttp: boolean): string | null {
  return transportProblem(text, allowLoopbackHttp) ?? (text.includes('?') ? 'must not have a query' : null);
}

/** An endpoint may have a query, but no fragment (RFC 6749, section 3.1). */
export function endpointProblem(text: string, allowLoopbackHttp: boolean): string | null {
  return transportProblem(text, allowLoopbackHttp);
}

export function proxyProblem(text: string): string | null {
  const url = parseUrl(text);
  if (url === null) return 'is not a URL such as http://proxy.example.com:3128';
  if (url.protocol.startsWith('socks')) return 'names a SOCKS proxy, which is not supported; name an HTTP proxy (CONNECT)';
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must begin with http:// or https://';
  if (url.hostname === '') return 'has no host';
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password; secrets do not belong in this file';
  return url.pathname === '/' && url.search === '' && url.hash === '' ? null : 'must end after the port';
}

/** A host as it stands in a URL, with its port where that is not 443. */
export function hostProblem(text: string): string | null {
  const url = parseUrl(`https://${text}/`);
  return url !== null && url.host === text ? null : 'must hold bare host names in lower case, such as www.example.com';
}
