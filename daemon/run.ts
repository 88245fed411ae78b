/** The one daemon, from its claim to its end: opens the world, serves, and lets go of everything. Signals reach it here. */
import type { Claim, Environment } from './claim.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { openWorld } from './edges.ts';
import type { World } from './edges.ts';

/** Resolves when it has stopped. Throws BrokerError where it cannot start. */
export async function run(claim: Claim, env: Environment): Promise<void> {
  const world = await openWorld(claim, env);
  try {
    const daemon = await startDaemon(world.edges);
    listenForSignals(daemon, world);
    await daemon.stopped;
  } finally {
    await world.close();
  }
}

function listenForSignals(daemon: Daemon, { log, edges: { supervisor } }: World): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void daemon.stop(signal));
  process.on('SIGHUP', () => {
    log.reopen();
    supervisor.reloading();
    // Also where nothing changed because the new configuration has a mistake: the daemon serves.
    daemon.reload().catch((cause: unknown) => log.error('reload_failed', {}, cause)).finally(() => supervisor.ready());
  });
  // A mistake in one request must not take every other caller's tokens away; it is logged as what it is.
  process.on('unhandledRejection', (cause) => log.error('unhandled_rejection', {}, cause));
  // After this one nobody knows what state things are in: the daemon ends, and the log says of what.
  process.on('uncaughtExceptionMonitor', (cause) => log.error('uncaught_exception', {}, cause));
}
