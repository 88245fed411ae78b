import type { Clock } from './core/ports.ts';

/** Waits for the work, but no longer than this; the work goes on. What it rejects with meanwhile is passed on. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const late = clock.sleep(ms, done.signal).catch(() => null); // it was done first
  try {
    await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}
