/**
 * The grants in memory, over the vault: the one place that changes them.
 *
 * I4  Writers of one profile run one after the other; a commit whose expected generation is no longer
 *     current changes nothing.
 * I5  When a commit resolves, the generation is durable, or the disk refused it and it is kept in memory,
 *     served and saved again and again (`unsaved`): a consumed refresh token is never sent again.
 */
import type { LoginReason } from '../../shared/errors.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Grant, RefreshIntent } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { parked } from '../core/grant.ts';
import type { Clock, GrantBook, Log, Vault } from '../core/ports.ts';

export type BookDeps = {
  readonly vault: Vault;
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
  #loading: Promise<void> | null = null;

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** Reads the vault once; later calls join or return at once. Throws what the vault throws, and may be called again. */
  load(): Promise<void> {
    this.#loading ??= this.#read().catch((cause: unknown) => {
      this.#loading = null;
      throw cause;
    });
    return this.#loading;
  }

  /** Forgets everything that came from the vault; the next load reads it again. */
  forget(): void {
    this.#grants.clear();
    this.#loading = null;
  }

  get(profile: ProfileName): Grant | null {
    return this.#grants.get(profile) ?? null;
  }

  list(): readonly Grant[] {
    return [...this.#grants.values()];
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
      try {
        await this.#deps.vault.save(next);
        this.#unsaved.delete(next.profile);
      } catch (cause) {
        if (!(cause instanceof BrokerError) || cause.code !== 'vault_unwritable') throw cause;
        // TK-04 on a failing disk: the old token is spent; what is in memory is all there is.
        this.#deps.log.error('vault_unwritable', { profile: next.profile, generation: next.generation }, cause);
        this.#unsaved.add(next.profile);
        void this.#saveLater(next.profile);
      }
      this.#grants.set(next.profile, next);
      this.#deps.onChange(next.profile, 'grant_changed');
      return 'saved';
    });
  }

  async take(profile: ProfileName): Promise<Grant | null> {
    const grant = this.#grants.get(profile) ?? null;
    if (grant !== null) this.#generations.set(profile, grant.generation);
    this.#grants.delete(profile);
    this.#unsaved.delete(profile);
    await this.#inTurn(profile, () => this.#deps.vault.remove(profile));
    if (grant !== null) this.#deps.onChange(profile, 'grant_removed');
    return grant;
  }

  #inTurn<T>(profile: ProfileName, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(profile) ?? Promise.resolve();
    const mine = before.then(work);
    // The next in turn starts whatever became of this one; its failure belongs to its own caller.
    this.#tails.set(profile, mine.then(() => undefined, () => undefined));
    return mine;
  }

  async #read(): Promise<void> {
    const { vault, log } = this.#deps;
    const { grants, corrupt } = await vault.grants();
    for (const profile of corrupt) log.error('vault_corrupt', { profile });
    for (const { grant, intent } of grants) {
      this.#generations.set(grant.profile, grant.generation);
      this.#grants.set(grant.profile, grant);
      if (intent !== null) await this.#recover(grant, intent);
    }
  }

  /**
   * An intent without its generation: the daemon ended between sending a refresh token and saving the
   * answer. The token may be spent. Sent again, it would raise the issuer's alarm and end the family
   * (RFC 9700, section 4.14.2), so it is tried once more only where that is known to be harmless.
   */
  async #recover(grant: Grant, intent: RefreshIntent): Promise<void> {
    const { clock, log, vault, graceOf } = this.#deps;
    if (mayResend(grant, intent.at, graceOf(grant.profile), clock.now())) {
      await vault.abandonRefresh(grant.profile);
      return;
    }
    const reason: LoginReason = 'refresh_answer_lost';
    log.warn('grant_parked', { profile: grant.profile, reason });
    await this.commit(parked(grant, reason, clock.now()), grant.generation);
  }

  async #saveLater(profile: ProfileName): Promise<void> {
    const { clock, signal, vault, log } = this.#deps;
    try {
      await clock.sleep(RETRY_SAVE_MS, signal);
    } catch {
      return; // the daemon is stopping; its last step saves what is left
    }
    await this.#inTurn(profile, async () => {
      const grant = this.#grants.get(profile);
      if (grant === undefined || !this.#unsaved.has(profile)) return;
      try {
        await vault.save(grant);
        this.#unsaved.delete(profile);
        log.info('vault_written', { profile, generation: grant.generation });
      } catch (cause) {
        log.warn('vault_unwritable', { profile, why: cause instanceof BrokerError ? cause.message : 'unknown' });
        void this.#saveLater(profile);
      }
    });
  }
}

/** Whether a refresh token whose answer was lost may be sent once more. */
export function mayResend(grant: Grant, sentAt: EpochMs, graceS: number | null, now: EpochMs): boolean {
  if (grant.rotates === false) return true;
  return graceS !== null && now >= sentAt && now - sentAt <= graceS * 1000;
}
