import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** Runs `work` with a signal that ends with the caller's own, or after `ms` by deadline_exceeded. Nothing is left behind. */
export async function withDeadline<T>(clock: Clock, ms: number, outer: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => late.abort(new BrokerError('deadline_exceeded', `no answer within ${Math.round(ms / 1000)} s`)),
    () => undefined, // the work was done first
  );
  try {
    return await work(AbortSignal.any([outer, late.signal]));
  } finally {
    done.abort();
  }
}
