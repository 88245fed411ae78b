/**
 * The end of everything at once (RV-02): the gate shuts, the mark goes to the disk, sign-ins and waits end, each grant
 * becomes tombstones and goes, the issuers are told, the key is forgotten. Each step has its time; what is late, or out
 * of reach, is told to whoever asked and goes on behind.
 *
 * I17 From a panic on no token leaves until a person comes back, whatever crashes: the mark is on the disk before
 *     anything else is done.
 * I18 What was in the vault at a panic is never served: what could not be ended then ends before the vault is used again.
 */
import type { ErrorCode } from '../shared/errors.ts';
import type { EpochMs, ProfileName } from '../shared/names.ts';
import type { Caller, Revocation } from './core/domain.ts';
import { BrokerError } from './core/errors.ts';
import type { Clock, ConfigStore, LockoutMark, Log, Vault } from './core/ports.ts';
import type { Logins } from './flows/logins.ts';
import type { Gate } from './gate.ts';
import type { Panicked } from './ipc/routes/broker.ts';
import type { Grants } from './tokens/grant-book.ts';
import type { Revocations } from './tokens/revocations.ts';
import { sweep } from './tokens/sweep.ts';
import type { Swept } from './tokens/sweep.ts';
import type { TokenSource } from './tokens/token-source.ts';
import { within } from './within.ts';
import { byWorkload, stillAlive } from './workloads/revoke-tokens.ts';

/** Five seconds in all (RV-02), counted from the first: the mark, reading and sweeping the vault, the issuers, record and key. */
const MARK_MS = 1_000;
const SWEEP_MS = 3_500;
const ISSUERS_MS = 4_500;
const CLOSE_MS = 4_900;
const MARK_AGAIN_MS = 5_000;

const NOTHING: Swept = { ended: [], isWhole: false };

export type PanicDeps = {
  readonly gate: Gate;
  readonly mark: LockoutMark;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Pick<Vault, 'unlock'>;
  readonly config: Pick<ConfigStore, 'current'>;
  readonly book: Grants;
  readonly source: Pick<TokenSource, 'settle'>;
  readonly logins: Pick<Logins, 'abortAll' | 'stop'>;
  readonly revocations: Revocations;
  readonly signal: AbortSignal;
  /** Grants and tombstones, without looking at the gate. */
  readonly load: () => Promise<void>;
  /** Forgets the key and what came from the vault; for a vault in memory nothing. */
  readonly shutVault: () => Promise<void>;
  /** At once; resolves when the disk has none of them, and rejects where it keeps them. */
  readonly forgetConsents: () => Promise<void>;
  /** Privileged access, and locks that are being lifted. */
  readonly endWishes: () => void;
  /** Takes what the daemon holds of workloads out of its cache, to be revoked. */
  readonly takeWorkloads: () => readonly Revocation[];
  readonly record: (caller: Caller, facts: Readonly<Record<string, unknown>>) => Promise<void>;
};

export class Panic {
  readonly #deps: PanicDeps;
  #running: Promise<Panicked> | null = null;
  /** Grants in the vault that a panic did not reach. */
  #isUnswept = false;

  constructor(deps: PanicDeps) {
    this.#deps = deps;
  }

  /** What an earlier run left; before anybody is served. */
  async takeUp(): Promise<void> {
    const lockout = await this.#deps.mark.read();
    if (lockout === null) return;
    this.#deps.gate.lockedOutSince = lockout.at;
    this.#isUnswept = !lockout.isSwept;
    await this.#deps.forgetConsents().catch((cause: unknown) => this.#deps.log.error('panic_step_failed', {}, cause)); // lift() tries again
    this.#deps.log.warn('locked_out', { since: new Date(lockout.at).toISOString(), is_swept: lockout.isSwept });
  }

