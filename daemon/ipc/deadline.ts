import { BrokerError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';

type DeadlineDeps = { readonly clock: Clock; readonly log: Log };

/**
 * Runs `work` with a signal that ends with the caller's own, or after `ms` by deadline_exceeded. Then the
 * caller is answered, whether or not `work` heeds the signal: what it began it may finish, and how it ended
 * is logged.
 */
export async function withDeadline<T>({ clock, log }: DeadlineDeps, ms: number, outer: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const end = new AbortController();
  const { signal } = end;
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const leave = (): void => end.abort(outer.reason);
  // Not AbortSignal.any: the outer signal lives as long as a connection, and would gather one part a request.
  outer.addEventListener('abort', leave, { once: true });
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => end.abort(new BrokerError('deadline_exceeded', `no answer within ${Math.round(ms / 1000)} s`)),
    () => undefined, // the work was done first
  );
  if (outer.aborted) leave();
  try {
    const working = started(work, signal);
    working.then(
      () => {
        if (signal.aborted) log.debug('finished_unheard');
      },
      (cause: unknown) => {
        if (signal.aborted && cause !== signal.reason) log.error('failed_unheard', {}, cause);
      },
    );
    return await Promise.race([working, ended]);
  } finally {
    done.abort();
    outer.removeEventListener('abort', leave);
  }
}

/** A throw before the first await is a rejection as well. */
async function started<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return work(signal);
}
