import type { Preset } from '../preset.ts';

export const keycloak: Preset = {
  title: 'Keycloak',
  vendorPages: [
    'https://www.keycloak.org/securing-apps/oidc-layers',
    'https://www.keycloak.org/docs/latest/server_admin/#_offline-access',
  ],
  issuer: { kind: 'named', example: 'https://sso.example.com/realms/REALM' },
  endpoints: 'metadata',
  scopes: ['openid', 'profile', 'email'],
  clientAuth: 'none',
  traits: {
    // A refresh token of the browser's session comes unasked; offline_access is a scope that a person adds.
    offlineScope: null,
    authorizationParams: {},
    pkce: 'listed',
    resourceStyle: 'none',
    scopeAliases: {},
    // Default client scopes are always granted.
    extraScopes: 'allow',
    narrowing: 'safe',
    // Registered as http://127.0.0.1 without a port, any port is taken.
    redirectPorts: [],
    deviceVerificationHosts: [],
    refreshGraceS: null,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Create a public client with "Standard flow", and register the redirect URI without a port.',
    'The refresh token ends with the single sign-on session. Add offline_access to scopes for one that outlives it.',
  ],
};
