/**
 * The daemon, followed until the signal ends: what happens, and its state each time that something changed. Where it
 * goes, that is told, and it is tried again, for as long as it takes; a watcher never starts it, and does not wake the
 * one that a supervisor would start. What is wrong for good is thrown.
 */
import type { BrokerEvent } from '../../shared/schemas.ts';
import type { DaemonLink } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import type { Update } from './board.ts';

export type FeedDeps = {
  readonly link: Pick<DaemonLink, 'api' | 'events'>;
  /** It ended in good order, and would only be started by asking. */
  readonly hasLeft: () => boolean;
  /** Rejects when the signal ends. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly signal: AbortSignal;
};

/** Soon enough for who waits, and no load for a daemon that just came up. */
const PAUSES_MS = [200, 500, 1_000, 2_000] as const;
/** What changes without an event: a cached token that ended, an issuer that failed. */
const LOOK_EVERY_MS = 10_000;
/** However much happens, the state is asked for no more often. */
const LOOK_PAUSE_MS = 500;
/** They change nothing of the state, and come in masses. */
const WITHOUT_CHANGE: ReadonlySet<string> = new Set(['token_released', 'token_refused', 'peer_refused'] satisfies BrokerEvent['event'][]);
const GONE = 'the daemon is gone; it is waited for';
/** What passes by itself, and what is said meanwhile. */
const PASSING: ReadonlyMap<string, string> = new Map([
  ['daemon_unreachable', GONE], ['shutting_down', GONE],
  ['too_many_requests', 'the daemon has as many watchers as it takes; tried again'],
  ['deadline_exceeded', 'the daemon does not answer; tried again'],
]);

export async function feed(deps: FeedDeps, onUpdate: (update: Update) => void): Promise<void> {
  const { signal } = deps;
  for (let failures = 0; !signal.aborted; failures += 1) {
    let hasHeard = false;
    const why = await listen(deps, (update) => {
      hasHeard = true;
      onUpdate(update);
    });
    if (signal.aborted) return;
    if (hasHeard) failures = 0;
    onUpdate({ kind: 'lost', why });
    await deps.sleep(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 0, signal).catch(() => undefined); // nobody watches any more
  }
}

/** Until nothing is heard any more. @returns why */
async function listen({ link: { api, events }, hasLeft, sleep, signal }: FeedDeps, onUpdate: (update: Update) => void): Promise<string> {
  const over = new AbortController();
  const here = AbortSignal.any([signal, over.signal]);
  let wish: () => void = () => undefined;
  /** The state, at once and then when somebody wishes it. */
  const looks = async (): Promise<never> => {
    for (;;) {
      const wished = new Promise<void>((resolve) => {
        wish = resolve;
      });
      onUpdate({ kind: 'state', status: await api.status(here), approvals: await api.approvals(here) });
      await sleep(LOOK_PAUSE_MS, here);
      await Promise.race([wished, sleep(LOOK_EVERY_MS, here)]);
    }
  };
  if (hasLeft()) return 'no daemon runs; it is waited for';
  try {
    // First the stream: what happens while the state is asked for is not missed.
    const stream = await events(here);
    const reads = async (): Promise<void> => {
      for await (const event of stream) {
        onUpdate({ kind: 'event', event });
        if (!WITHOUT_CHANGE.has(event.event)) wish();
      }
    };
    const both = [reads(), looks()] as const;
    try {
      await Promise.race(both);
    } finally {
      over.abort();
      await Promise.allSettled(both);
    }
  } catch (error) {
    const why = passing(error);
    if (why === null && !signal.aborted) throw error;
    return why ?? GONE;
  }
  return GONE;
}

/** Null: it is for good. */
function passing(error: unknown): string | null {
  if (error instanceof ValetkeyError) return PASSING.get(error.code) ?? null;
  return error instanceof Error && 'code' in error ? GONE : null; // of the connection, such as ECONNRESET
}
