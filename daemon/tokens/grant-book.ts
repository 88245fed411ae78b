/**
 * The grants in memory, over the vault: the one place that changes them.
 *
 * I4  Writers of one profile run one after the other; a commit whose expected generation is no longer
 *     current changes nothing.
 * I5  When a commit resolves, the generation is durable, or the disk refused it and it is kept in memory,
 *     served and saved again and again (`unsaved`): a consumed refresh token is never sent again.
 * I11 What was read for one opening of the vault never appears after it was forgotten.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Grant, RefreshIntent } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { parked } from '../core/grant.ts';
import type { Audit, Clock, GrantBook, Log, Vault } from '../core/ports.ts';
import { instantOf } from '../core/time.ts';
import type { Instant } from '../core/time.ts';

export type BookDeps = {
  readonly vault: Vault;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  /** Seconds in which this profile's issuer accepts a consumed refresh token once more; null: never. */
  readonly graceOf: (profile: ProfileName) => number | null;
  readonly onChange: (profile: ProfileName, what: 'grant_changed' | 'grant_removed') => void;
  readonly signal: AbortSignal;
};

const RETRY_SAVE_MS = 5_000;

export class Grants implements GrantBook {
  readonly #deps: BookDeps;
  readonly #grants = new Map<ProfileName, Grant>();
  readonly #generations = new Map<ProfileName, number>();
  readonly #tails = new Map<ProfileName, Promise<unknown>>();
  readonly #unsaved = new Set<ProfileName>();
  readonly #unanswered = new Map<ProfileName, Instant>();
  readonly #absences = new Map<ProfileName, 'signed_out' | 'vault_corrupt'>();
  #loading: Promise<void> | null = null;
  #opening = 0;

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** Reads the vault once; later calls join or return at once. Throws what the vault throws, and may be called again. */
  load(): Promise<void> {
    const opening = this.#opening;
    this.#loading ??= this.#read(opening).catch((cause: unknown) => {
      if (this.#opening === opening) this.#loading = null;
      throw cause;
    });
    return this.#loading;
  }

  /** Forgets everything that came from the vault; the next load reads it again. */
  forget(): void {
    this.#opening += 1;
    this.#grants.clear();
    this.#unsaved.clear(); // flushed before, or lost with the key
    this.#unanswered.clear();
    this.#loading = null;
  }

  get(profile: ProfileName): Grant | null {
    return this.#grants.get(profile) ?? null;
  }

  list(): readonly Grant[] {
    return [...this.#grants.values()];
  }

  absence(profile: ProfileName): 'never_signed_in' | 'signed_out' | 'vault_corrupt' {
    return this.#absences.get(profile) ?? 'never_signed_in';
  }

  unanswered(profile: ProfileName): Instant | null {
    return this.#unanswered.get(profile) ?? null;
  }

  markUnanswered(profile: ProfileName, since: Instant): void {
    if (!this.#unanswered.has(profile)) this.#unanswered.set(profile, since);
  }

  unsaved(): readonly ProfileName[] {
    return [...this.#unsaved];
  }

  nextGeneration(profile: ProfileName): number {
    return Math.max(this.#generations.get(profile) ?? 0, this.#grants.get(profile)?.generation ?? 0) + 1;
  }

  commit(next: Grant, expected: number | null): Promise<'saved' | 'conflict'> {
    return this.#inTurn(next.profile, async () => {
      const current = this.#grants.get(next.profile);
      if (expected !== null && current?.generation !== expected) return 'conflict';
      this.#generations.set(next.profile, next.generation);
      // @fault book.commit.claimed
      if (!(await this.#trySave(next))) void this.#saveLater(next.profile);
      // @fault book.commit.saved
      this.#unanswered.delete(next.profile);
      this.#absences.delete(next.profile);
      this.#grants.set(next.profile, next);
      this.#deps.onChange(next.profile, 'grant_changed');
      return 'saved';
    });
  }

  take(profile: ProfileName, before: (grant: Grant) => Promise<void>): Promise<Grant | null> {
    return this.#inTurn(profile, async () => {
      const grant = this.#grants.get(profile) ?? null;
      if (grant !== null) {
        // @fault book.take.claimed
        await before(grant);
        // @fault book.take.prepared
        this.#generations.set(profile, grant.generation);
        this.#absences.set(profile, 'signed_out');
      }
      this.#grants.delete(profile);
      this.#unsaved.delete(profile);
      this.#unanswered.delete(profile);
      await this.#deps.vault.remove(profile);
      // @fault book.take.removed
      if (grant !== null) this.#deps.onChange(profile, 'grant_removed');
      return grant;
    });
  }

  /**
   * Before the key goes, and before the process ends: what is being written is finished, a sign-out above all, whose
   * tokens are revoked whether or not its file could be removed; and what the disk refused is tried once more.
   */
  async flush(): Promise<void> {
    await this.written();
    for (const profile of this.#unsaved) await this.#inTurn(profile, () => this.#saveAgain(profile));
  }

  /** Resolves when everything that was being written is, or was refused. */
  async written(): Promise<void> {
    await Promise.all(this.#tails.values());
  }

  #inTurn<T>(profile: ProfileName, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(profile) ?? Promise.resolve();
    const mine = before.then(work);
    // The next in turn starts whatever became of this one; its failure belongs to its own caller.
    this.#tails.set(profile, mine.then(() => undefined, () => undefined));
    return mine;
  }

  async #read(opening: number): Promise<void> {
    const { vault, clock, log } = this.#deps;
    const { grants, corrupt, floors } = await vault.grants();
    if (this.#opening !== opening) throw new BrokerError('vault_locked', 'the vault was locked while it was read');
    for (const profile of corrupt) {
      log.error('vault_corrupt', { profile });
      this.#absences.set(profile, 'vault_corrupt');
    }
    for (const [profile, floor] of floors) this.#generations.set(profile, Math.max(floor, this.#generations.get(profile) ?? 0));
    const floorOf = ({ profile }: Grant): number => floors.get(profile) ?? 0;
    for (const { grant } of grants) {
      // At once, before anything is waited for: nobody may use the tokens of a backup meanwhile.
      this.#grants.set(grant.profile, grant.generation < floorOf(grant) ? parked({ ...grant, generation: floorOf(grant) }, 'rolled_back', clock.now()) : grant);
    }
    for (const { grant, intent } of grants) {
      if (grant.generation < floorOf(grant)) await this.#keepRolledBack(grant, floorOf(grant));
      else if (intent !== null) await this.#recover(grant, intent);
    }
  }

  /** ST-03: a newer generation was saved, so this refresh token is spent, or was signed out. Nothing is ever sent with it. */
  async #keepRolledBack({ profile, issuer, generation }: Grant, floor: number): Promise<void> {
    const { audit, log } = this.#deps;
    const grant = this.#grants.get(profile);
    if (grant === undefined) return;
    const facts = { reason: 'rolled_back', generation, floor };
    log.warn('grant_parked', { profile, ...facts });
    await this.commit(grant, grant.generation);
    await audit.append({ event: 'grant_parked', profile, caller: null, request: null, facts: { issuer, ...facts } })
      .catch((cause: unknown) => log.error('audit_failed', { event: 'grant_parked' }, cause));
  }

  /**
   * An intent without its generation: the daemon ended between sending a refresh token and saving the
   * answer. The token may be spent. Sent again, it would raise the issuer's alarm and end the family
   * (RFC 9700, section 4.14.2), so it is tried once more only where that is known to be harmless.
   */
  async #recover(grant: Grant, intent: RefreshIntent): Promise<void> {
    const { clock, log, graceOf } = this.#deps;
    if (grant.rotates === false) return;
    // @fault book.recover.begun
    const sent: Instant = { now: intent.at, boottimeMs: intent.boottime?.ms ?? 0, bootId: intent.boottime?.bootId ?? '' };
    if (mayResend(grant, sent, graceOf(grant.profile), instantOf(clock))) {
      this.markUnanswered(grant.profile, sent);
      return;
    }
    log.warn('grant_parked', { profile: grant.profile, reason: 'refresh_answer_lost' });
    await this.commit(parked(grant, 'refresh_answer_lost', clock.now()), grant.generation);
  }

  /** TK-04 on a failing disk: the old token is spent; what is in memory is all there is. */
  async #trySave(grant: Grant): Promise<boolean> {
    try {
      await this.#deps.vault.save(grant);
      this.#unsaved.delete(grant.profile);
      return true;
    } catch (cause) {
      if (!(cause instanceof BrokerError) || cause.code !== 'vault_unwritable') throw cause;
      this.#deps.log.error('vault_unwritable', { profile: grant.profile, generation: grant.generation }, cause);
      this.#unsaved.add(grant.profile);
      return false;
    }
  }

  async #saveAgain(profile: ProfileName): Promise<boolean> {
    const grant = this.#grants.get(profile);
    if (grant === undefined || !this.#unsaved.has(profile)) return true;
    const saved = await this.#trySave(grant);
    if (saved) this.#deps.log.info('vault_written', { profile, generation: grant.generation });
    return saved;
  }

  async #saveLater(profile: ProfileName): Promise<void> {
    const { clock, signal, log } = this.#deps;
    try {
      do await clock.sleep(RETRY_SAVE_MS, signal);
      while (!(await this.#inTurn(profile, () => this.#saveAgain(profile))));
    } catch (cause) {
      // Stopping: flush() has the last word. Locked: the grants were flushed and forgotten.
      if (!signal.aborted) log.warn('save_given_up', { profile, why: cause instanceof BrokerError ? cause.message : 'unknown' });
    }
  }
}

/** Whether a refresh token whose answer was lost may be sent once more: only where both clocks say that the grace still runs. */
export function mayResend(grant: Grant, sent: Instant, graceS: number | null, at: Instant): boolean {
  if (grant.rotates === false) return true;
  if (graceS === null || (sent.bootId === at.bootId && at.boottimeMs - sent.boottimeMs > graceS * 1000)) return false;
  return at.now >= sent.now && at.now - sent.now <= graceS * 1000;
}
