/** What ends a grant and what does not, by the words that real servers say to a refresh. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../../../daemon/tokens/refresh-verdict.ts';
import { scopes, someGrant } from '../../../support/builders.ts';
import { refusal } from '../../../support/fakes.ts';

const AS_SIGNED_IN = { scopes: null, resource: null };
const DEAD = { kind: 'park', reason: 'revoked_or_reused' };
const verdictOn = (error: string, description: string, want: Parameters<typeof judge>[2] = AS_SIGNED_IN) => judge(refusal(error, { description }), someGrant(), want);

describe('a refused refresh', () => {
  it.each([
    ['invalid_grant', 'Token is not active'],
    ['bad_refresh_token', 'The refresh token passed is incorrect or expired.'],
    ['invalid_refresh_token', 'it gives no reason'],
    ['token_inactive', 'Token is inactive because it is malformed, expired or otherwise invalid.'],
    ['invalid_token', 'Invalid refresh token (expired)'],
    ['invalid_request', 'The refresh token is invalid.'],
    ['invalid_request', 'Invalid "refresh_token" in request.'],
    ['invalid_request', 'Value passed for the token was invalid.'],
    ['invalid_request', 'refresh token expired'],
    ['invalid_request', 'Refresh token not found'],
    ['unauthorized_client', 'refresh_token is invalid'],
  ])('[TK-06] ends the grant where %s is said: %s', (error, description) => {
    expect(verdictOn(error, description)).toEqual(DEAD);
  });

  it.each([
    ['invalid_request', 'The token request is invalid.'],
    ['invalid_request', 'it gives no reason'],
    ['invalid_request', 'Missing or invalid parameter refresh_token'],
    ['invalid_request', 'The refresh_token is required; an invalid one was sent'],
  ])('asks for a sign-in and keeps the grant where it may be the request that is wrong: %s, %s', (error, description) => {
    expect(verdictOn(error, description)).toEqual({ kind: 'refused', code: 'login_required', message: description, reason: 'revoked_or_reused' });
  });

  it.each([
    ['unauthorized_client', 'The client is not allowed to use this grant type'],
    ['invalid_client', 'The refresh token is invalid.'],
    ['unsupported_grant_type', 'refresh token unknown'],
  ])('leaves the grant alone where the client is meant: %s, %s', (error, description) => {
    expect(verdictOn(error, description)).toMatchObject({ kind: 'refused', code: 'issuer_refused', reason: null });
  });

  it('leaves the grant alone where one caller asked for something of its own', () => {
    for (const want of [{ scopes: scopes('admin'), resource: null }, { scopes: null, resource: 'https://api.example' }]) {
      expect(verdictOn('invalid_request', 'The refresh token is invalid.', want)).toMatchObject({ kind: 'refused', code: 'issuer_refused' });
    }
  });
});
