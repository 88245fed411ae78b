/**
 * oidc-provider's configuration for the embedded issuer. Every default of which oidc-provider warns is given
 * here; that is its documented way to be quiet.
 */
import { randomBytes } from 'node:crypto';
import type { AdapterFactory, Configuration, JWK } from 'oidc-provider';
import { InvalidClientAuth, InvalidTarget } from 'oidc-provider/lib/helpers/errors.js';
import type { IssuerOptions } from './issuer.ts';
import { deviceCodePage, deviceConfirmPage, escapeHtml, page } from './issuer-pages.ts';

/** Seconds that things live. Read at every use, so that a test can change them while the issuer runs. */
export type Lifetimes = {
  accessTokenS: number;
  refreshTokenS: number;
  idTokenS: number;
  codeS: number;
  deviceCodeS: number;
  sessionS: number;
};

export type Parts = {
  readonly options: IssuerOptions;
  readonly path: string;
  readonly lifetimes: Lifetimes;
  readonly jwk: JWK;
  readonly alg: string;
  readonly adapter: AdapterFactory;
};

const OIDC_SCOPES = ['openid', 'offline_access', 'profile', 'email'];
const DEFAULT_SCOPES = ['read', 'write', 'admin'];

function defaultClaims(login: string): Readonly<Record<string, unknown>> {
  return { name: `${login} (EXAMPLE)`, email: `${login}@example.test`, email_verified: true };
}

export function issuerConfiguration({ options, path, lifetimes, jwk, alg, adapter }: Parts): Configuration {
  const scopes = options.scopes ?? DEFAULT_SCOPES;
  const claimsOf = options.claims ?? defaultClaims;
  const refreshTokens = options.refreshTokens ?? 'offline_access';
  const par = options.par ?? 'offered';
  return {
    adapter,
    jwks: { keys: [jwk] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: alg === 'ES256' ? 'ES256' : 'RS256' },
    enabledJWA: { idTokenSigningAlgValues: [alg === 'ES256' ? 'ES256' : 'RS256'] },
    scopes: [...OIDC_SCOPES, ...scopes],
    acrValues: options.acrValues ?? [],
    assertJwtClientAuthClaimsAndHeader: async (ctx, { aud, exp, iat }, { typ }) => {
      const lifeS = typeof exp === 'number' && typeof iat === 'number' ? exp - iat : Infinity;
      if (aud !== ctx.oidc.issuer || typ !== 'client-authentication+jwt' || lifeS > 60) throw new InvalidClientAuth('the assertion is not as RFC 10070 wants it');
    },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], acr: null, amr: null, auth_time: null, iss: null, sid: null },
    // Claims go into the ID token, as with most issuers, instead of the userinfo endpoint alone.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: options.rotateRefreshTokens ?? true,
    issueRefreshToken: async (_ctx, client, source) =>
      refreshTokens !== 'never' && client.grantTypeAllowed('refresh_token') && (refreshTokens === 'always' || source.scopes.has('offline_access')),
    expiresWithSession: () => false,
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...claimsOf(sub) }) }),
    interactions: { url: (_ctx, interaction) => `${path}/interaction/${interaction.uid}` },
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = page('Something is wrong', Object.entries(out).map(([name, value]) => `<p><b>${escapeHtml(name)}</b>: ${escapeHtml(String(value))}</p>`).join(''));
    },
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientAuthMethod !== 'none' },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      pushedAuthorizationRequests: { enabled: par !== 'none', requirePushedAuthorizationRequests: par === 'required' },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = page('Sign out?', `${form}<p><button form="op.logoutForm" name="logout" value="yes">Sign out</button></p>`);
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.body = page('Signed out', '');
        },
      },
      deviceFlow: {
        enabled: options.deviceFlow ?? true,
        userCodeInputSource: (ctx, form, _out, error) => {
          ctx.body = deviceCodePage(form, error === undefined ? null : 'This code is wrong, used up or expired.');
        },
        userCodeConfirmSource: (ctx, form, client, _info, userCode) => {
          ctx.body = deviceConfirmPage(form, client.clientId, userCode);
        },
        successSource: (ctx) => {
          ctx.body = page('Device connected', '<p>You may close this page.</p>');
        },
      },
      registration: { enabled: options.registers ?? false },
      clientCredentials: { enabled: options.workloads ?? false },
      resourceIndicators: {
        enabled: true,
        defaultResource: async (_ctx, _client, oneOf) => oneOf ?? options.defaultResource,
        // A token request without resource gets the one that was granted (RFC 8707, section 2.2).
        useGrantedResource: async () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (options.resources !== undefined && !options.resources.includes(resource)) throw new InvalidTarget();
          return { scope: scopes.join(' '), audience: resource, accessTokenFormat: options.accessTokenFormat ?? 'opaque' };
        },
      },
    },
    ttl: {
      AccessToken: () => lifetimes.accessTokenS,
      ClientCredentials: () => lifetimes.accessTokenS,
      AuthorizationCode: () => lifetimes.codeS,
      DeviceCode: () => lifetimes.deviceCodeS,
      IdToken: () => lifetimes.idTokenS,
      RefreshToken: () => lifetimes.refreshTokenS,
      Grant: () => lifetimes.refreshTokenS,
      Session: () => lifetimes.sessionS,
      Interaction: () => 600,
    },
  };
}
