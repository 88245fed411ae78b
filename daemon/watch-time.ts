/**
 * Notices that the machine slept, or that somebody set its clock. Timers stand still during suspend, so the
 * clocks are compared with each other every few seconds; nothing is lost by either, it is only acted on sooner.
 */
import type { Clock, Log } from './core/ports.ts';

export type WatchDeps = { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal; readonly onResume: () => void };

const LOOK_MS = 10_000;
/** Less is a busy machine or a clock that is being corrected. */
const SLEPT_MS = 2_000;
const SET_MS = 5_000;

/** Until the signal ends. */
export async function watchTime({ clock, log, signal, onResume }: WatchDeps): Promise<void> {
  const look = (): { boot: number; awake: number; wall: number } => ({ boot: clock.boottimeMs(), awake: clock.awakeMs(), wall: clock.now() });
  let before = look();
  for (;;) {
    try {
      await clock.sleep(LOOK_MS, signal);
    } catch {
      return; // the daemon stops
    }
    const now = look();
    const sleptMs = now.boot - before.boot - (now.awake - before.awake);
    const setMs = now.wall - before.wall - (now.boot - before.boot);
    before = now;
    if (Math.abs(setMs) > SET_MS) log.warn('clock_was_set', { by_s: Math.round(setMs / 1000) });
    if (sleptMs < SLEPT_MS) continue;
    log.info('resumed', { slept_s: Math.round(sleptMs / 1000) });
    onResume();
  }
}
