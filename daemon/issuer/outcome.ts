/**
 * The one table from what openid-client, node and this folder throw to outcomes, by codes and
 * statuses, never by messages. Only an OAuth error is a verdict on a grant; a broken answer to a refresh that
 * may have succeeded never is. What no server can cause is thrown on.
 */
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import type { ErrorCode } from '../../shared/errors.ts';
import { BrokerError } from '../core/errors.ts';
import type { Rejected, TokenSet, Transient } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { chain, wireCause } from './causes.ts';
import type { Answer } from './exchange.ts';
import { AnswerRefused, KeysUnavailable, WireError } from './failures.ts';

/** OAuth errors (RFC 6749, RFC 8628, OIDC Core) that mean something of their own to a caller. */
const OAUTH_CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ['access_denied', 'access_denied'],
  ['expired_token', 'flow_timeout'],
  ['unmet_authentication_requirements', 'stepup_unmet'],
]);
/** Said of the server's own state, not of the request. */
const OAUTH_TRANSIENT = ['temporarily_unavailable', 'server_error'];
const HTTP_TRANSIENT = [408, 429];

/** @param spends - a success would have consumed a refresh token */
export function outcomeOf(error: unknown, answer: Answer | null, spends = false): Transient | Rejected {
  const known = firstOf(error, (link) => link instanceof BrokerError || link instanceof WireError || link instanceof KeysUnavailable || link instanceof AnswerRefused);
  if (known instanceof BrokerError) throw known;
  if (known instanceof WireError) return wireOutcome(known, spends);
  // Of a sign-in, whose code is spent by now: to wait for the keys would not bring it back.
  if (known instanceof KeysUnavailable) return rejected('issuer_unreachable', `its signing keys cannot be fetched (${known.reason})`);
  const status = answer?.status ?? 0;
  if (HTTP_TRANSIENT.includes(status) || status >= 500) return { ...transient(`http_${status}`, false, 'server'), retryAfterMs: answer?.retryAfterMs ?? null };
  if (known instanceof AnswerRefused && known.code !== 'issuer_response_invalid') return rejected(known.code, known.message);
  if (error instanceof ResponseBodyError) return oauthOutcome(error.error, error.error_description ?? '', answer);
  if (error instanceof AuthorizationResponseError) return oauthOutcome(cleanText(error.error, 64), cleanText(error.error_description ?? ''), answer);
  if (spends && isSuccess(status)) return transient('unreadable_answer', true, 'server');
  if (known instanceof AnswerRefused) return rejected(known.code, known.message);
  if (error instanceof ClientError && error.code?.startsWith('OAUTH_')) return rejected(...clientErrorSays(error.code, status));
  throw error;
}

function wireOutcome(error: WireError, spends: boolean): Transient | Rejected {
  const failed = error.status !== null && !isSuccess(error.status);
  // A success whose body is lost may have spent the token; an HTTP error has not.
  const answerLost = error.sent && !failed;
  if (error.cause instanceof AnswerRefused && !(spends && answerLost)) return rejected(error.cause.code, error.cause.message);
  return transient(error.cause instanceof AnswerRefused ? 'unreadable_answer' : wireCause(error), answerLost, error.status === null ? 'network' : 'server');
}

export function oauthOutcome(error: string, description: string, answer: Answer | null): Transient | Rejected {
  if (OAUTH_TRANSIENT.includes(error)) return { ...transient(error, false, 'server'), retryAfterMs: answer?.retryAfterMs ?? null };
  const subError = subErrorIn(answer);
  const said = [description, subError === null ? '' : `(${subError})`].filter((part) => part !== '').join(' ');
  return { kind: 'rejected', code: OAUTH_CODES.get(error) ?? 'issuer_refused', oauthError: error, subError, description: said === '' ? 'it gives no reason' : said, tokens: null };
}

/** Google's invalid_rapt is the end of an organisation's session, Entra's consent_required is about one resource. Cleaned in answer.ts. */
function subErrorIn(answer: Answer | null): string | null {
  const said = [answer?.members?.['error_subtype'], answer?.members?.['suberror']];
  return said.filter((word) => typeof word === 'string').find((word) => word !== '') ?? null;
}

export function rejected(code: ErrorCode, description: string): Rejected {
  return { kind: 'rejected', code, oauthError: null, subError: null, description, tokens: null };
}

/** A rejection takes along what came with the answer, so that it can be revoked. */
export function withTokens(outcome: Transient | Rejected, tokens: TokenSet | null): Transient | Rejected {
  return outcome.kind === 'rejected' && tokens !== null ? { ...outcome, tokens: { ...tokens, withheld: null } } : outcome;
}

function transient(cause: string, answerLost: boolean, reach: Transient['reach']): Transient {
  return { kind: 'transient', answerLost, retryAfterMs: null, cause, reach, timedOut: cause === 'timeout' };
}

function clientErrorSays(code: string, status: number): readonly [ErrorCode, string] {
  switch (code) {
    case 'OAUTH_HTTP_REQUEST_FORBIDDEN':
    case 'OAUTH_REQUEST_PROTOCOL_FORBIDDEN':
    case 'OAUTH_MISSING_SERVER_METADATA':
    case 'OAUTH_INVALID_SERVER_METADATA':
      return ['as_metadata_invalid', 'the issuer names no endpoint that may be used for this'];
    default:
      if (status >= 300 && status < 400) return ['issuer_response_invalid', `the endpoint answers with a redirect (${status}), which is not followed`];
      if (!isSuccess(status)) return ['issuer_response_invalid', `the endpoint answers ${status} without an OAuth error`];
      return ['issuer_response_invalid', 'the answer is not the JSON that OAuth 2.0 demands'];
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function firstOf(error: unknown, isKnown: (link: Error) => boolean): Error | null {
  for (const link of chain(error)) if (isKnown(link)) return link;
  return null;
}
