import type { Preset } from '../preset.ts';

/** Any issuer with metadata, OpenID Connect or plain OAuth. The strictest traits: nothing is assumed. */
export const oidc: Preset = {
  title: 'Any issuer with metadata (OpenID Connect Discovery, RFC 8414)',
  vendorPages: [
    'https://openid.net/specs/openid-connect-discovery-1_0.html',
    'https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess',
    'https://www.rfc-editor.org/rfc/rfc8414',
  ],
  issuer: { kind: 'named', example: 'https://issuer.example.com' },
  endpoints: 'metadata',
  scopes: ['openid'],
  clientAuth: 'none',
  traits: {
    // OpenID Connect Core, section 11: without prompt=consent a server ignores offline_access.
    offlineScope: 'offline_access',
    authorizationParams: { prompt: 'consent' },
    pkce: 'listed',
    // RFC 8707; sent only where the profile or the request names a resource.
    resourceStyle: 'resource',
    scopeAliases: {},
    extraScopes: 'refuse',
    narrowing: 'unknown',
    redirectPorts: [],
    deviceVerificationHosts: [],
    refreshGraceS: null,
    // Any server may be behind this: ory/fosite, django-oauth-toolkit and league/oauth2-server end the older token.
    refreshAt: null,
    defaultExpiresInS: null,
  },
  caveats: [],
};
