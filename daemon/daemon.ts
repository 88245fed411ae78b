/**
 * The composition root: wires the parts over the edges, starts them in order and stops them in order.
 * Everything outside the process comes in through `Edges`; tests pass their own.
 */
import type { Server } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { ProfileName } from '../shared/names.ts';
import type { Caller } from './core/domain.ts';
import { Counts } from './core/counts.ts';
import { BrokerError } from './core/errors.ts';
import { Fingerprints } from './core/fingerprints.ts';
import type { Loopback } from './core/loopback-port.ts';
import type { KeychainTrial, Load } from './core/machine-port.ts';
import type { Ending, Listeners, Successors } from './core/successor-port.ts';
import { instantOf } from './core/time.ts';
import type { Audit, Callers, Clock, ConfigStore, Desktop, Issuer, LockoutMark, LoginSessions, Log, Peer, Pin, PolicyFiles, Random, ResourceServers, Vault } from './core/ports.ts';
import type { Supervisor } from './core/supervisor-port.ts';
import { bytesOf } from './asker-bytes.ts';
import { Askers, attend } from './attend.ts';
import type { AttendDeps } from './attend.ts';
import { isInterpreter } from './callers/script.ts';
import { drain } from './drain.ts';
import { createEvents } from './events.ts';
import { Approvals } from './approvals/approvals.ts';
import { Dialogs } from './approvals/dialogs.ts';
import { Consent } from './flows/consent.ts';
import { EndSessions } from './flows/end-session.ts';
import { Logins } from './flows/logins.ts';
import { StartLimit } from './flows/start-limit.ts';
import { StepUpTries } from './flows/step-up.ts';
import { Unproved } from './flows/unproved.ts';
import { Gate } from './gate.ts';
import { App } from './ipc/app.ts';
import { createDoor } from './ipc/door.ts';
import { Doorway } from './ipc/doorway.ts';
import { noteAnswer, noteWrongPin } from './ipc/routes/approval-records.ts';
import { noteAct } from './ipc/routes/approvals.ts';
import type { Broker, Facts, Lifecycle } from './ipc/routes/broker.ts';
import { createHandlers } from './ipc/routes/handlers.ts';
import { Releases } from './ipc/routes/releases.ts';
import { createLifecycle } from './lifecycle.ts';
import { observed } from './observed.ts';
import { openPolicies } from './policies.ts';
import { withContext } from './records.ts';
import { Admission } from './tokens/admission.ts';
import { Ahead } from './tokens/ahead.ts';
import { Circuits } from './tokens/circuit.ts';
import { Grants } from './tokens/grant-book.ts';
import { JustInTime } from './tokens/just-in-time.ts';
import { Metadata } from './tokens/metadata.ts';
import { Revocations } from './tokens/revocations.ts';
import { withAct } from './tokens/session.ts';
import { TokenSource } from './tokens/token-source.ts';
import { Screen } from './screen.ts';
import { supervise } from './supervise.ts';
import { tellReleases } from './tell-releases.ts';
import { Upgrades } from './upgrades.ts';
import { watchTime } from './watch-time.ts';
import type { Assertions, WorkloadIssuer } from './core/workload.ts';
import { revokeOfWorkload, tombstonesOf } from './workloads/revoke-tokens.ts';
import { WorkloadKeys } from './workloads/workload-keys.ts';
import { WorkloadTokens } from './workloads/workload-tokens.ts';

