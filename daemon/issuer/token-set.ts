/**
 * What a token response brought, read from its members one by one: an answer that may not be used as it is
 * still holds a refresh token that has to be kept, or tokens that have to be revoked. Nothing here throws.
 */
import type { TokenSet, Want } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { Members } from './answer.ts';
import type { Answer } from './exchange.ts';
import { grantedScopes } from './request-params.ts';
import type { Asking } from './request-params.ts';

/** RFC 6749, appendix A.12, without the space, of a length that servers take in a header: what could break out of one is no token. */
const TOKEN = /^[\x21-\x7e]{1,65536}$/;

/** Idle limit of the refresh token: the draft's name, Keycloak's, that of GitHub and others, Intuit's. */
const REFRESH_TOKEN_LIFE = ['refresh_token_timeout', 'refresh_expires_in', 'refresh_token_expires_in', 'x_refresh_token_expires_in'];
/** draft-ietf-oauth-refresh-token-expiration-02, section 6.1. */
const AUTHORIZATION_LIFE = ['authorization_expires_in'];
/** A hundred years keep dates computable. The draft forbids to take a large value for none. */
const LONGEST_LIFE_S = 3_155_760_000;

/**
 * The tokens of a successful answer by their shape (TK-09), `withheld` where the access token's will not do;
 * whether scopes and life will do is judged by whoever asked. Null: no token came.
 */
export function receivedTokens(answer: Answer | null, profile: Asking, want: Want): TokenSet | null {
  if (answer === null || answer.members === null || answer.status < 200 || answer.status >= 300) return null;
  const { members } = answer;
  const accessToken = textOf(members, 'access_token');
  const refreshToken = textOf(members, 'refresh_token');
  if (accessToken === null && refreshToken === null) return null;
  const { expires_in: life, scope } = members;
  return {
    // Empty: only the refresh token came. It is withheld, and there is nothing to revoke (revoke.ts).
    accessToken: new Secret(accessToken ?? ''),
    tokenType: 'Bearer',
    expiresInS: typeof life === 'number' ? life : null,
    scope: grantedScopes(profile, want, typeof scope === 'string' ? scope : null),
    refreshToken: refreshToken === null ? null : new Secret(refreshToken),
    refreshTokenExpiresInS: lifeOf(members, REFRESH_TOKEN_LIFE),
    authorizationExpiresInS: lifeOf(members, AUTHORIZATION_LIFE),
    identity: null,
    withheld: whyUnusable(members, accessToken),
  };
}

function whyUnusable(members: Members, accessToken: string | null): string | null {
  if (textOf(members, 'token_type')?.toLowerCase() !== 'bearer') return 'the answer holds a token of another type than Bearer';
  if (accessToken === null) return 'the answer holds no access token';
  return TOKEN.test(accessToken) ? null : 'the answer holds an access token that no header can carry';
}

/** The first that says something: 0 is how Keycloak says of an offline token that nothing ends it. */
function lifeOf(members: Members, names: readonly string[]): number | null {
  for (const name of names) {
    const value = members[name];
    const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof seconds === 'number' && seconds >= 1) return Math.min(Math.floor(seconds), LONGEST_LIFE_S);
  }
  return null;
}

function textOf(members: Members, name: string): string | null {
  const value = members[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
