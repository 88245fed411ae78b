/**
 * The one daemon, from its claim to its end: opens the world, serves, and lets go of everything. Signals reach it here.
 * Where another takes over from it and fails, it opens the world again and goes on.
 */
import type { Claim, Environment } from './claim.ts';
import { BrokerError } from './core/errors.ts';
import type { Ending } from './core/successor-port.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { checkWorld, openWorld } from './edges.ts';
import type { World } from './edges.ts';
import { sayWhy } from './ipc/last-words.ts';
import { asBrokerError } from './ipc/problem.ts';

/**
 * Resolves when it has stopped, to whether the lock is another's now. Throws BrokerError where it cannot start, once who
 * waits was told for as long as `patience`.
 */
export async function run(first: Claim, env: Environment, patience: () => Promise<void>): Promise<'stopped' | 'followed'> {
  let claim = first;
  let after = { mustOpen: false, failed: null as string | null };
  if (claim.predecessor !== null) {
    await checkWorld(claim);
    after = { ...await claim.predecessor.untilGo(), failed: null };
    claim.lock.claim();
  }
  for (;;) {
    const { world, ending } = await open(claim, env, after, patience);
    if (ending.kind === 'stopped') return 'stopped';
    const failed = await follow(ending, world);
    if (failed === null) return 'followed';
    world.log.error('upgrade_failed', { why: failed });
    claim.lock.claim();
    claim = { ...claim, predecessor: null, inherited: { ...claim.inherited, listener: ending.listener, holdsListener: ending.isHeld, keptKey: world.keptKey() } };
    after = { mustOpen: false, failed };
  }
}

async function open(claim: Claim, env: Environment, after: Parameters<typeof openWorld>[2], patience: () => Promise<void>): Promise<{ readonly world: World; readonly ending: Ending }> {
  try {
    const world = await openWorld(claim, env, after);
    return { world, ending: await serve(claim, world) };
  } catch (cause) {
    const { predecessor, inherited: { listener } } = claim;
    // What fails once the door is open leaves it open until the end: then some are answered as ever. Whose predecessor
    // waits to go on leaves the door to it.
    if (listener !== null && predecessor === null) await sayWhy(listener, asBrokerError(cause), patience()).catch(() => undefined);
    throw cause;
  }
}

async function serve({ predecessor }: Claim, world: World): Promise<Ending> {
  const quiet = new AbortController();
  try {
    const daemon = await startDaemon(world.edges);
    predecessor?.ready();
    listenForSignals(daemon, world, quiet.signal);
    return await daemon.stopped;
  } finally {
    quiet.abort();
    await world.close();
  }
}

/** Null where it serves; else why not, and then it is gone. */
async function follow({ successor, mustOpen }: Extract<Ending, { kind: 'followed' }>, { edges: { supervisor } }: World): Promise<string | null> {
  try {
    await successor.takeOver(mustOpen);
    supervisor.followedBy(successor.pid);
    return null;
  } catch (cause) {
    if (cause instanceof BrokerError) return cause.message;
    throw cause;
  }
}

function listenForSignals(daemon: Daemon, { log, edges: { supervisor } }: World, over: AbortSignal): void {
  const on = (event: string, act: (cause: unknown) => void): void => {
    process.on(event, act);
    over.addEventListener('abort', () => process.off(event, act), { once: true });
  };
  for (const signal of ['SIGTERM', 'SIGINT']) on(signal, () => void daemon.stop(signal));
  on('SIGHUP', () => {
    log.reopen();
    supervisor.reloading();
    // Also where nothing changed because the new configuration has a mistake: the daemon serves.
    daemon.reload().catch((cause: unknown) => log.error('reload_failed', {}, cause)).finally(() => supervisor.ready());
  });
  // A mistake in one request must not take every other caller's tokens away; it is logged as what it is.
  on('unhandledRejection', (cause) => log.error('unhandled_rejection', {}, cause));
  // After this one nobody knows what state things are in: the daemon ends, and the log says of what.
  on('uncaughtExceptionMonitor', (cause) => log.error('uncaught_exception', {}, cause));
}
