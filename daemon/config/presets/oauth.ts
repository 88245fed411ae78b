import type { Preset } from '../preset.ts';

/** Any OAuth issuer without metadata: its endpoints are written out in the profile. */
export const oauth: Preset = {
  title: 'Any OAuth issuer without metadata (endpoints written out)',
  vendorPages: ['https://www.rfc-editor.org/rfc/rfc6749', 'https://www.rfc-editor.org/rfc/rfc8252'],
  issuer: { kind: 'named', example: 'https://issuer.example.com' },
  endpoints: 'written',
  scopes: [],
  clientAuth: 'none',
  traits: {
    offlineScope: null,
    authorizationParams: {},
    // Nothing can list S256 here, so the profile has to assert it: there is no sign-in without PKCE by accident.
    pkce: 'listed',
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
