import { setMaxListeners } from 'node:events';
import { ERRORS } from '../../shared/errors.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';

type DeadlineDeps = { readonly clock: Clock; readonly log: Log };

/** Why what belongs to a connection ends with it. One for all: an error is dear to make, and most of them nobody sees. */
export const LEFT = new BrokerError('cancelled', 'the caller left');

/** Of a deadline that nobody waits for any more; without a reason each would make an error of its own. */
const DONE = new Error('the work is done');

/** Something that may end, and whose signal is made only if somebody asks for it: most requests are answered first. */
export class Ending {
  #controller: AbortController | null = null;
  #reason: unknown = null;

  /** It may have ended already. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      setMaxListeners(0, this.#controller.signal); // one a request that is under way
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  end(reason: unknown): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/**
 * Waits for `working` until the signal of `outer` ends, or `ms` are over by deadline_exceeded; `own` is the
 * signal of the work, and ends with either. Then the caller is answered, whether or not the work heeds it:
 * what it began it may finish, and how it ended is logged.
 */
export async function untilDeadline<T>({ clock, log }: DeadlineDeps, ms: number, outer: AbortSignal, own: Ending, working: Promise<T>): Promise<T> {
  const { signal } = own;
  const ended = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const leave = (): void => own.end(outer.reason);
  // Not AbortSignal.any: the outer signal lives as long as a connection, and would gather one part a request.
  outer.addEventListener('abort', leave, { once: true });
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => own.end(new BrokerError('deadline_exceeded', `no answer within ${Math.round(ms / 1000)} s`)),
    () => undefined, // the work was done first
  );
  if (outer.aborted) leave();
  working.then(
    () => {
      if (signal.aborted) log.debug('finished_unheard');
    },
    (cause: unknown) => {
      if (!signal.aborted || cause === signal.reason) return;
      // What was wrong with the request is of no use to anybody now.
      if (cause instanceof BrokerError && ERRORS[cause.code].status < 500) log.debug('refused_unheard', { code: cause.code });
      else log.error('failed_unheard', {}, cause);
    },
  );
  try {
    return await Promise.race([working, ended]);
  } finally {
    done.abort(DONE);
    outer.removeEventListener('abort', leave);
  }
}

/** Runs `work` with a signal of its own, as untilDeadline() says. A throw before the first await is a rejection as well. */
export function withDeadline<T>(deps: DeadlineDeps, ms: number, outer: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const own = new Ending();
  if (outer.aborted) own.end(outer.reason);
  return untilDeadline(deps, ms, outer, own, started(work, own.signal));
}

async function started<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return work(signal);
}
