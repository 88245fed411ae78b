import type { Preset } from '../preset.ts';

export const auth0: Preset = {
  title: 'Auth0',
  vendorPages: [
    'https://auth0.com/docs/get-started/authentication-and-authorization-flow/authorization-code-flow-with-pkce/call-your-api-using-the-authorization-code-flow-with-pkce',
    'https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation',
    'https://auth0.com/docs/get-started/applications/application-settings',
  ],
  issuer: {
    kind: 'tenant',
    // With the final slash: the metadata states it so.
    template: 'https://{tenant}/',
    tenant: {
      pattern: /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/,
      example: 'example.eu.auth0.com',
      meaning: 'the domain of the tenant',
    },
  },
  endpoints: 'metadata',
  scopes: ['openid', 'profile', 'email'],
  clientAuth: 'none',
  traits: {
    offlineScope: 'offline_access',
    authorizationParams: {},
    pkce: 'listed',
    resourceStyle: 'audience',
    scopeAliases: {},
    extraScopes: 'allow',
    narrowing: 'unknown',
    // Callback URLs are compared to the letter, port included.
    redirectPorts: [18471, 18472, 18473],
    deviceVerificationHosts: [],
    // The overlap period of rotation is off by default: name it in refresh_grace_s.
    refreshGraceS: null,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Create an application of the type "Native" and list each redirect URI with its port under Allowed Callback URLs.',
    'A refresh token comes only if the API of the audience has "Allow Offline Access" switched on.',
    'Without resource the access token is opaque and good for /userinfo alone.',
  ],
};
