/**
 * Tokens that have to die at their issuer (RFC 7009). Each is sealed as a tombstone before anything else is
 * forgotten, sent, and sent again with growing pauses until the issuer answered or the token is over anyway.
 *
 * I12 A token that somebody wanted revoked is either dead, named to the caller as alive, or in a tombstone.
 */
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { AccessToken, AuthorizationServer, Grant, Profile, Revocation } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Fingerprints } from '../core/fingerprints.ts';
import type { Audit, Clock, Issuer, Log, Random, RevokeOutcome, TokenSet, Vault } from '../core/ports.ts';
import { isSurelyOver } from '../core/grant.ts';
import { grantFacts } from '../core/grant-facts.ts';
import type { GrantFacts } from '../core/grant-facts.ts';
import type { Secret } from '../core/secret.ts';
import { instantOf } from '../core/time.ts';
import { DIRECT, isOver, makeTombstone } from './tombstone.ts';

export type RevocationDeps = {
  readonly issuer: Issuer;
  /** A workload's token, by the workload's own client. */
  readonly revokeOfWorkload: (revocation: Revocation) => Promise<RevokeOutcome>;
  readonly vault: Vault;
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
};

export type Revoked = {
  readonly token: 'refresh_token' | 'access_token';
  readonly outcome: 'revoked' | 'unsupported' | 'pending' | 'failed';
  readonly until: EpochMs | null;
};

/** `isSilent`: the issuer did not answer; else what stands in the way is here. */
type Attempt = Exclude<RevokeOutcome, { kind: 'transient' }> | { readonly kind: 'later'; readonly retryAfterMs: number; readonly isSilent: boolean };
type Pending = { readonly revocation: Revocation; notBeforeMs: number; tries: number };

const FIRST_PAUSE_MS = 2_000;
const LAST_PAUSE_MS = 600_000;
const LOOK_MS = 15_000;
/** Sent to one issuer at once. */
const LANES = 6;
const RETRY_AFTER_MAX_MS = 3_600_000;

