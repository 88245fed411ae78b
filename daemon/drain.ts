/** The end of the daemon: what is on the wire is finished and saved, who waits is answered, and everything is closed, in this order. */
import type { Approvals } from './approvals/approvals.ts';
import type { Dialogs } from './approvals/dialogs.ts';
import type { BrokerError } from './core/errors.ts';
import type { Audit, Clock, Log } from './core/ports.ts';
import type { Logins } from './flows/logins.ts';
import type { App } from './ipc/app.ts';
import type { Grants } from './tokens/grant-book.ts';
import type { JustInTime } from './tokens/just-in-time.ts';
import type { Revocations } from './tokens/revocations.ts';
import type { TokenSource } from './tokens/token-source.ts';
import { within } from './within.ts';

export type DrainDeps = {
  readonly dialogs: Pick<Dialogs, 'stop'>;
  readonly logins: Logins;
  readonly justInTime: Pick<JustInTime, 'end'>;
  readonly source: TokenSource;
  readonly revocations: Revocations;
  readonly book: Grants;
  readonly approvals: Pick<Approvals, 'consents'>;
  readonly app: App;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  /** The door is shut already; resolves when its connections have ended. */
  readonly closed: Promise<unknown>;
};

/** The answer to a refresh that was sent is waited for for a minute. Where a grace allows a second try, the next start may make it. */
const DRAIN_MS = 65_000;
/** Connections that said nothing yet are cut by the door within five seconds. */
const SOCKET_MS = 6_000;
const CLOSE_STEP_MS = 20;
const CLOSE_ROUNDS = 100;
/** Who came in the last moment is told, so that he asks the next daemon. */
const NEWCOMER_ROUNDS = 10;

export async function drain({ dialogs, logins, justInTime, source, revocations, book, approvals, app, audit, clock, log, closed }: DrainDeps, reason: string, why: BrokerError): Promise<void> {
  // A step that fails must not keep the others from happening: above all the refresh on the wire is saved.
  const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['dialogs', async () => dialogs.stop()],
    ['logins', () => logins.stop(why)],
    ['privileged access', async () => justInTime.end(null, 'stopped')],
    ['the wire', () => landed(Promise.all([source.settle(why), revocations.idle()]), clock, log)],
    ['grants', () => book.flush()],
    ['consents', () => approvals.consents.tellTime()],
    ['requests', () => closeApp(app, clock)],
    ['the socket', () => within(clock, SOCKET_MS, closed)],
    ['audit', () => audit.append({ event: 'daemon_stopped', profile: null, caller: null, request: null, facts: { reason } })],
    ['audit', () => audit.close()],
  ];
  for (const [what, step] of steps) await step().catch((cause: unknown) => log.error('stop_step_failed', { what }, cause));
}

/** What is on the wire is finished and saved; what takes longer than its time-outs allow is a mistake, and is left. */
async function landed(work: Promise<unknown>, clock: Clock, log: Log): Promise<void> {
  let isDone = false;
  await within(clock, DRAIN_MS, work.then(() => {
    isDone = true;
  }));
  if (!isDone) log.error('drain_timed_out');
}

/** Requests in flight are answered; connections that only wait, streams among them, are ended. */
async function closeApp(app: App, clock: Clock): Promise<void> {
  const closed = app.close();
  const never = new AbortController().signal;
  for (let round = 0; round < CLOSE_ROUNDS && (app.busy > 0 || (round < NEWCOMER_ROUNDS && app.hasNewcomer)); round += 1) await clock.sleep(CLOSE_STEP_MS, never);
  app.end();
  await closed;
}