/** Everything outside the process. */
export type Edges = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly uid: number;
  /** This machine's name, for people. */
  readonly machine: string;
  readonly socket: string;
  /** Makes or verifies the private directory of the socket. */
  readonly prepareRuntimeDir: () => void;
  readonly supervisor: Supervisor;
  readonly listeners: Listeners | null;
  readonly successors: Successors;
  /** The vault was open in the daemon that this one takes over from: nobody is let in before it is open here. */
  readonly mustOpen: boolean;
  readonly facts: Facts;
  readonly config: ConfigStore;
  readonly policyFiles: PolicyFiles;
  readonly vault: Vault;
  readonly lockout: LockoutMark;
  /** Tries the keychain by using it; seconds at most. */
  readonly tryKeychain: () => Promise<KeychainTrial>;
  /** Frees what nobody holds any more: copies of a key that was forgotten. */
  readonly collectGarbage: () => void;
  readonly audit: Audit;
  readonly load: () => Load;
  readonly issuer: Issuer & WorkloadIssuer;
  readonly resources: ResourceServers;
  readonly assertions: Assertions;
  readonly callers: Callers;
  readonly desktop: Desktop;
  /** The file of the user's commands, and what runs one. */
  readonly hooks: AttendDeps['hooks'];
  readonly loginSessions: LoginSessions;
  /** SHA-256 of the script of the caller's program; null where there is none, or it cannot be told which bytes run. */
  readonly scriptDigestOf: (caller: Caller) => Promise<string | null>;
  readonly peerOf: (fd: number) => Peer;
  readonly pinOf: (fd: number) => Pin | null;
  /** Whether another broker answers where ssh, or a container, would have put its socket. */
  readonly isBrokerForwarded: () => Promise<boolean>;
  readonly createLoopback: (onRefused: (event: { readonly reason: string; readonly uid: number | null }) => void) => Loopback;
};

export type Daemon = {
  /** Drains: finishes and saves what is on the wire, then closes. May be called more than once. */
  stop(reason: string): Promise<unknown>;
  /** Resolves when it has stopped. */
  readonly stopped: Promise<Ending>;
  reload(): Promise<void>;
};

