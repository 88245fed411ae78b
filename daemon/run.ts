/** The one daemon, from its claim to its end: opens the world, serves, and lets go of everything. Signals reach it here. */
import type { Claim, Environment } from './claim.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { openWorld } from './edges.ts';
import type { World } from './edges.ts';
import { sayWhy } from './ipc/last-words.ts';
import { asBrokerError } from './ipc/problem.ts';

/** Resolves when it has stopped. Throws BrokerError where it cannot start, once who waits was told for as long as `patience`. */
export async function run(claim: Claim, env: Environment, patience: () => Promise<void>): Promise<void> {
  try {
    await serve(claim, env);
  } catch (cause) {
    const { listener } = claim.inherited;
    // Where the daemon listened already its socket is closed, and nobody is told; what it ends with is on standard error.
    if (listener !== null) await sayWhy(listener, asBrokerError(cause), patience()).catch(() => undefined);
    throw cause;
  }
}

async function serve(claim: Claim, env: Environment): Promise<void> {
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
