import { ERRORS, EXIT, isErrorCode } from '../shared/errors.ts';
import type { ErrorCode } from '../shared/errors.ts';
import type { ConsentChallenge, LoginView, Problem } from '../shared/schemas.ts';

export type LocalFacts = {
  readonly hint?: string;
  readonly reason?: string;
  readonly cause?: unknown;
  /** With `login_required`: the sign-in that is pending. */
  readonly login?: LoginView;
};

/**
 * Everything that can go wrong, whether the daemon said it or this process found it. The fields are those
 * of the problem document (RFC 9457) of docs/errors.md.
 *
 * @example
 * ```ts
 * try { await getToken('work'); } catch (error) {
 *   if (error instanceof ValetkeyError && error.code === 'login_required') console.error(error.hint);
 * }
 * ```
 */
export class ValetkeyError extends Error {
  /** Stable; one of docs/errors.md. A newer daemon may send codes that this client does not know. */
  readonly code: ErrorCode | (string & {});
  /** URI that names the kind of problem (RFC 9457, section 3.1.1). */
  readonly type: string;
  /** HTTP status of the problem document. */
  readonly status: number;
  /** What kind of problem it is, in a few words; the same for all problems of this code. */
  readonly title: string;
  /** What happened this time. */
  readonly detail: string;
  /** The one next step. */
  readonly hint: string;
  /** With `login_required` and `flow_refused`: which of their reasons; else null. */
  readonly reason: string | null;
  /** The same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** Seconds until a new try makes sense, where the daemon knows. */
  readonly retryAfterS: number | null;
  /** With `issuer_unreachable`: since when it has failed, in seconds since 1970-01-01 UTC. */
  readonly since: number | null;
  /** With `login_required`: the sign-in that is pending and can be joined; else null. */
  readonly login: LoginView | null;
  /** With `login_required`: the last sign-in of the profile that was completed (null: none), for `newer_than`; undefined: not told. */
  readonly newestLogin: string | null | undefined;
  /** With `consent_required`: what a person has to see and confirm; else null. */
  readonly challenge: ConsentChallenge | null;
  /** Exit status that the CLI ends with. */
  readonly exit: number;
  /** Names the request in the daemon's log; null for problems that were found in this process. */
  readonly requestId: string | null;

  constructor(problem: Problem, cause?: unknown) {
    super(`${problem.title}: ${problem.detail}`, cause === undefined ? undefined : { cause });
    this.name = 'ValetkeyError';
    this.code = problem.code;
    this.type = problem.type;
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.hint = problem.hint;
    this.reason = problem.reason ?? null;
    this.retryable = problem.retryable;
    this.retryAfterS = problem.retry_after_s ?? null;
    this.since = problem.since ?? null;
    this.login = problem.login ?? null;
    this.newestLogin = problem.newest_login;
    this.challenge = problem.challenge ?? null;
    this.exit = isErrorCode(problem.code) ? ERRORS[problem.code].exit : EXIT.internal;
    this.requestId = problem.request_id ?? null;
  }

  /** A problem that this process found itself. */
  static local(code: ErrorCode, detail: string, facts: LocalFacts = {}): ValetkeyError {
    const { status, title, retryable, hint } = ERRORS[code];
    const reason = facts.reason === undefined ? {} : { reason: facts.reason };
    return new ValetkeyError({ type: `urn:valetkey:error:${code}`, title, status, detail, code, retryable, hint: facts.hint ?? hint, ...reason, login: facts.login }, facts.cause);
  }

  /** The problem document again. The one-time link and the user code of a sign-in stay out: this may be logged. */
  toJSON(): Record<string, unknown> {
    const { type, title, status, detail, code, retryable, hint } = this;
    return {
      type, title, status, detail, code, retryable, hint,
      ...(this.reason === null ? {} : { reason: this.reason }),
      ...(this.requestId === null ? {} : { request_id: this.requestId }),
      ...(this.retryAfterS === null ? {} : { retry_after_s: this.retryAfterS }),
      ...(this.since === null ? {} : { since: this.since }),
      ...(this.newestLogin === undefined ? {} : { newest_login: this.newestLogin }),
      ...(this.login === null ? {} : { login: { id: this.login.id, profile: this.login.profile, flow: this.login.flow, state: this.login.state, expires_at: this.login.expires_at } }),
    };
  }
}

/** The same problem with a next step that fits better here. */
export function withHint(error: ValetkeyError, hint: string): ValetkeyError {
  const { type, title, status, detail, code, retryable } = error;
  return new ValetkeyError({
    type, title, status, detail, code, retryable, hint, reason: error.reason ?? undefined, request_id: error.requestId ?? undefined,
    retry_after_s: error.retryAfterS ?? undefined, since: error.since ?? undefined, login: error.login ?? undefined, newest_login: error.newestLogin, challenge: error.challenge ?? undefined,
  }, error);
}

/** Reads a problem document; null if the body is something else. */
export function parseProblem(body: unknown): Problem | null {
  if (typeof body !== 'object' || body === null) return null;
  const problem = body as Partial<Problem>;
  const complete = typeof problem.code === 'string' && typeof problem.title === 'string' && typeof problem.detail === 'string'
    && typeof problem.status === 'number' && typeof problem.hint === 'string' && typeof problem.retryable === 'boolean';
  return complete ? (problem as Problem) : null;
}
