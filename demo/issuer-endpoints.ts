/** Which endpoint of an authorization server a path belongs to, under oidc-provider's default routes. */
export type Endpoint =
  | 'discovery' | 'jwks' | 'authorization' | 'token' | 'device' | 'par' | 'revocation' | 'introspection' | 'userinfo' | 'page';

const EXACT: Readonly<Record<string, Endpoint>> = {
  '/jwks': 'jwks',
  '/auth': 'authorization',
  '/token': 'token',
  '/device/auth': 'device',
  '/request': 'par',
  '/token/revocation': 'revocation',
  '/token/introspection': 'introspection',
  '/me': 'userinfo',
};

const WELL_KNOWN = /^\/\.well-known\/(?:openid-configuration|oauth-authorization-server)/;

/** @param url - path and query, as on the request line. @param mount - the issuer's own path, or ''. */
export function endpointOf(url: string, mount: string): Endpoint {
  const [path = ''] = url.split('?', 1);
  if (WELL_KNOWN.test(path)) return 'discovery';
  const inside = path.startsWith(mount) ? path.slice(mount.length) : path;
  if (WELL_KNOWN.test(inside)) return 'discovery';
  // /auth/UID takes the authorization request up again after the sign-in pages; its answer holds the code.
  if (/^\/auth\/[\w-]+$/.test(inside)) return 'authorization';
  return EXACT[inside] ?? 'page';
}
