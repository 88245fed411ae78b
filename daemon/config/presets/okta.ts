import type { Preset } from '../preset.ts';

export const okta: Preset = {
  title: 'Okta',
  vendorPages: [
    'https://developer.okta.com/docs/guides/refresh-tokens/main/',
    'https://developer.okta.com/docs/guides/implement-grant-type/authcodepkce/main/',
    'https://developer.okta.com/docs/guides/device-authorization-grant/main/',
  ],
  issuer: {
    kind: 'tenant',
    // The org authorization server; a custom one is named by issuer = "https://DOMAIN/oauth2/ID".
    template: 'https://{tenant}',
    tenant: {
      pattern: /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/,
      example: 'example.okta.com',
      meaning: 'the Okta domain',
    },
  },
  endpoints: 'metadata',
  scopes: ['openid', 'profile', 'email'],
  clientAuth: 'none',
  traits: {
    offlineScope: 'offline_access',
    authorizationParams: {},
    pkce: 'listed',
    // The audience belongs to the authorization server, not to the request.
    resourceStyle: 'none',
    scopeAliases: {},
    extraScopes: 'allow',
    narrowing: 'unknown',
    // Redirect URIs are compared to the letter, port included.
    redirectPorts: [18471, 18472, 18473],
    deviceVerificationHosts: [],
    // The grace period of rotation is each app's own setting (0 to 60 s): name it in refresh_grace_s.
    refreshGraceS: null,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Create a "Native Application" with the grant type Refresh Token, and register each redirect URI with its port.',
    'If rotation has a grace period, name it in refresh_grace_s: a lost answer then costs no sign-in.',
  ],
};
