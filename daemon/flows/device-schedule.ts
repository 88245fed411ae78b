/**
 * When the token endpoint may be polled again (RFC 8628, section 3.5): a pure step from one poll to the
 * next. Pauses only ever grow.
 */
import type { PollOutcome } from '../core/ports.ts';

/** Section 3.2: without `interval`, 5 seconds. */
export const DEFAULT_INTERVAL_S = 5;
const SLOW_DOWN_S = 5;
const LONGEST_S = 60;

/**
 * The pause before the next poll, in seconds.
 * @param beforeS - the pause before this one
 */
export function nextPauseS(beforeS: number, outcome: PollOutcome): number {
  if (outcome.kind === 'pending') return outcome.slowDown ? beforeS + SLOW_DOWN_S : beforeS;
  if (outcome.kind !== 'transient') return beforeS;
  // Section 3.5: after a connection timeout the rate MUST go down, by doubling; other failures are treated alike.
  const doubled = Math.max(beforeS, Math.min(beforeS * 2, LONGEST_S));
  return Math.max(doubled, (outcome.retryAfterMs ?? 0) / 1000);
}
