/**
 * Tells those who listen how often tokens leave, once a second: the audit counts them by the minute, and the hot path
 * does no more than that. While nobody listens nothing is counted here, and no timer runs.
 */
import type { Clock } from './core/ports.ts';
import type { Events } from './ipc/routes/broker.ts';
import type { Releases } from './ipc/routes/releases.ts';

const TELL_MS = 1_000;

export type TellDeps = { readonly clock: Clock; readonly events: Events; readonly releases: readonly Pick<Releases, 'takeUntold'>[]; readonly signal: AbortSignal };

/** Until the signal ends. */
export async function tellReleases({ clock, events, releases, signal }: TellDeps): Promise<void> {
  // What left before anybody listened is no news.
  for (const each of releases) each.takeUntold();
  for (;;) {
    try {
      await clock.sleep(TELL_MS, signal);
    } catch {
      return; // nobody listens any more
    }
    for (const { profile, caller, rule, count } of releases.flatMap((each) => each.takeUntold())) events.emit('token_released', profile, rule, { caller, count });
  }
}
