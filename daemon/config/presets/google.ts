import type { Preset } from '../preset.ts';

export const google: Preset = {
  title: 'Google',
  vendorPages: [
    'https://developers.google.com/identity/protocols/oauth2/native-app',
    'https://developers.google.com/identity/protocols/oauth2/limited-input-device',
    'https://developers.google.com/identity/openid-connect/openid-connect',
  ],
  issuer: { kind: 'fixed', url: 'https://accounts.google.com', replaceable: false },
  endpoints: 'metadata',
  scopes: ['openid', 'email', 'profile'],
  // The token endpoint answers "client_secret is missing" to a desktop client, PKCE or not.
  clientAuth: 'client_secret_post',
  traits: {
    offlineScope: null,
    // Without prompt=consent a refresh token comes at the first consent only, and never again.
    authorizationParams: { access_type: 'offline', prompt: 'consent' },
    pkce: 'listed',
    resourceStyle: 'none',
    scopeAliases: {
      email: ['https://www.googleapis.com/auth/userinfo.email'],
      profile: ['https://www.googleapis.com/auth/userinfo.profile'],
    },
    extraScopes: 'allow',
    narrowing: 'unknown',
    redirectPorts: [],
    deviceVerificationHosts: ['www.google.com', 'google.com'],
    refreshGraceS: null,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Create an OAuth client of the type "Desktop app"; any port and path of 127.0.0.1 is then accepted without being registered.',
    'The device flow needs a client of the type "TVs and Limited Input devices", and Google allows it few scopes.',
    'While the consent screen is in the state "Testing", refresh tokens end after seven days.',
  ],
};
