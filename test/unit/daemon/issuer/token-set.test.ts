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
});
