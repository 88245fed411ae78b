/**
 * Lock, unlock, reload, purge: the verbs that change the state of the whole daemon. They run one after the
 * other, each in one order, and the lock holds from its first step to the end of an unlock.
 */
import type { ProfileName } from '../shared/names.ts';
import type { Approvals } from './approvals/approvals.ts';
import type { Caller } from './core/domain.ts';
import { BrokerError } from './core/errors.ts';
import type { Fingerprints } from './core/fingerprints.ts';
import type { Audit, AuditEvent, Clock, ConfigStore, LockoutMark, Log, Random, Vault } from './core/ports.ts';
import { Secret } from './core/secret.ts';
import type { Logins } from './flows/logins.ts';
import type { Gate } from './gate.ts';
import type { Events, Facts, Lifecycle, Policies, Purged } from './ipc/routes/broker.ts';
import { Panic } from './panic.ts';
import type { Grants } from './tokens/grant-book.ts';
import type { JustInTime } from './tokens/just-in-time.ts';
import type { Revocations, Revoked } from './tokens/revocations.ts';
import { takeUpSignOuts } from './tokens/take-up-sign-outs.ts';
import { signOut } from './tokens/sign-out.ts';
import type { TokenSource } from './tokens/token-source.ts';
import { within } from './within.ts';
import { byWorkload, stillAlive, tombstonesOf } from './workloads/revoke-tokens.ts';
import type { WorkloadTokens } from './workloads/workload-tokens.ts';

/** Nothing is issued from the first moment on; this long a lock waits to say that the key is forgotten too. */
const LOCK_ANSWER_MS = 5_000;
/** A disk that hangs does not keep the key in memory. */
const CONSENTS_MS = 1_000;

export type LifecycleDeps = {
  readonly gate: Gate;
  readonly mark: LockoutMark;
  readonly signal: AbortSignal;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly random: Random;
  readonly vault: Vault;
  readonly approvals: Pick<Approvals, 'forget' | 'consents'>;
  readonly book: Grants;
  readonly source: TokenSource;
  readonly workloads: Pick<WorkloadTokens, 'setAsideAll' | 'takeAll'>;
  readonly logins: Logins;
  readonly justInTime: Pick<JustInTime, 'end'>;
  readonly revocations: Revocations;
  readonly config: ConfigStore;
  readonly policies: Pick<Policies, 'reload'>;
  readonly hooks: { reload(): Promise<void> };
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
  readonly log: Log;
  readonly events: Events;
  readonly shutdown: (reason: string) => void;
  readonly collectGarbage: () => void;
  /** Another policy may be in force. */
  readonly onPolicy: () => Promise<void>;
};

