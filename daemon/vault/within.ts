import type { Clock } from '../core/ports.ts';

/** Waits for the end of `work`, whatever it is, but no longer than this. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const late = clock.sleep(ms, over.signal).catch((cause: unknown) => {
    if (!over.signal.aborted) throw cause;
  });
  // Its failure belongs to whoever started it.
  await Promise.race([work.then(() => undefined, () => undefined), late]);
  over.abort();
}
