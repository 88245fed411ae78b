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

export function instantOf(clock: Pick<Clock, 'now' | 'boottimeMs' | 'bootId'>): Instant {
  return { now: clock.now(), boottimeMs: clock.boottimeMs(), bootId: clock.bootId };
}

export function spanFrom(at: Instant, ms: number): BootSpan {
  return { bootId: at.bootId, fromMs: at.boottimeMs, untilMs: at.boottimeMs + ms };
}