export class Revocations {
  readonly #deps: RevocationDeps;
  readonly #pending = new Map<string, Pending>();
  /** Of the sign-in behind a token, as long as this run knows it: a tombstone does not hold it. */
  readonly #facts = new WeakMap<Revocation, GrantFacts>();
  /** Issuers for which a worker runs: one that hangs holds up no other. */
  readonly #working = new Set<string>();
  #sending = 0;
  readonly #landed: (() => void)[] = [];

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#pending.size;
  }

  pendingOf(profile: ProfileName): number {
    return [...this.#pending.values()].filter(({ revocation }) => revocation.profile === profile).length;
  }

  /** Whether this token still has to die. */
  awaits(profile: ProfileName, token: Secret): boolean {
    return [...this.#pending.values()].some(({ revocation }) => revocation.profile === profile && revocation.token.sameAs(token));
  }

  /** Takes up what an earlier run could not send. */
  async load(): Promise<void> {
    for (const revocation of await this.#deps.vault.revocations()) if (!this.#pending.has(revocation.id)) this.#keep(revocation);
    // What proves its client by something in the vault has waited for nothing else.
    for (const pending of this.#pending.values()) if (pending.revocation.clientAuth !== 'none' && pending.notBeforeMs !== Infinity) pending.notBeforeMs = 0;
    this.#work();
  }

  /** Resolves when nothing is being sent for a caller. */
  idle(): Promise<void> {
    return this.#sending === 0 ? Promise.resolve() : new Promise((resolve) => this.#landed.push(resolve));
  }

  /**
   * Seals tombstones for all tokens of a grant that is about to be forgotten: the refresh token first, since
   * it is the one that lives on (RFC 7009, section 2.1). A profile that is gone or points elsewhere by now
   * lends neither its proxy nor its CA: a changed configuration must not see the token.
   */
  async prepare(grant: Grant, profile: Profile | null): Promise<readonly Revocation[]> {
    if (grant.state.kind !== 'active') return [];
    const { refreshToken, tokens } = grant.state;
    const at = instantOf(this.#deps.clock);
    const way = profile !== null && profile.digest === grant.digest ? profile : DIRECT;
    const all = [
      ...(refreshToken === null ? [] : [makeTombstone(this.#deps, grant, way, refreshToken, 'refresh_token', null)]),
      ...tokens.filter((token) => !isSurelyOver(token, at)).map((t) => makeTombstone(this.#deps, grant, way, t.value, 'access_token', t.expiresAt)),
    ];
    for (const revocation of all) this.#facts.set(revocation, grantFacts(grant, this.#deps.fingerprints));
    await this.seal(all);
    return all;
  }

  async seal(all: readonly Revocation[]): Promise<void> {
    for (const revocation of all) await this.#seal(revocation);
  }

  /** Sends what was prepared; what the issuer does not answer now goes on in the background. */
  async send(all: readonly Revocation[]): Promise<readonly Revoked[]> {
    this.#sending += 1;
    try {
      const done: Revoked[] = [];
      // Where the issuer does not answer for the first, nobody waits for the time-outs of the others.
      for (const revocation of all) done.push(await this.#settle(revocation, done.some((r) => r.outcome === 'pending') ? null : await this.#try(revocation)));
      return done;
    } finally {
      this.#land();
    }
  }

  /**
   * Sends many at once, to all issuers beside each other and a few to each. Whoever asks may look at what is known
   * so far and leave: the rest goes on, and what is not answered is tried again as after send().
   */
  sendAll(all: readonly Revocation[]): { readonly outcomes: ReadonlyMap<string, Revoked>; readonly done: Promise<void> } {
    const outcomes = new Map(all.map(({ id, tokenKind: token, expiresAt: until }) => [id, { token, outcome: 'pending', until } as Revoked]));
    for (const revocation of all) this.#keep(revocation, Infinity); // in hand: the workers wait
    const issuers = new Set(all.map((revocation) => revocation.server.issuer));
    this.#sending += 1;
    const done = Promise.all([...issuers].map((issuer) => this.#sendTo(all.filter((each) => each.server.issuer === issuer), outcomes))).then(() => undefined).finally(() => {
      // None stays in a hand that is gone.
      for (const { id } of all) this.#release(id);
      this.#land();
    });
    return { outcomes, done };
  }

  async #sendTo(all: readonly Revocation[], outcomes: Map<string, Revoked>): Promise<void> {
    // RFC 7009, section 2.1: with the refresh token most issuers end the others as well.
    const queue = [...all.filter(({ tokenKind }) => tokenKind === 'refresh_token'), ...all.filter(({ tokenKind }) => tokenKind === 'access_token')];
    let isSilent = false;
    const lane = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const attempt = isSilent ? null : await this.#try(next);
        isSilent ||= attempt?.kind === 'later' && attempt.isSilent;
        outcomes.set(next.id, await this.#settle(next, attempt));
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  #release(id: string): void {
    const pending = this.#pending.get(id);
    if (pending?.notBeforeMs === Infinity) pending.notBeforeMs = 0;
  }

  #land(): void {
    this.#sending -= 1;
    if (this.#sending === 0) for (const resolve of this.#landed.splice(0)) resolve();
    this.#work();
  }

  /** For tokens that nobody will hold: a refused sign-in, an overtaken refresh. */
  async revokeSet(profile: Profile, server: AuthorizationServer, set: TokenSet): Promise<void> {
    const of = { profile: profile.name, clientId: profile.clientId, server };
    const lifeMs = (set.expiresInS ?? 3_600) * 1000;
    const all = [
      ...(set.refreshToken === null ? [] : [makeTombstone(this.#deps, of, profile, set.refreshToken, 'refresh_token', null)]),
      makeTombstone(this.#deps, of, profile, set.accessToken, 'access_token', (this.#deps.clock.now() + lifeMs) as EpochMs),
    ];
    await this.revoke(all);
  }

  /** Of what nobody holds any more. */
  async revoke(all: readonly Revocation[]): Promise<readonly Revoked[]> {
    await this.seal(all);
    return this.send(all);
  }

  /** Of access that was never in the vault: its tokens are not put there at its end either. They are tried again while this run lasts. */
  async revokeUnsealed(profile: Profile, grant: Grant, { refreshToken, token }: { readonly refreshToken: Secret | null; readonly token: AccessToken }): Promise<void> {
    const all = [
      ...(refreshToken === null ? [] : [makeTombstone(this.#deps, grant, profile, refreshToken, 'refresh_token', null)]),
      makeTombstone(this.#deps, grant, profile, token.value, 'access_token', token.expiresAt),
    ];
    for (const revocation of all) this.#facts.set(revocation, grantFacts(grant, this.#deps.fingerprints));
    await this.send(all);
  }

  #keep(revocation: Revocation, notBeforeMs = 0): void {
    this.#pending.set(revocation.id, { revocation, notBeforeMs, tries: 0 });
  }

  async #seal(revocation: Revocation): Promise<void> {
    try {
      await this.#deps.vault.saveRevocation(revocation);
      // @fault revocation.sealed
    } catch (cause) {
      // It is sent all the same, from memory; only a restart before that would lose it.
      if (!(cause instanceof BrokerError)) throw cause;
      this.#deps.log.warn('revocation_not_saved', { profile: revocation.profile, why: cause.message });
    }
  }

  async #revoke(revocation: Revocation): Promise<RevokeOutcome> {
    const { vault, issuer, revokeOfWorkload } = this.#deps;
    const { clientAuth } = revocation;
    if (clientAuth === 'workload') return revokeOfWorkload(revocation);
    const clientSecret = clientAuth === 'none' ? null : await vault.clientSecret(revocation.profile, revocation.digest);
    // @fault revocation.claimed
    return issuer.revoke({ ...revocation, clientAuth, clientSecret }, revocation.token, revocation.tokenKind);
  }

  /** Never throws what the vault or the audit throws: the token has to die in spite of them. */
  async #try(revocation: Revocation): Promise<Attempt> {
    const { audit, fingerprints, log } = this.#deps;
    try {
      const outcome = await this.#revoke(revocation);
      // @fault revocation.answered
      log.info('token_revoked', { profile: revocation.profile, token: revocation.tokenKind, outcome: outcome.kind });
      await audit.append({
        event: revocation.clientAuth === 'workload' ? 'workload_token_revoked' : 'token_revoked', profile: revocation.profile, caller: null, request: null,
        facts: { token: fingerprints.of(revocation.token), token_kind: revocation.tokenKind, outcome: outcome.kind, ...(this.#facts.get(revocation) ?? { issuer: revocation.server.issuer, client_id: revocation.clientId }) },
      });
      if (outcome.kind === 'transient') return { kind: 'later', retryAfterMs: outcome.retryAfterMs ?? 0, isSilent: true };
      // Our own secret is missing: that is no word of the issuer's.
      if (outcome.kind === 'rejected' && outcome.code === 'client_secret_required') return { kind: 'later', retryAfterMs: 0, isSilent: false };
      return outcome;
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('revocation_failed', { profile: revocation.profile, why: cause.message });
      return { kind: 'later', retryAfterMs: 0, isSilent: false };
    }
  }

  /** @param outcome - null: not tried */
  async #settle(revocation: Revocation, outcome: Attempt | null): Promise<Revoked> {
    const { tokenKind: token, expiresAt: until } = revocation;
    if (outcome === null || outcome.kind === 'later') {
      const pending = this.#pending.get(revocation.id) ?? { revocation, notBeforeMs: 0, tries: 0 };
      const pauseMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(pending.tries, 16)) * (0.75 + this.#deps.random.fraction() / 2);
      pending.tries += 1;
      pending.notBeforeMs = this.#deps.clock.boottimeMs() + Math.max(pauseMs, Math.min(outcome?.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
      this.#pending.set(revocation.id, pending);
      return { token, outcome: 'pending', until };
    }
    this.#pending.delete(revocation.id);
    try {
      await this.#deps.vault.removeRevocation(revocation.id);
      // @fault revocation.forgotten
    } catch (cause) {
      // It will be sent once more after a restart, which does no harm.
      if (!(cause instanceof BrokerError)) throw cause;
      this.#deps.log.warn('revocation_not_removed', { profile: revocation.profile, why: cause.message });
    }
    return outcome.kind === 'revoked' ? { token, outcome: 'revoked', until: null } : { token, outcome: outcome.kind === 'unsupported' ? 'unsupported' : 'failed', until };
  }

  /** One worker for what is pending at one issuer; it ends when nothing is. */
  #work(): void {
    for (const issuer of new Set([...this.#pending.values()].map(({ revocation }) => revocation.server.issuer))) {
      if (this.#working.has(issuer)) continue;
      this.#working.add(issuer);
      this.#loop(issuer).catch((cause: unknown) => {
        if (!this.#deps.signal.aborted) this.#deps.log.error('revocation_worker_failed', {}, cause);
      }).finally(() => this.#working.delete(issuer));
    }
  }

  async #loop(issuer: string): Promise<void> {
    const { clock, signal } = this.#deps;
    const mine = (): readonly Pending[] => [...this.#pending.values()].filter(({ revocation }) => revocation.server.issuer === issuer);
    for (let pending = mine(); pending.length > 0; pending = mine()) {
      const nextMs = Math.min(...pending.map((p) => p.notBeforeMs));
      // A nearer one may come in meanwhile.
      await clock.sleep(Math.min(LOOK_MS, Math.max(0, nextMs - clock.boottimeMs())), signal);
      for (const { revocation, notBeforeMs } of mine()) {
        if (notBeforeMs > clock.boottimeMs()) continue;
        await this.#settle(revocation, isOver(revocation, clock.now()) ? { kind: 'unsupported' } : await this.#try(revocation));
      }
    }
  }
}
