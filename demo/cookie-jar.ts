/**
 * Cookies as RFC 6265bis has them, as far as a sign-in needs it: host-only, Path, Secure, SameSite, expiry.
 * Ports do not keep cookies apart (RFC 6265, section 8.5), so two servers on 127.0.0.1 see each other's.
 */
type Cookie = {
  readonly name: string;
  readonly value: string;
  readonly host: string;
  readonly path: string;
  readonly secure: boolean;
  readonly httpOnly: boolean;
  readonly sameSite: 'strict' | 'lax' | 'none';
  readonly expiresAt: number;
};

function pathMatches(path: string, cookiePath: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`);
}

function defaultPath(url: URL): string {
  const end = url.pathname.lastIndexOf('/');
  return end <= 0 ? '/' : url.pathname.slice(0, end);
}

/** Literal loopback addresses count as secure contexts in browsers. */
function isTrustworthy(url: URL): boolean {
  return url.protocol === 'https:' || url.hostname === '127.0.0.1' || url.hostname === '[::1]' || url.hostname === 'localhost';
}

function parseCookie(line: string, url: URL): Cookie | null {
  const [pair = '', ...rest] = line.split(';');
  const split = pair.indexOf('=');
  if (split < 1) return null;
  const attributes = new Map(rest.map((part) => {
    const [name = '', ...value] = part.split('=');
    return [name.trim().toLowerCase(), value.join('=').trim()];
  }));
  const secure = attributes.has('secure');
  if (secure && !isTrustworthy(url)) return null;
  const path = attributes.get('path');
  const maxAge = attributes.get('max-age');
  const expires = attributes.get('expires');
  const sameSite = attributes.get('samesite')?.toLowerCase();
  return {
    name: pair.slice(0, split).trim(),
    value: pair.slice(split + 1).trim(),
    host: url.hostname,
    path: path?.startsWith('/') ? path : defaultPath(url),
    secure,
    httpOnly: attributes.has('httponly'),
    sameSite: sameSite === 'strict' || sameSite === 'none' ? sameSite : 'lax',
    expiresAt: maxAge !== undefined ? Date.now() + Number(maxAge) * 1000 : expires !== undefined ? Date.parse(expires) : Infinity,
  };
}

export class CookieJar {
  #cookies: readonly Cookie[] = [];

  /** All live cookies, for tests. */
  get cookies(): readonly Cookie[] {
    return this.#cookies;
  }

  store(url: URL, lines: readonly string[]): void {
    for (const line of lines) {
      const cookie = parseCookie(line, url);
      if (cookie === null) continue;
      const others = this.#cookies.filter((c) => c.name !== cookie.name || c.host !== cookie.host || c.path !== cookie.path);
      this.#cookies = cookie.expiresAt > Date.now() ? [...others, cookie] : others;
    }
  }

  /** Value of the Cookie header for a top-level navigation; longer paths first. */
  header(url: URL, navigation: { readonly crossSite: boolean; readonly method: 'GET' | 'POST' }): string {
    return this.#cookies
      .filter((c) => c.host === url.hostname && pathMatches(url.pathname, c.path) && c.expiresAt > Date.now())
      .filter((c) => !c.secure || isTrustworthy(url))
      .filter((c) => !navigation.crossSite || c.sameSite === 'none' || (c.sameSite === 'lax' && navigation.method === 'GET'))
      .toSorted((a, b) => b.path.length - a.path.length)
      .map((c) => `${c.name}=${c.value}`)
      .join('; ');
  }
}
