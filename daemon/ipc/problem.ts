/**
 * The one place that turns an error into what a caller sees: a problem document (RFC 9457). No stack, no
 * path of the daemon, no secret; what is not a BrokerError is `internal`, and its facts go to the log only.
 */
import { ERRORS } from '../../shared/errors.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import type { Problem } from '../../shared/schemas.ts';
import { BrokerError } from '../core/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export function problemOf(error: BrokerError, requestId: string | null): Problem {
  const row = ERRORS[error.code];
  const { reason, login, newestLogin, challenge, retryAfterS, sinceMs } = error.facts;
  return {
    type: `urn:valetkey:error:${error.code}`,
    title: row.title,
    status: row.status,
    detail: error.message,
    code: error.code,
    retryable: row.retryable,
    hint: error.hint,
    ...(requestId === null ? {} : { request_id: requestId }),
    ...(reason === undefined ? {} : { reason }),
    ...(login === undefined ? {} : { login }),
    ...(newestLogin === undefined ? {} : { newest_login: newestLogin }),
    ...(challenge === undefined ? {} : { challenge }),
    ...(retryAfterS === undefined ? {} : { retry_after_s: retryAfterS }),
    ...(sinceMs === undefined ? {} : { since: Math.floor(sinceMs / 1000) }),
  };
}

/** fastify's own errors, by their codes. */
const FASTIFY: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'the body is larger than 64 KiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['bad_request', 'the body must be application/json'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['bad_request', 'the body is empty'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['bad_request', 'the body is not valid JSON'],
  FST_ERR_BAD_URL: ['bad_request', 'the path is not valid'],
  FST_ERR_MAX_PARAM_LENGTH: ['bad_request', 'a part of the path is too long'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad_request', 'the body is not as long as Content-Length says'],
};

export function asBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = FASTIFY[code];
  if (known !== undefined) return new BrokerError(known[0], known[1], { cause: error });
  // secure-json-parse refuses __proto__ and constructor keys by a SyntaxError with this status.
  if (error instanceof SyntaxError) return new BrokerError('bad_request', 'the body is not valid JSON', { cause: error });
  return new BrokerError('internal', 'the request could not be answered', { cause: error });
}
