/** The error table by itself; what real servers and connections do is in the contract tests. */
import { ClientError } from 'openid-client';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { AnswerRefused, KeysUnavailable, WireError } from '../../../../daemon/issuer/failures.ts';
import type { Members } from '../../../../daemon/issuer/answer.ts';
import { oauthOutcome, outcomeOf, withTokens } from '../../../../daemon/issuer/outcome.ts';
import { tokenSet } from '../../../support/fakes.ts';

const coded = (code: string): Error => Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('x'), { code }) });
const wrapped = (cause: unknown): Error => new ClientError('something went wrong', { cause });
const clientError = (code: string): Error => Object.assign(new ClientError('x'), { code });

describe('the error table', () => {
  it.each([
    ['ENOTFOUND', 'dns'], ['EAI_AGAIN', 'dns'], ['ECONNREFUSED', 'refused'], ['EHOSTUNREACH', 'unreachable'], ['ECONNRESET', 'reset'], ['EPIPE', 'reset'], ['ERR_STREAM_PREMATURE_CLOSE', 'reset'], ['VALETKEY_CLOSED', 'reset'],
    ['ETIMEDOUT', 'timeout'], ['ERR_SOCKET_CONNECTION_TIMEOUT', 'timeout'], ['CERT_HAS_EXPIRED', 'tls'], ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'], ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls'],
    ['EPROTO', 'tls'], ['VALETKEY_PROXY', 'proxy'], ['VALETKEY_PROTOCOL', 'protocol'], ['HPE_INVALID_CONSTANT', 'protocol'], ['Z_DATA_ERROR', 'unreadable'], ['ERR__ERROR_FORMAT_PADDING_1', 'unreadable'], ['NOBODY_KNOWS', 'network'],
  ])('says of %s that it is %s', (code, cause) => {
    const before = { kind: 'transient', answerLost: false, retryAfterMs: null, cause, reach: 'network', timedOut: cause === 'timeout' };
    expect(outcomeOf(wrapped(new WireError(false, null, coded(code))), null, true)).toEqual(before);
    expect(outcomeOf(wrapped(new WireError(true, null, coded(code))), null, true)).toEqual({ ...before, answerLost: true });
    // An HTTP error whose body broke is an answer.
    expect(outcomeOf(wrapped(new WireError(true, 400, coded(code))), null, true)).toEqual({ ...before, reach: 'server' });
  });

  it('makes a lost answer of whatever was wrong with a success, and of nothing else', () => {
    const answer = { status: 200, members: {}, idToken: null, retryAfterMs: null };
    const broken = clientError('OAUTH_PARSE_ERROR');
    expect(outcomeOf(broken, answer, true)).toMatchObject({ kind: 'transient', answerLost: true });
    expect(outcomeOf(broken, answer)).toMatchObject({ kind: 'rejected', code: 'issuer_response_invalid' });
    expect(outcomeOf(broken, { ...answer, status: 404 }, true)).toMatchObject({ kind: 'rejected', code: 'issuer_response_invalid' });
    expect(outcomeOf(new AnswerRefused('id_token_invalid', 'x'), answer, true)).toMatchObject({ kind: 'rejected', code: 'id_token_invalid' });
    expect(outcomeOf(new KeysUnavailable('http_503'), answer)).toMatchObject({ kind: 'rejected', code: 'issuer_unreachable' });
    expect(outcomeOf(clientError('OAUTH_MISSING_SERVER_METADATA'), null)).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
  });

  it('throws on what is a mistake of the daemon or of its configuration', () => {
    const config = new BrokerError('config_invalid', 'x');
    expect(() => outcomeOf(wrapped(config), null)).toThrow(config);
    const mistake = new TypeError('undefined is not a function');
    expect(() => outcomeOf(mistake, null)).toThrow(mistake);
    expect(() => outcomeOf('text', null)).toThrow();
  });

  it.each([
    ['access_denied', 'access_denied'], ['expired_token', 'flow_timeout'], ['unmet_authentication_requirements', 'stepup_unmet'], ['invalid_grant', 'issuer_refused'],
    ['invalid_client', 'issuer_refused'], ['constructor', 'issuer_refused'], ['__proto__', 'issuer_refused'],
  ])('says of the OAuth error %s that it is %s', (error, code) => {
    expect(oauthOutcome(error, '', null)).toEqual({ kind: 'rejected', code, oauthError: error, subError: null, description: 'it gives no reason', tokens: null });
  });

  it.each<[string, Members, string | null, string]>([
    ['Google\'s', { error_subtype: 'invalid_rapt' }, 'invalid_rapt', 'it was (invalid_rapt)'],
    ['Entra\'s', { suberror: 'consent_required' }, 'consent_required', 'it was (consent_required)'],
    ['the one that says something', { error_subtype: '', suberror: 'bad_token' }, 'bad_token', 'it was (bad_token)'],
    ['none', {}, null, 'it was'],
    ['none where it is no text', { error_subtype: 7, suberror: true }, null, 'it was'],
    ['none where it is a list', { error_subtype: ['a'] }, null, 'it was'],
  ])('hands on %s word beside the error', (_name, members, subError, description) => {
    expect(oauthOutcome('invalid_grant', 'it was', { status: 400, members, idToken: null, retryAfterMs: null })).toMatchObject({ subError, description });
  });

  it('adds to a rejection what came with it, and to nothing else', () => {
    const tokens = tokenSet(1, { withheld: 'x' });
    const refused = oauthOutcome('invalid_grant', 'x', null);
    expect(withTokens(refused, tokens)).toEqual({ ...refused, tokens: { ...tokens, withheld: null } });
    expect(withTokens(refused, null)).toBe(refused);
    const later = oauthOutcome('server_error', 'x', null);
    expect(withTokens(later, tokens)).toBe(later);
  });
});
