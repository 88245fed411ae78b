/** What happens, for those who listen: a bounded fan-out without memory. */
import type { ProfileName } from '../shared/names.ts';
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Clock } from './core/ports.ts';
import type { Events } from './ipc/routes/broker.ts';

/** @param onHeard - somebody listens now; the signal ends when nobody does any more */
export function createEvents(clock: Clock, onHeard: (signal: AbortSignal) => void): Events {
  let heard: AbortController | null = null;
  const subscriptions = new Set<{ readonly by: string; readonly listener: (event: BrokerEvent) => void }>();
  const listeners: ((event: BrokerEvent) => void)[] = [];
  return {
    emit(event: BrokerEvent['event'], profile: ProfileName | null, detail: string | null, asked): void {
      const at = Math.floor(clock.now() / 1000);
      const { caller = null, count = null } = asked ?? {};
      const told: BrokerEvent = { at, event, profile, detail, ...(caller === null ? {} : { caller }), ...(count === null ? {} : { count }) };
      for (const { listener } of subscriptions) listener(told);
      for (const listener of listeners) listener(told);
    },
    listen: (listener) => void listeners.push(listener),
    subscribe(by, listener, signal): void {
      if (signal.aborted) return;
      const subscription = { by, listener };
      subscriptions.add(subscription);
      signal.addEventListener('abort', () => {
        subscriptions.delete(subscription);
        if (subscriptions.size > 0) return;
        heard?.abort();
        heard = null;
      }, { once: true });
      if (heard !== null) return;
      heard = new AbortController();
      onHeard(heard.signal);
    },
    get subscribers(): number {
      return subscriptions.size;
    },
    subscribersOf: (by) => [...subscriptions].filter((subscription) => subscription.by === by).length,
  };
}
