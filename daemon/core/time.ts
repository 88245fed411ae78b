/**
 * One moment by both clocks of the machine. The time of day can be set by anybody; the clock since boot never
 * jumps and goes on while the machine sleeps, but means nothing after the next boot (TK-07).
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Clock } from './ports.ts';

export type Instant = {
  readonly now: EpochMs;
  readonly boottimeMs: number;
  /** Names the boot from which boottimeMs counts. */
  readonly bootId: string;
};

/** A span on the clock since boot; null where it is not known, as of records of an earlier build. */
export type BootSpan = { readonly bootId: string; readonly fromMs: number; readonly untilMs: number };

/** A moment that is kept: by the time of day and, where the boot is known, by the clock that never jumps. */
export type Moment = { readonly at: EpochMs; readonly boot: { readonly bootId: string; readonly ms: number } | null };

export function momentOf(at: Instant): Moment {
  return { at: at.now, boot: { bootId: at.bootId, ms: at.boottimeMs } };
}

/** A clock that was set back by more than this says nothing of what was before. */
const SET_BACK_MS = 60_000;

/** How long ago, by the clock that says more; Infinity where the time of day is before it and no other clock tells. */
export function sinceMs({ at, boot }: Moment, now: Instant): number {
  const byWall = now.now - at;
  if (boot?.bootId === now.bootId) return Math.max(byWall, now.boottimeMs - boot.ms);
  return byWall < -SET_BACK_MS ? Infinity : Math.max(0, byWall);
}

export function instantOf(clock: Pick<Clock, 'now' | 'boottimeMs' | 'bootId'>): Instant {
  return { now: clock.now(), boottimeMs: clock.boottimeMs(), bootId: clock.bootId };
}

export function spanFrom(at: Instant, ms: number): BootSpan {
  return { bootId: at.bootId, fromMs: at.boottimeMs, untilMs: at.boottimeMs + ms };
}
