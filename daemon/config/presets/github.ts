import type { Preset } from '../preset.ts';

export const github: Preset = {
  title: 'GitHub',
  vendorPages: [
    'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
    'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app',
  ],
  // GitHub Enterprise Server is https://HOST/login/oauth.
  issuer: { kind: 'fixed', url: 'https://github.com/login/oauth', replaceable: true },
  endpoints: {
    authorization: '{issuer}/authorize',
    token: '{issuer}/access_token',
    revocation: null,
    deviceAuthorization: '{origin}/login/device/code',
  },
  scopes: ['read:user'],
  clientAuth: 'client_secret_post',
  traits: {
    offlineScope: null,
    authorizationParams: {},
    // Documented as S256 only; there is no metadata that could list it.
    pkce: 'asserted',
    resourceStyle: 'none',
    scopeAliases: {},
    extraScopes: 'allow',
    narrowing: 'unknown',
    // The port of a loopback redirect URI is not compared.
    redirectPorts: [],
    deviceVerificationHosts: ['github.com'],
    refreshGraceS: null,
    // After a refresh "the old user access token will no longer work".
    refreshAt: 1,
    // Tokens of an OAuth app never expire and the answer names no life: a day bounds what the broker hands out.
    defaultExpiresInS: 86_400,
  },
  caveats: [
    'Prefer a GitHub App with expiring user tokens: eight hours and a refresh token. The token of an OAuth app lives until it is revoked; Valetkey signs in anew after a day.',
    'GitHub has no revocation endpoint of RFC 7009: revoke at https://github.com/settings/applications.',
    'The device flow has to be enabled in the settings of the app; it needs no client secret: set client_auth = "none" and flow = "device".',
  ],
};
