import type { TokenEndpointResponse } from 'openid-client';
import type { Profile } from '../core/domain.ts';
import type { TokenSet, Want } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { AnswerRefused } from './failures.ts';
import { grantedScopes } from './request-params.ts';

/** RFC 6749, appendix A.12, without the space: a token that could break out of a header is none. */
const TOKEN = /^[\x21-\x7e]+$/;

/** A token response by its shape (TK-09); whether scopes and life will do is judged by whoever asked. */
export function toTokenSet(response: TokenEndpointResponse, profile: Profile, want: Want): Omit<TokenSet, 'identity'> {
  if (response.token_type !== 'bearer') throw new AnswerRefused('issuer_response_invalid', 'the answer holds a token of another type than Bearer');
  if (!TOKEN.test(response.access_token)) throw new AnswerRefused('issuer_response_invalid', 'the answer holds an access token that no header can carry');
  return {
    accessToken: new Secret(response.access_token),
    tokenType: 'Bearer',
    expiresInS: response.expires_in ?? null,
    scope: grantedScopes(profile, want, response.scope),
    refreshToken: response.refresh_token === undefined ? null : new Secret(response.refresh_token),
  };
}
