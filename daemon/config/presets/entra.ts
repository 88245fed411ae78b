import type { Preset } from '../preset.ts';

export const entra: Preset = {
  title: 'Microsoft Entra ID',
  vendorPages: [
    'https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow',
    'https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code',
    'https://learn.microsoft.com/entra/identity-platform/reply-url',
    'https://learn.microsoft.com/entra/identity-platform/refresh-tokens',
  ],
  issuer: {
    kind: 'tenant',
    template: 'https://login.microsoftonline.com/{tenant}/v2.0',
    // By name, and for common, organizations and consumers, the metadata states another issuer than was asked.
    tenant: {
      pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      example: '00000000-0000-0000-0000-000000000000',
      meaning: 'the directory (tenant) ID, in lower case; a domain name, common, organizations and consumers do not identify one issuer',
    },
  },
  endpoints: 'metadata',
  scopes: ['openid', 'profile', 'email'],
  clientAuth: 'none',
  traits: {
    offlineScope: 'offline_access',
    authorizationParams: {},
    // S256 is documented; the metadata has no code_challenge_methods_supported.
    pkce: 'asserted',
    // `resource` beside scopes is refused (AADSTS901002): the resource is the first part of each scope.
    resourceStyle: 'scope_prefix',
    // Scopes of Microsoft Graph come back short or in full.
    scopeAliases: {
      'User.Read': ['https://graph.microsoft.com/User.Read'],
      'https://graph.microsoft.com/User.Read': ['User.Read'],
    },
    extraScopes: 'allow',
    narrowing: 'safe',
    redirectPorts: [],
    deviceVerificationHosts: ['microsoft.com', 'www.microsoft.com', 'login.microsoft.com'],
    // "doesn't revoke old refresh tokens when used to fetch new access tokens": an hour is the most a profile may say.
    refreshGraceS: 3600,
    refreshAt: 0.8,
    defaultExpiresInS: null,
  },
  caveats: [
    'Register the redirect URI for "Mobile and desktop applications". The portal refuses http with 127.0.0.1: add it in the manifest (replyUrlsWithType, type InstalledClient).',
    'The issuer has no revocation endpoint: after logout an access token lives until it expires.',
  ],
};
