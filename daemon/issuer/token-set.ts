/**
 * What a token response brought, read from its members one by one: an answer that may not be used as it is
 * still holds a refresh token that has to be kept, or tokens that have to be revoked. Nothing here throws.
 */
import type { Profile } from '../core/domain.ts';
import type { TokenSet, Want } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { Members } from './answer.ts';
import type { Answer } from './exchange.ts';
import { grantedScopes } from './request-params.ts';

/** RFC 6749, appendix A.12, without the space, of a length that servers take in a header: what could break out of one is no token. */
const TOKEN = /^[\x21-\x7e]{1,65536}$/;

/**
 * The tokens of a successful answer by their shape (TK-09), `withheld` where the access token's will not do;
 * whether scopes and life will do is judged by whoever asked. Null: no token came.
 */
export function receivedTokens(answer: Answer | null, profile: Profile, want: Want): TokenSet | null {
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
    refreshTokenExpiresInS: null,
    authorizationExpiresInS: null,
    identity: null,
    withheld: whyUnusable(members, accessToken),
  };
}

function whyUnusable(members: Members, accessToken: string | null): string | null {
  if (textOf(members, 'token_type')?.toLowerCase() !== 'bearer') return 'the answer holds a token of another type than Bearer';
  if (accessToken === null) return 'the answer holds no access token';
  return TOKEN.test(accessToken) ? null : 'the answer holds an access token that no header can carry';
}

function textOf(members: Members, name: string): string | null {
  const value = members[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
