import type { Preset } from '../preset.ts';

export const atlassian: Preset = {
  title: 'Atlassian Cloud (OAuth 2.0 3LO)',
  vendorPages: ['https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/'],
  issuer: { kind: 'fixed', url: 'https://auth.atlassian.com', replaceable: false },
  endpoints: {
    authorization: '{issuer}/authorize',
    token: '{issuer}/oauth/token',
    revocation: null,
    deviceAuthorization: null,
  },
  scopes: ['read:me'],
  clientAuth: 'client_secret_post',
  traits: {
    offlineScope: 'offline_access',
    authorizationParams: { audience: 'api.atlassian.com', prompt: 'consent' },
    // Sent, but the vendor's page does not promise that it is checked: see the caveat.
    pkce: 'asserted',
    resourceStyle: 'none',
    scopeAliases: {},
    extraScopes: 'allow',
    narrowing: 'unknown',
    // The callback URL is compared to the letter, port included.
    redirectPorts: [18471],
    deviceVerificationHosts: [],
    refreshGraceS: null,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Register the redirect URI with its port as the callback URL of the app.',
    'Atlassian does not document PKCE: the challenge is sent, but what guards the code is the client secret of your own app.',
    'Atlassian has no revocation endpoint: revoke at https://id.atlassian.com/manage-profile/apps.',
  ],
};
