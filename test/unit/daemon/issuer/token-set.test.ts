/** Whatever else an answer holds, a refresh token in it comes out; nothing of it can make the reading throw. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMembers, regularAnswer } from '../../../../daemon/issuer/answer.ts';
import type { Answer } from '../../../../daemon/issuer/exchange.ts';
import { receivedTokens } from '../../../../daemon/issuer/token-set.ts';
import { scopes, someProfile } from '../../../support/builders.ts';

const WANT = { scopes: scopes('a'), resource: null };
/** As it comes off the wire. */
function answerOf(body: string, status = 200): Answer {
  const members = readMembers('application/json', body);
  return members === null ? { status, members, idToken: null, retryAfterMs: null } : { ...regularAnswer(status, members, ['refresh-token-EXAMPLE']), retryAfterMs: null };
}

const NAMES = [
  'access_token', 'token_type', 'expires_in', 'scope', 'id_token', 'interval', 'verification_url', 'error_description', 'error_subtype', 'suberror',
  '__proto__', 'constructor', 'toString', 'toJSON', 'valueOf', 'hasOwnProperty',
];

describe('the tokens of an answer', () => {
  it('hold the refresh token, whatever stands beside it', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.jsonValue())), fc.integer({ min: 200, max: 299 }), (members, status) => {
      const text = [...members, ['refresh_token', 'next-rt-EXAMPLE']].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',');
      const tokens = receivedTokens(answerOf(`{${text}}`, status), someProfile(), WANT);
      expect(tokens?.refreshToken?.reveal()).toBe('next-rt-EXAMPLE');
      expect(tokens?.withheld === null || typeof tokens?.withheld === 'string').toBe(true);
    }));
  });

  it.each([
    ['{"access_token":"at-EXAMPLE","token_type":"Bearer"}', 400], ['{"access_token":"at-EXAMPLE","token_type":"Bearer"}', 503],
    ['{"error":"invalid_grant","refresh_token":"rt-EXAMPLE"}', 200], ['{"access_token":"","refresh_token":""}', 200], ['{"access_token":7}', 200], ['{}', 200], ['[]', 200], ['{', 200],
  ])('are none in %s with %i', (body, status) => {
    expect(receivedTokens(answerOf(body, status), someProfile(), WANT)).toBeNull();
  });

  it('are to be used as they are where all is as it should be', () => {
    const body = '{"access_token":"at-EXAMPLE","token_type":"bEARER","expires_in":60,"scope":"a b","refresh_token":"rt-EXAMPLE"}';
    expect(receivedTokens(answerOf(body), someProfile(), WANT)).toMatchObject({ tokenType: 'Bearer', expiresInS: 60, scope: ['a', 'b'], identity: null, withheld: null });
    expect(receivedTokens(answerOf('{"access_token":"at-EXAMPLE","token_type":"Bearer"}'), someProfile(), WANT)).toMatchObject({ expiresInS: null, scope: null, refreshToken: null });
  });

  it.each<[string, object, number | null, number | null]>([
    ['nothing', {}, null, null],
    ['what the draft says', { refresh_token_timeout: 604_800, authorization_expires_in: 864_000 }, 604_800, 864_000],
    ['the end of the authorization alone', { authorization_expires_in: 10 }, null, 10],
    ['what Keycloak says', { refresh_expires_in: 1_800, 'not-before-policy': 0 }, 1_800, null],
    ['what Keycloak says of an offline token', { refresh_expires_in: 0 }, null, null],
    ['what GitHub says', { refresh_token_expires_in: 15_897_600 }, 15_897_600, null],
    ['what Intuit says', { x_refresh_token_expires_in: 8_726_400 }, 8_726_400, null],
    ['the draft and others', { refresh_expires_in: 7, refresh_token_timeout: 5, refresh_token_expires_in: 9 }, 5, null],
    ['0 and another', { refresh_expires_in: 0, refresh_token_expires_in: 9 }, 9, null],
    ['a text', { refresh_expires_in: '1800', authorization_expires_in: ' 60 ' }, 1_800, 60],
    ['broken seconds', { refresh_expires_in: 59.9, authorization_expires_in: 0.5 }, 59, null],
    ['more than a date can hold', { refresh_expires_in: 1e300, authorization_expires_in: 4e9 }, 3_155_760_000, 3_155_760_000],
    ['nonsense', { refresh_expires_in: 'soon', authorization_expires_in: [60] }, null, null],
    ['more nonsense', { refresh_expires_in: -1, authorization_expires_in: true }, null, null],
    ['nothing at all', { refresh_expires_in: null, authorization_expires_in: '' }, null, null],
  ])('say how long the refresh token lasts, and the authorization, given %s', (_name, members, refreshTokenExpiresInS, authorizationExpiresInS) => {
    const body = JSON.stringify({ access_token: 'at-EXAMPLE', token_type: 'Bearer', refresh_token: 'rt-EXAMPLE', ...members });
    expect(receivedTokens(answerOf(body), someProfile(), WANT)).toMatchObject({ refreshTokenExpiresInS, authorizationExpiresInS });
  });
});
