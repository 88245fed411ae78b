/**
 * What this folder throws inside itself. None of these leaves it: outcome.ts turns each into an outcome.
 */
import type { ErrorCode } from '../../shared/errors.ts';

/** No readable HTTP answer. The cause holds what node said. */
export class WireError extends Error {
  /** The request was begun on an open connection: whether it was processed is unknown. */
  readonly sent: boolean;
  /** Of an answer whose body failed. */
  readonly status: number | null;

  constructor(sent: boolean, status: number | null, cause: unknown) {
    super('the request failed', { cause });
    this.name = 'WireError';
    this.sent = sent;
    this.status = status;
  }
}

/** What node has no code for: the proxy would not pass us on, or somebody speaks no HTTP that can be followed. */
export class WireFault extends Error {
  readonly code: 'VALETKEY_PROXY' | 'VALETKEY_PROTOCOL' | 'VALETKEY_CLOSED';

  constructor(code: WireFault['code'], why: string, cause?: unknown) {
    super(why, cause === undefined ? undefined : { cause });
    this.name = 'WireFault';
    this.code = code;
  }
}

/** An answer that was read and may not be used. */
export class AnswerRefused extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, why: string, cause?: unknown) {
    super(why, cause === undefined ? undefined : { cause });
    this.name = 'AnswerRefused';
    this.code = code;
  }
}

/** The signing keys cannot be had now: says nothing about the token that was to be verified. */
export class KeysUnavailable extends Error {
  /** http_503, … or what became of the connection. */
  readonly reason: string;

  constructor(reason: string, cause?: unknown) {
    super('the signing keys of the issuer cannot be fetched', cause === undefined ? undefined : { cause });
    this.name = 'KeysUnavailable';
    this.reason = reason;
  }
}
