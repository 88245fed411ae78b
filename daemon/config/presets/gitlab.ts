import type { Preset } from '../preset.ts';

export const gitlab: Preset = {
  title: 'GitLab',
  vendorPages: ['https://docs.gitlab.com/api/oauth2/', 'https://docs.gitlab.com/integration/openid_connect_provider/'],
  issuer: { kind: 'fixed', url: 'https://gitlab.com', replaceable: true },
  endpoints: 'metadata',
  scopes: ['openid', 'profile', 'email'],
  clientAuth: 'none',
  traits: {
    // A refresh token comes with every authorization.
    offlineScope: null,
    authorizationParams: {},
    // S256 is documented; whether the metadata lists it depends on the version.
    pkce: 'asserted',
    resourceStyle: 'none',
    scopeAliases: {},
    extraScopes: 'allow',
    narrowing: 'unknown',
    // Doorkeeper, which GitLab is built on, does not compare the port of a loopback redirect URI.
    redirectPorts: [],
    deviceVerificationHosts: [],
    // Refreshing invalidates both old tokens at once.
    refreshGraceS: null,
    // A refresh "invalidates the existing access_token": whoever holds it would lose it early.
    refreshAt: 1,
    defaultExpiresInS: null,
  },
  caveats: [
    'Create the application without the mark "Confidential", and give it every scope that the profile asks for.',
    'The device flow needs GitLab 17.3 or newer.',
  ],
};
