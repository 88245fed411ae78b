import { ERRORS } from '../../shared/errors.ts';
import type { ErrorCode, LoginReason } from '../../shared/errors.ts';
import type { EpochMs, LoginId } from '../../shared/names.ts';
import type { ConsentChallenge, LoginView } from '../../shared/schemas.ts';

export type ErrorFacts = {
  /** The one next command; default is that of the table. */
  readonly hint?: string;
  /** Which of the reasons of login_required or flow_refused. */
  readonly reason?: LoginReason | string;
  readonly login?: LoginView;
  /** The profile's last completed sign-in as it was then; null: none. */
  readonly newestLogin?: LoginId | null;
  readonly challenge?: ConsentChallenge;
  readonly retryAfterS?: number;
  /** Since when it has been so. */
  readonly sinceMs?: EpochMs;
  /** For the operator's log only; never on the wire. */
  readonly cause?: unknown;
};

/**
 * What is broken or refused, with a code of the one table. `message` is for the caller: it says what failed
 * and where, and never holds a secret or text of a server that was not cleaned.
 */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'BrokerError';
    this.code = code;
    this.facts = facts;
  }

  get title(): string {
    return ERRORS[this.code].title;
  }

  get hint(): string {
    return this.facts.hint ?? ERRORS[this.code].hint;
  }
}

/** A token response that breaks a rule (TK-09), as its asker sees it. */
export function discardedAnswer(profile: { readonly issuer: string }, { why, hint }: { readonly why: string; readonly hint: string | null }): BrokerError {
  return new BrokerError('issuer_response_invalid', `the answer of ${profile.issuer} was discarded: ${why}`, hint === null ? {} : { hint });
}

/** Closes an exhaustive switch: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new Error(`a case was not handled: ${JSON.stringify(value)}`);
}