export function createLifecycle(deps: LifecycleDeps): Lifecycle & {
  /** What an earlier run left; before anybody is served. */
  takeUp(): Promise<void>;
  /** Somebody signed in: that ends a panic. */
  signedIn(): Promise<void>;
} {
  const { gate, approvals, clock, vault, book, source, logins, justInTime, revocations, config, policies, audit, fingerprints, log, events } = deps;
  let turn: Promise<unknown> = Promise.resolve();
  let tombstonesLoaded = false;
  /** Everything was read, and nothing was forgotten since. */
  let isLoaded = false;
  let timesForgotten = 0;
  let locksAsked = 0;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => null); // its failure belongs to its own caller
    return mine;
  };
  /** What was done stays done where the audit log cannot be written; the log says so. */
  const note = (event: AuditEvent['event'], caller: Caller | null, facts: Readonly<Record<string, unknown>>): Promise<void> =>
    audit.append({ event, profile: null, caller, request: null, facts }).catch((cause: unknown) => log.error('audit_failed', { event }, cause));

  /** Grants and tombstones, once for each opening of the vault. */
  async function load(): Promise<void> {
    const before = timesForgotten;
    await book.load();
    if (!tombstonesLoaded) {
      tombstonesLoaded = true;
      await takeUpSignOuts(deps).catch((cause: unknown) => {
        tombstonesLoaded = false;
        throw cause;
      });
    }
    await takeUpAuditKeys();
    await approvals.consents.load();
    await panic.endWhatWasLeft();
    isLoaded = timesForgotten === before;
  }

  /** Without them records are written all the same: unsigned, and under names that end with this run. */
  async function takeUpAuditKeys(): Promise<void> {
    try {
      const keys = await vault.auditKeys();
      fingerprints.useKeys(keys);
      void audit.useKeys(keys); // the vault remembers the signature in its own time
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('audit_keys_unavailable', { code: cause.code, why: cause.message });
    }
  }

  /** Before the vault forgets them: what was recorded so far is signed. */
  async function layDownAuditKeys(): Promise<void> {
    await audit.useKeys(null);
    fingerprints.useKeys(null);
  }

  function forget(): void {
    timesForgotten += 1;
    isLoaded = false;
    book.forget();
    tombstonesLoaded = false;
  }

  /** The key, and what came from behind it. What is kept in memory is all there is, and stays. */
  async function shutVault(): Promise<void> {
    if (vault.status().backend === 'memory') return;
    await layDownAuditKeys();
    // The key is gone; nobody waits for the keychain, and for the copies of the key that wait to be collected.
    void vault.lock().then(() => deps.collectGarbage());
    forget();
  }

  const panic = new Panic({
    ...deps, load, shutVault,
    forgetConsents: () => approvals.forget(null),
    endWishes: () => {
      vault.dropKept();
      justInTime.end(null, 'panic');
      locksAsked += 1;
    },
    takeWorkloads: () => tombstonesOf(deps, deps.workloads.takeAll()),
    record: (caller, facts) => note('panic', caller, facts),
  });

  async function lift(caller: Caller | null): Promise<void> {
    if (!(await panic.lift())) return;
    await note('lockout_lifted', caller, {});
    events.emit('unlocked', null, null);
  }

  /** What was cut off must not let itself in again: only a person's own program ends a panic. */
  function demandPerson({ origin }: Caller): void {
    if (gate.lockedOutSince === null || (origin.class === 'human' && !origin.container && !origin.forwarded)) return;
    throw new BrokerError('locked_out', `everything was ended by valetkey panic, and this program is ${origin.agent === null ? 'not run by a person at this machine' : `started by ${origin.agent}`}`);
  }

  async function ensureOpen(): Promise<void> {
    if (gate.isLocked) throw new BrokerError('vault_locked', 'the user locked the broker');
    await load();
  }

  /** Sign-ins end; a refresh and a revocation on the wire are finished, and what the disk refused is tried once more. */
  async function settle(reason: BrokerError): Promise<void> {
    await logins.stop(reason);
    await source.settle(reason);
    await revocations.idle();
    await book.flush();
  }

  return {
    facts: deps.facts,
    get locked() {
      return gate.isLocked;
    },
    get lockedOutSince() {
      return gate.lockedOutSince;
    },
    get screen() {
      return gate.screen;
    },
    get shut() {
      return gate.shut;
    },
    get isOpen() {
      return isLoaded && gate.shut === null;
    },
    ensureOpen,
    ensureOpenFor: async (caller) => {
      demandPerson(caller);
      await panic.over();
      // The key went with everything else. A keychain gives it back; for a passphrase its owner is asked.
      if (gate.lockedOutSince !== null && !gate.isLocked) await vault.unlock(null, false);
      await ensureOpen();
    },
    panic: async (caller) => {
      const panicked = await panic.run(caller);
      for (const { profile } of panicked.grants) source.forget(profile);
      events.emit('locked_out', null, null);
      return panicked;
    },
    takeUp: () => panic.takeUp(),
    signedIn: () => lift(null),
    lock: (caller) => {
      gate.isLocked = true; // at once, whatever is under way
      vault.dropKept(); // a daemon that is killed while it settles is not opened again by its supervisor
      const forgotten = approvals.forget(null);
      justInTime.end(null, 'locked');
      deps.workloads.setAsideAll();
      locksAsked += 1;
      // An issuer that hangs holds up the forgetting of the key, since its answer has to be sealed with it; not the caller.
      return within(clock, LOCK_ANSWER_MS, inTurn(async () => {
        gate.isLocked = true;
        await settle(new BrokerError('vault_locked', 'the user locked the broker'));
        // Their floor is sealed under the key that goes. What the disk keeps is told at the end.
        await within(clock, CONSENTS_MS, forgotten.catch(() => null));
        await shutVault();
        await note('locked', caller, {});
        events.emit('locked', null, null);
      })).then(() => forgotten);
    },
    unlock: (caller, passphrase, create) => inTurn(async () => {
      demandPerson(caller);
      await panic.over();
      const asked = locksAsked;
      await vault.unlock(passphrase === null ? null : new Secret(passphrase), create);
      if (locksAsked !== asked) throw new BrokerError('vault_locked', 'somebody locked the broker meanwhile');
      gate.isLocked = false;
      await load();
      await approvals.consents.tellTime(); // what was in memory has a vault now
      await lift(caller);
      await note('unlocked', caller, { backend: vault.status().backend, ...(create ? { created: true } : {}) });
      events.emit('unlocked', null, null);
    }),
    async reload(caller): Promise<readonly ProfileName[]> {
      // Each by itself: a mistake in one file does not keep what the other says from coming into force.
      const before = config.current();
      const [configured, ruled, hooked] = await Promise.allSettled([config.reload(), policies.reload(), deps.hooks.reload()]);
      if (configured.status === 'rejected') throw configured.reason;
      const { changed } = configured.value;
      // A yes to a person's profile is none to a workload that took its name, and the reverse.
      const forgotten = changed.filter((name) => before.workloads.has(name) !== config.current().workloads.has(name)).map((name) => approvals.forget(name));
      await note('config_reloaded', caller, { profiles: config.current().profiles.size, changed });
      events.emit('config_reloaded', null, changed.join(' '));
      await deps.onPolicy();
      await Promise.all(forgotten);
      if (ruled.status === 'rejected') throw ruled.reason;
      if (hooked.status === 'rejected') throw hooked.reason;
      return changed;
    },
    purge: (caller) => inTurn(async () => {
      const wasLocked = gate.isLocked;
      gate.isLocked = true; // nothing is issued any more while it goes on
      void approvals.forget(null); // what the disk keeps goes with the vault
      justInTime.end(null, 'purged');
      try {
        const ofWorkloads = tombstonesOf(deps, deps.workloads.takeAll());
        const signedOut = await signOutAll();
        const sending = revocations.sendAll(ofWorkloads);
        await sending.done;
        const workloads = byWorkload(ofWorkloads, sending.outcomes).map((each) => ({ ...each, revoked: unsent(each.revoked) }));
        const purged = { ...signedOut, workloads };
        await settle(new BrokerError('login_cancelled', 'everything is being removed'));
        await layDownAuditKeys();
        await vault.erase();
        forget();
        await note('purged', caller, { profiles: purged.grants.map(({ profile }) => profile), workloads: workloads.map(({ profile }) => profile), workloads_alive: stillAlive(workloads), not_revoked: purged.notRevoked });
        return purged;
      } finally {
        gate.isLocked = wasLocked;
      }
    }),
    shutdown: deps.shutdown,
  };

  /** A vault that nobody can open any more is erased all the same; its tokens then live until they expire. */
  async function signOutAll(): Promise<Omit<Purged, 'workloads'>> {
    try {
      // Also behind the user's lock: whoever may erase everything may have it revoked first.
      await vault.unlock(null, false);
      await load();
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('purge_without_revocation', { code: cause.code });
      return { grants: [], notRevoked: cause.code };
    }
    const reason = new BrokerError('login_cancelled', 'everything is being removed');
    await logins.stop(reason);
    await source.settle(reason);
    const grants: Purged['grants'][number][] = [];
    for (const { profile } of book.list()) {
      const done = await signOut({ book, revocations }, profile, config.current().profiles.get(profile) ?? null);
      grants.push({ profile, revoked: unsent(done?.revoked ?? []) });
    }
    return { grants, notRevoked: null };
  }
}

/** With the vault its tombstones go too: what is pending at a purge will not be sent any more. */
function unsent(revoked: readonly Revoked[]): readonly Revoked[] {
  return revoked.map((one) => (one.outcome === 'pending' ? { ...one, outcome: 'failed' } : one));
}
