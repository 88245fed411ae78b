/** What happens, for those who listen: a bounded fan-out without memory. */
import type { ProfileName } from '../shared/names.ts';
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Clock } from './core/ports.ts';
import type { Events } from './ipc/routes/broker.ts';

export function createEvents(clock: Clock): Events {
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
      signal.addEventListener('abort', () => subscriptions.delete(subscription), { once: true });
    },
    get subscribers(): number {
      return subscriptions.size;
    },
    subscribersOf: (by) => [...subscriptions].filter((subscription) => subscription.by === by).length,
  };
}