  /** Whoever asks while one goes on is told what came of that one. */
  run(caller: Caller): Promise<Panicked> {
    this.#running ??= this.#run(caller).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Resolves when none goes on. */
  async over(): Promise<void> {
    await this.#running?.catch(() => null); // told to who asked for it
  }

  /** I18: right after the vault was read, and before anything of it is used. Throws where the disk keeps what has to go. */
  async endWhatWasLeft(): Promise<void> {
    const { gate, log, revocations } = this.#deps;
    const since = gate.lockedOutSince;
    if (!this.#isUnswept || this.#running !== null || since === null) return;
    const swept = await this.#sweep();
    log.warn('lockout_swept', { grants: swept.ended.length, is_whole: swept.isWhole });
    revocations.sendAll(swept.ended.flatMap(({ tombstones }) => tombstones)).done.catch((cause: unknown) => log.error('revocation_worker_failed', {}, cause));
    if (!swept.isWhole) throw new BrokerError('vault_unwritable', 'a grant that valetkey panic ended cannot be removed from the disk');
    this.#isUnswept = false;
    await this.#deps.mark.write({ at: since, isSwept: true });
  }

  /** A person is back. Without a mark on the disk nothing blocks after a restart; with one that stays, too much does, which harms nobody. */
  async lift(): Promise<boolean> {
    const { gate, mark, log } = this.#deps;
    if (gate.lockedOutSince === null) return false;
    gate.lockedOutSince = null;
    // Of consents that the disk keeps the mark says that they have ended.
    await this.#deps.forgetConsents().then(() => mark.remove()).catch((cause: unknown) => log.error('lockout_mark_not_removed', {}, cause));
    log.warn('lockout_lifted');
    return true;
  }

  async #run(caller: Caller): Promise<Panicked> {
    const { gate, clock, log, source, logins, endWishes, forgetConsents } = this.#deps;
    const startedMs = clock.boottimeMs();
    const left = (untilMs: number): number => Math.max(0, startedMs + untilMs - clock.boottimeMs());
    const reason = new BrokerError('locked_out', 'everything was ended by valetkey panic');
    const since = gate.lockedOutSince ?? clock.now();
    // A second one, with nobody back since: what is sealed in the vault then is not of a sign-in.
    const wasSwept = gate.lockedOutSince !== null && !this.#isUnswept;
    gate.lockedOutSince = since;
    const forgotten = forgetConsents();
    endWishes();
    const ofWorkloads = this.#deps.takeWorkloads();
    const loginsEnded = logins.abortAll(reason);
    const notDurable = await this.#mark(since);
    // @fault panic.marked
    // What is on the wire ends by itself, finds its grant gone, and has what it brings revoked.
    for (const ending of [logins.stop(reason), source.settle(reason)]) ending.catch((cause: unknown) => log.error('panic_step_failed', {}, cause));
    const { notReached, swept } = await this.#reach(left(SWEEP_MS), wasSwept, ofWorkloads);
    const sending = this.#deps.revocations.sendAll([...swept.ended.flatMap(({ tombstones }) => tombstones), ...ofWorkloads]);
    await within(clock, left(ISSUERS_MS), sending.done.catch((cause: unknown) => log.error('revocation_worker_failed', {}, cause)));
    const grants = swept.ended.map(({ grant, tombstones }) => ({
      profile: grant.profile, issuer: grant.issuer,
      revoked: tombstones.flatMap(({ id, tokenKind }) => {
        const revoked = sending.outcomes.get(id);
        if (revoked === undefined) return [];
        const isOver = revoked.outcome === 'revoked' || tokenKind === 'access_token';
        return [isOver ? revoked : { ...revoked, until: grant.authorizationExpiresAt ?? grant.refreshTokenExpiresAt }];
      }),
    }));
    const workloads = byWorkload(ofWorkloads, sending.outcomes);
    const alive = [...grants, ...workloads].flatMap(({ revoked }) => revoked).filter(({ outcome }) => outcome !== 'revoked').length;
    const facts = {
      grants: grants.map(({ profile }) => profile), workloads: workloads.map(({ profile }) => profile), not_revoked: alive, workloads_alive: stillAlive(workloads),
      not_reached: notReached, not_durable: notDurable, logins_ended: loginsEnded,
    };
    log.warn('panic', { ...facts, grants: grants.length });
    const closing = Promise.all([this.#deps.record(caller, facts).then(() => this.#deps.shutVault()), forgotten]);
    await within(clock, left(CLOSE_MS), closing.catch((cause: unknown) => log.error('panic_step_failed', {}, cause)));
    return { lockedOutSince: since, grants, workloads, notReached, notDurable, loginsEnded, tookMs: Math.round(clock.boottimeMs() - startedMs) };
  }

  /** @returns why the block is not on the disk; null: it is */
  async #mark(since: EpochMs): Promise<ErrorCode | null> {
    this.#isUnswept = true;
    const { clock, mark, log } = this.#deps;
    let outcome: ErrorCode | null = 'vault_unwritable'; // while a disk hangs
    await within(clock, MARK_MS, mark.write({ at: since, isSwept: false }).then(() => {
      outcome = null;
    }, (cause: unknown) => {
      // Whatever it is, the rest has to be done.
      log.error('lockout_not_marked', {}, cause);
      outcome = cause instanceof BrokerError ? cause.code : 'internal';
      void this.#markLater(since);
    }));
    return outcome;
  }

  /** A disk that was full may have room again. */
  async #markLater(since: EpochMs): Promise<void> {
    const { clock, mark, gate, log, signal } = this.#deps;
    try {
      for (;;) {
        await clock.sleep(MARK_AGAIN_MS, signal);
        if (gate.lockedOutSince !== since) return;
        try {
          await mark.write({ at: since, isSwept: !this.#isUnswept });
          log.info('lockout_marked');
          return;
        } catch (cause) {
          if (!(cause instanceof BrokerError)) throw cause;
        }
      }
    } catch (cause) {
      if (!signal.aborted) log.error('lockout_not_marked', {}, cause);
    }
  }

  /** Reads the vault if it can be had at once, and ends what is in it. Also behind the user's lock: whoever may end everything may have it revoked. */
  async #reach(ms: number, wasSwept: boolean, ofWorkloads: readonly Revocation[]): Promise<{ readonly notReached: ErrorCode | null; readonly swept: Swept }> {
    const { clock, log } = this.#deps;
    let found: { readonly notReached: ErrorCode | null; readonly swept: Swept } | null = null;
    let isLate = false;
    const reaching = this.#open(wasSwept, ofWorkloads).then((came) => {
      if (!isLate) found = came;
      // Nobody waits for it any more, but its tokens have to die.
      else return this.#deps.revocations.sendAll(came.swept.ended.flatMap(({ tombstones }) => tombstones)).done;
      return undefined;
    }).catch((cause: unknown) => log.error('panic_step_failed', {}, cause));
    await within(clock, ms, reaching);
    isLate = true;
    return found ?? { notReached: 'vault_unavailable', swept: NOTHING };
  }

  async #open(wasSwept: boolean, ofWorkloads: readonly Revocation[]): Promise<{ readonly notReached: ErrorCode | null; readonly swept: Swept }> {
    const { vault, load, log, mark, gate } = this.#deps;
    try {
      await vault.unlock(null, false);
      await load();
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('panic_without_vault', { code: cause.code });
      this.#isUnswept = !wasSwept;
      return { notReached: wasSwept ? null : cause.code, swept: NOTHING };
    }
    const [swept] = await Promise.all([this.#sweep(), this.#deps.revocations.seal(ofWorkloads)]);
    if (!swept.isWhole) return { notReached: 'vault_unwritable', swept };
    this.#isUnswept = false;
    const since = gate.lockedOutSince;
    // Where it stays as it was, the next start finds nothing to sweep.
    if (since !== null) await mark.write({ at: since, isSwept: true }).catch((cause: unknown) => log.warn('lockout_not_marked', { why: cause instanceof Error ? cause.message : 'unknown' }));
    return { notReached: null, swept };
  }

  #sweep(): Promise<Swept> {
    const { config } = this.#deps;
    return sweep({ ...this.#deps, profileOf: (name: ProfileName) => config.current().profiles.get(name) ?? null });
  }
}
