/** What happens, for those who listen: a bounded fan-out without memory. */
import type { ProfileName } from '../shared/names.ts';
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Clock } from './core/ports.ts';
import type { Events } from './ipc/routes/broker.ts';

export function createEvents(clock: Clock): Events {
  const listeners = new Set<(event: BrokerEvent) => void>();
  return {
    emit(event: BrokerEvent['event'], profile: ProfileName | null, detail: string | null): void {
      const at = Math.floor(clock.now() / 1000);
      for (const listener of listeners) listener({ at, event, profile, detail });
    },
    subscribe(listener, signal): void {
      listeners.add(listener);
      signal.addEventListener('abort', () => listeners.delete(listener), { once: true });
    },
    get subscribers(): number {
      return listeners.size;
    },
  };
}
