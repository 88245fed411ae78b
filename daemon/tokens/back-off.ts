/**
 * When a grant may be refreshed again after the issuer answered with an error. Full jitter, so that many
 * laptops do not return in step after an outage; Retry-After (RFC 9110, section 10.2.3) is always honoured, an
 * hour at most. An issuer that cannot be reached at all is the circuit's business.
 */
import type { EpochMs } from '../../shared/names.ts';

const FIRST_MS = 500;
const LAST_MS = 30_000;
const RETRY_AFTER_MAX_MS = 3_600_000;

export type BackOff = {
  readonly failures: number;
  /** Of the first of them. */
  readonly since: EpochMs;
  readonly cause: string;
  /** By the clock that never jumps. */
  readonly notBeforeMs: number;
};

export const NO_BACK_OFF: BackOff = { failures: 0, since: 0 as EpochMs, cause: '', notBeforeMs: 0 };

type Failure = { readonly at: EpochMs; readonly boottimeMs: number; readonly cause: string; readonly retryAfterMs: number | null };

/** @param fraction - uniform in [0, 1) */
export function afterFailure(before: BackOff, { at, boottimeMs, cause, retryAfterMs }: Failure, fraction: number): BackOff {
  const failures = before.failures + 1;
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16));
  // At least half the ceiling: a wait of nearly nothing would be no back-off.
  const waitMs = retryAfterMs === null ? ceiling / 2 + (ceiling / 2) * fraction : Math.min(retryAfterMs, RETRY_AFTER_MAX_MS);
  return { failures, since: before.failures === 0 ? at : before.since, cause, notBeforeMs: boottimeMs + waitMs };
}
