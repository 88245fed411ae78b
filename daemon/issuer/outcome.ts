/**
 * The one table from what openid-client, undici, node and this folder throw to outcomes, by codes and
 * statuses, never by messages. Only an OAuth error is a verdict on a grant; a broken answer to a refresh that
 * may have succeeded never is. What no server can cause is thrown on.
 */
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import type { ErrorCode } from '../../shared/errors.ts';
import { BrokerError } from '../core/errors.ts';
import type { Rejected, TokenSet, Transient } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import type { Answer } from './exchange.ts';
import { AnswerRefused, KeysUnavailable, WireError } from './failures.ts';

/** Codes of node and undici. What is not here is `network`. */
const CAUSES: ReadonlyMap<string, string> = new Map([
  ...each('dns', 'ENOTFOUND'),
  ...each('refused', 'ECONNREFUSED'),
  ...each('unreachable', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL'),
  ...each('reset', 'ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_INVALID_EOF_STATE'),
  ...each('timeout', 'ETIMEDOUT', 'TimeoutError', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'),
  ...each('aborted', 'AbortError'),
  ...each('proxy', 'UND_ERR_ABORTED'),
  // X509_V_ERR_* as node names them.
  ...each('tls', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'CERT_SIGNATURE_FAILURE',
    'CERT_REVOKED', 'CERT_CHAIN_TOO_LONG', 'INVALID_CA', 'INVALID_PURPOSE', 'HOSTNAME_MISMATCH', 'EPROTO', 'UND_ERR_PRX_TLS'),
]);
const CAUSE_FAMILIES: readonly (readonly [string, string])[] = [
  ['EAI_', 'dns'], ['ERR_TLS_', 'tls'], ['ERR_SSL_', 'tls'], ['HPE_', 'protocol'],
  // zlib and brotli.
  ['Z_', 'unreadable'], ['ERR__', 'unreadable'],
];

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
  if (HTTP_TRANSIENT.includes(status) || status >= 500) return { ...transient(`http_${status}`, false), retryAfterMs: answer?.retryAfterMs ?? null };
  if (known instanceof AnswerRefused && known.code !== 'issuer_response_invalid') return rejected(known.code, known.message);
  if (error instanceof ResponseBodyError) return oauthOutcome(error.error, error.error_description ?? '', answer);
  if (error instanceof AuthorizationResponseError) return oauthOutcome(cleanText(error.error, 64), cleanText(error.error_description ?? ''), answer);
  if (spends && isSuccess(status)) return transient('unreadable_answer', true);
  if (known instanceof AnswerRefused) return rejected(known.code, known.message);
  if (error instanceof ClientError && error.code?.startsWith('OAUTH_')) return rejected(...clientErrorSays(error.code, status));
  throw error;
}

/** For logs and for keys_…: what became of the connection. */
export function wireCause(error: WireError): string {
  for (const link of chain(error.cause)) {
    const code = 'code' in link && typeof link.code === 'string' ? link.code : link.name;
    const cause = CAUSES.get(code) ?? CAUSE_FAMILIES.find(([prefix]) => code.startsWith(prefix))?.[1];
    if (cause !== undefined) return cause;
  }
  return 'network';
}

function wireOutcome(error: WireError, spends: boolean): Transient | Rejected {
  const failed = error.status !== null && !isSuccess(error.status);
  // A success whose body is lost may have spent the token; an HTTP error has not.
  const answerLost = error.sent && !failed;
  if (error.cause instanceof AnswerRefused && !(spends && answerLost)) return rejected(error.cause.code, error.cause.message);
  return transient(error.cause instanceof AnswerRefused ? 'unreadable_answer' : wireCause(error), answerLost);
}

export function oauthOutcome(error: string, description: string, answer: Answer | null): Transient | Rejected {
  if (OAUTH_TRANSIENT.includes(error)) return { ...transient(error, false), retryAfterMs: answer?.retryAfterMs ?? null };
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

function transient(cause: string, answerLost: boolean): Transient {
  return { kind: 'transient', answerLost, retryAfterMs: null, reach: cause.startsWith('http_') || OAUTH_TRANSIENT.includes(cause) || cause === 'unreadable_answer' ? 'server' : 'network', cause, timedOut: cause === 'timeout' };
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

function* chain(error: unknown): Generator<Error> {
  for (let link = error, depth = 0; link instanceof Error && depth < 8; link = link.cause, depth += 1) yield link;
}

function firstOf(error: unknown, isKnown: (link: Error) => boolean): Error | null {
  for (const link of chain(error)) if (isKnown(link)) return link;
  return null;
}

function each(cause: string, ...codes: readonly string[]): readonly (readonly [string, string])[] {
  return codes.map((code) => [code, cause]);
}
