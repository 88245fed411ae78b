/** The two steps of a stop that wait for others, each no longer than it has to. */
import type { Clock, Log } from './core/ports.ts';
import type { App } from './ipc/app.ts';
import { within } from './within.ts';

/** The answer to a refresh that was sent is waited for for a minute. Where a grace allows a second try, the next start may make it. */
const DRAIN_MS = 65_000;
const CLOSE_STEP_MS = 20;
const CLOSE_ROUNDS = 100;

/** What is on the wire is finished and saved; what takes longer than its time-outs allow is a mistake, and is left. */
export async function landed(work: Promise<unknown>, clock: Clock, log: Log): Promise<void> {
  let isDone = false;
  await within(clock, DRAIN_MS, work.then(() => {
    isDone = true;
  }));
  if (!isDone) log.error('drain_timed_out');
}

/** Requests in flight are answered; connections that only wait, streams among them, are ended. */
export async function closeApp(app: App, clock: Clock): Promise<void> {
  const closed = app.close();
  const never = new AbortController().signal;
  for (let round = 0; round < CLOSE_ROUNDS && app.busy > 0; round += 1) await clock.sleep(CLOSE_STEP_MS, never);
  app.end();
  await closed;
}