export async function startDaemon(outside: Edges): Promise<Daemon> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const policies = await openPolicies(outside);
  const events = createEvents(outside.clock, (heard) => void tellReleases({ clock: outside.clock, events, releases: [broker.releases, broker.workloads.releases], signal: heard }));
  const counts = new Counts();
  const askers = new Askers();
  const edges: Edges = { ...outside, audit: observed(withContext(outside.audit, policies, outside.machine), counts, events, (event) => askers.see(event)) };
  const { clock, log, vault, audit, config } = edges;
  const graceOf = (name: ProfileName): number | null => config.current().profiles.get(name)?.traits.refreshGraceS ?? null;
  const book = new Grants({ vault, audit, clock, log, graceOf, signal, onChange: (profile, what) => events.emit(what, profile, null) });
  const fingerprints = new Fingerprints();
  const keys = new WorkloadKeys(edges);
  const revocations = new Revocations({ ...edges, fingerprints, signal, revokeOfWorkload: (revocation) => revokeOfWorkload({ ...edges, keys }, revocation) });
  const gate = new Gate();
  const isLocked = (): boolean => gate.shut !== null;
  const { hooks, loginNeeded } = await attend({ ...edges, policies, book, gate, events, askers, signal });
  const circuits = new Circuits(edges);
  const source = new TokenSource({
    ...edges, book, revocations, fingerprints, isLocked,
    admission: new Admission({ ...edges, circuits }),
    serverOf: (grant) => metadata.serverOf(grant),
    onRefreshed: (profile) => {
      metadata.refreshed(profile);
      events.emit('token_refreshed', profile, null);
    },
    onServed: (profile, token, need, at) => ahead.served(profile, token, need, at),
  });
  const tokens = new WorkloadTokens({
    ...edges, keys, circuits, fingerprints, isLocked,
    discard: (held) => void revocations.revoke(tombstonesOf(edges, [held])).catch((cause: unknown) => log.error('revocation_worker_failed', {}, cause)),
  });
  const metadata = new Metadata({ ...edges, book });
  const ahead = new Ahead({ ...edges, book, source, signal });
  const noteRefusal = (facts: Readonly<Record<string, unknown>>): void => {
    audit.append({ event: 'peer_refused', profile: null, caller: null, request: null, facts })
      .catch((cause: unknown) => log.error('audit_failed', { event: 'peer_refused' }, cause));
  };
  const loopback = edges.createLoopback(({ reason, uid }) => noteRefusal({ where: 'loopback', reason, uid }));
  const justInTime = new JustInTime({ ...edges, fingerprints, revocations, isLocked: () => gate.isLocked });
  const logins = new Logins({
    ...edges,
    justInTime,
    config: () => config.current(),
    policy: () => policies.inForce(),
    loopback,
    book,
    fingerprints,
    consent: new Consent(edges),
    starts: new StartLimit(clock),
    tries: new StepUpTries(clock),
    amend: (profile, change) => source.amend(profile, (grant) => {
      const changed = change(grant);
      return changed === null ? null : withAct(profile, changed, null, instantOf(clock));
    }),
    unproved: new Unproved(clock),
    // A person may sign in behind a panic, which is how it ends; the route looks at who asks.
    isLocked: () => gate.isLocked,
    discard: (profile, server, set) => revocations.revokeSet(profile, server, set),
    onStarted: ({ facts }) => events.emit('login_started', facts.profile.name, facts.flow),
    // One that was ended meanwhile came too late to end anything.
    onSignedIn: async ({ abort }) => (abort.signal.aborted ? undefined : lifecycle.signedIn()),
    onFinished: ({ facts, state }) => {
      if (state.kind === 'complete') source.forget(facts.profile.name);
      events.emit('login_finished', facts.profile.name, state.kind);
    },
  });

  let stopped: Promise<Ending> | null = null;
  let isFollowed = false;
  let hasStopped: (ending: Promise<Ending>) => void = () => undefined;
  const whenStopped = new Promise<Ending>((resolve) => {
    hasStopped = resolve;
  });
  const stop = (reason: string): Promise<Ending> => leave(reason, false, null);
  const leave = (...how: Parameters<typeof end>): Promise<Ending> => {
    if (stopped === null) hasStopped((stopped = end(...how)));
    return stopped;
  };
  const approvals = new Approvals({
    ...edges, bytesOf: (asker) => bytesOf({ ...edges, isInterpreter }, asker), store: vault.consents, isRunning: (process) => edges.callers.isRunning(process),
    kindOf: (name) => (config.current().profiles.has(name) ? 'profile' : config.current().workloads.has(name) ? 'workload' : null),
    onAsked: (pending) => {
      events.emit('approval_asked', pending.profile, pending.id);
      dialogs.asked(pending);
    },
    onEnded: (pending) => dialogs.ended(pending),
  });
  const unrecorded = (cause: unknown): void => log.error('audit_failed', { event: 'approval' }, cause);
  const dialogs = new Dialogs({
    ...edges, approvals, pins: vault.pins,
    onAnswered: (pending, server, verdict) => {
      void noteAnswer({ audit, events }, pending, verdict, { caller: server, request: null, channel: 'dialog' }).catch(unrecorded);
      if (verdict.allow) void noteAct(broker, pending);
    },
    onWrongPin: (pending, server) => void noteWrongPin({ audit }, { caller: server, request: null, approval: pending.id }).catch(unrecorded),
  });
  const lifecycle = createLifecycle({
    ...edges, gate, mark: edges.lockout, signal, approvals, policies, book, source, workloads: tokens, logins, justInTime, revocations, events, fingerprints, hooks,
    onPolicy: () => screen.follow(),
    // The answer to whoever asked leaves first.
    shutdown: (reason) => void setImmediate().then(() => stop(reason)),
  });
  const screen = new Screen({ ...edges, policies, gate, events, signal, lock: () => lifecycle.lock(null) });
  const endSessions = new EndSessions({ ...edges, loopback, signal });
  const upgrades = new Upgrades({
    ...edges, gate, book, signal,
    doorway: () => doorway,
    isPersonBusy: () => !logins.isIdle || approvals.pending().length > 0,
    isWireBusy: () => app.busy > 0 || source.isFlying,
    leaveTo: (to) => {
      logins.close(new BrokerError('shutting_down', 'another daemon takes over'));
      void leave('upgrade', true, to === null ? null : { successor: to.successor, listener: to.fd, isHeld: to.isHeld });
    },
  });
  const broker: Broker = { ...edges, endSessions, fingerprints, policies, book, source, circuits, metadata, logins, justInTime, revocations, releases: new Releases({ ...edges, fingerprints, event: 'token_released' }), workloads: { ...edges, tokens, keys, releases: new Releases({ ...edges, fingerprints, event: 'workload_token_released' }) }, approvals, events, lifecycle, screen, upgrades, counts, hooks, loginNeeded, connections: () => app.connections };
  const app = new App({
    handlers: createHandlers(broker), callers: edges.callers, limits: () => config.current().limits,
    clock, random: edges.random, log, isStopping: () => signal.aborted,
  });
  const makeDoor = (): Server => createDoor({
    peerOf: edges.peerOf, pinOf: edges.pinOf, uid: edges.uid, connectionsPerProcess: () => config.current().limits.connectionsPerProcess, log,
    onRefused: (peer) => {
      log.warn('peer_refused', { uid: peer.uid, pid: peer.pid });
      noteRefusal({ where: 'socket', uid: peer.uid, pid: peer.pid });
    },
    take: (socket, peer, pin) => app.take(socket, peer, pin),
  });
  const doorway = new Doorway({ makeDoor, path: edges.socket, ...edges.supervisor, listeners: edges.listeners, prepareDir: edges.prepareRuntimeDir, clock, log, signal });
  await lifecycle.takeUp();
  await screen.follow();
  if (edges.mustOpen) await lifecycle.ensureOpen();
  await doorway.open();
  // Not before: whose lock file was unlinked finds another daemon here, and its audit log is not to be written to.
  await audit.append({ event: 'daemon_started', profile: null, caller: null, request: null, facts: { pid: edges.facts.pid, started_by: edges.facts.startedBy } });
  log.info('listening', { socket: edges.socket, pid: edges.facts.pid });
  void doorway.watch();
  void ahead.run();
  void approvals.consents.tellTimeHourly(signal);
  void watchTime({ clock, log, signal, onResume: () => {
    screen.resumed();
    circuits.wake();
    ahead.wake();
  } });
  void resume(lifecycle, log);
  supervise({ ...edges, events, signal, stopped: whenStopped, isFollowed: () => isFollowed });

  /** @param to - who takes over; null: nobody */
  async function end(reason: string, isUpgrade: boolean, to: Omit<Extract<Ending, { kind: 'followed' }>, 'kind' | 'mustOpen'> | null): Promise<Ending> {
    log.info('stopping', { why: reason });
    const why = new BrokerError('shutting_down', 'the daemon is shutting down');
    let closed: Promise<unknown> = Promise.resolve();
    if (to !== null) doorway.rest();
    else closed = doorway.close();
    await doorway.emptied;
    // Before their streams end.
    events.emit('stopping', null, reason);
    // Nothing is under way that would take long: what comes in this moment is still served.
    if (isUpgrade) await app.rest();
    const { state, backend } = vault.status();
    isFollowed = to !== null;
    stopping.abort(why);
    await drain({ ...edges, dialogs, logins, justInTime, source, revocations, book, approvals, app, closed }, reason, why);
    await vault.end();
    return to === null ? { kind: 'stopped' } : { kind: 'followed', ...to, mustOpen: state === 'open' && backend !== 'memory' };
  }

  return {
    stop,
    stopped: whenStopped,
    reload: async () => {
      await lifecycle.reload(null);
    },
  };
}

/** Takes up what an earlier run left: grants, lost answers, pending revocations. Until it is done requests wait or say why not. */
async function resume(lifecycle: Lifecycle, log: Log): Promise<void> {
  try {
    await lifecycle.ensureOpen();
  } catch (cause) {
    if (!(cause instanceof BrokerError)) throw cause;
    log.warn('vault_not_open', { code: cause.code, why: cause.message });
  }
}
