/** Tells the supervisor how the daemon is: that it serves, that it is locked, that it ends; and, where it asks for that, that the event loop still turns. */
import type { BrokerEvent } from '../shared/schemas.ts';
import type { Clock } from './core/ports.ts';
import type { Supervisor } from './core/supervisor-port.ts';
import type { Events } from './ipc/routes/broker.ts';

export type SuperviseDeps = {
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  readonly events: Events;
  readonly socket: string;
  /** The daemon begins to stop. */
  readonly signal: AbortSignal;
  /** It has stopped. */
  readonly stopped: Promise<unknown>;
  /** Another daemon goes on in its place, so nothing stops. */
  readonly isFollowed: () => boolean;
};

/** Once it serves. */
export function supervise({ supervisor, clock, events, socket, signal, stopped, isFollowed }: SuperviseDeps): void {
  const serving = `Serving on ${socket}`;
  const lines: Readonly<Partial<Record<BrokerEvent['event'], string>>> = {
    locked: 'Locked: no tokens until valetkey unlock',
    locked_out: 'Locked out by valetkey panic: no tokens until a person signs in',
    unlocked: serving,
  };
  supervisor.status(serving);
  supervisor.ready();
  events.subscribe('the supervisor', ({ event }) => {
    const line = lines[event];
    if (line !== undefined) supervisor.status(line);
  }, signal);
  signal.addEventListener('abort', () => (isFollowed() ? undefined : supervisor.stopping()), { once: true });
  if (supervisor.watchdogMs !== null) void beat(supervisor, supervisor.watchdogMs, clock, stopped);
}

/** Also while it drains, which takes longer than the watchdog waits. Twice as often as asked for, as sd_watchdog_enabled(3) advises. */
async function beat(supervisor: Supervisor, everyMs: number, clock: Clock, stopped: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  void stopped.then(() => over.abort());
  while (!over.signal.aborted) {
    supervisor.alive();
    await clock.sleep(everyMs / 2, over.signal).catch(() => undefined); // it has stopped
  }
}
