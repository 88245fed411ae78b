/**
 * Tokens that have to die at their issuer (RFC 7009). What cannot be sent now is kept sealed and sent
 * later, with growing pauses, until the issuer answered or the token is over anyway.
 */
import type { EpochMs } from '../../shared/names.ts';
import type { AuthorizationServer, Grant, Profile, Revocation } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Audit, Clock, Issuer, Log, Random, RevokeOutcome, TokenSet, Vault } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';

export type RevocationDeps = {
  readonly issuer: Issuer;
  readonly vault: Vault;
  readonly audit: Audit;
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

type Owner = Pick<Grant, 'profile' | 'clientId' | 'server'>;
type Way = Pick<Profile, 'clientAuth' | 'caPem' | 'proxy' | 'allowLoopbackHttp' | 'digest'>;
/** As anybody would reach the pinned endpoint. */
const DIRECT: Way = { clientAuth: 'none', caPem: null, proxy: null, allowLoopbackHttp: false, digest: '' };

const FIRST_PAUSE_MS = 2_000;
const LAST_PAUSE_MS = 600_000;
/** A refresh token of unknown life is given up after this long. */
const GIVE_UP_MS = 30 * 86_400_000;

export class Revocations {
  readonly #deps: RevocationDeps;
  #pending = new Map<string, Revocation>();
  #running = false;

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#pending.size;
  }

  /** Takes up what an earlier run could not send. */
  async load(): Promise<void> {
    this.#pending = new Map((await this.#deps.vault.revocations()).map((r) => [r.id, r]));
    this.#work();
  }

  /**
   * The refresh token first: it is the one that lives on (RFC 7009, section 2.1), then the access tokens.
   * A profile that is gone or points elsewhere by now lends neither its proxy nor its CA: a changed
   * configuration must not see the token.
   */
  async revokeGrant(grant: Grant, profile: Profile | null): Promise<readonly Revoked[]> {
    if (grant.state.kind !== 'active') return [];
    const { refreshToken, tokens } = grant.state;
    const now = this.#deps.clock.now();
    const way = profile !== null && profile.digest === grant.digest ? profile : DIRECT;
    const all = [
      ...(refreshToken === null ? [] : [this.#make(grant, way, refreshToken, 'refresh_token', null)]),
      ...tokens.filter((t) => t.expiresAt > now).map((t) => this.#make(grant, way, t.value, 'access_token', t.expiresAt)),
    ];
    const done: Revoked[] = [];
    // Where the issuer does not answer for the first, nobody waits for the time-outs of the others.
    for (const revocation of all) done.push(done.some((r) => r.outcome === 'pending') ? await this.#postpone(revocation) : await this.#attempt(revocation));
    return done;
  }

  /** For tokens that nobody will hold: a refused sign-in, an overtaken refresh. */
  async revokeSet(profile: Profile, server: AuthorizationServer, set: TokenSet): Promise<void> {
    const of = { profile: profile.name, clientId: profile.clientId, server };
    if (set.refreshToken !== null) await this.#attempt(this.#make(of, profile, set.refreshToken, 'refresh_token', null));
    const lifeMs = (set.expiresInS ?? 3_600) * 1000;
    await this.#attempt(this.#make(of, profile, set.accessToken, 'access_token', (this.#deps.clock.now() + lifeMs) as EpochMs));
  }

  #make({ profile, clientId, server }: Owner, way: Way, token: Secret, tokenKind: Revocation['tokenKind'], expiresAt: EpochMs | null): Revocation {
    return {
      id: this.#deps.random.token(16), profile, clientId, clientAuth: way.clientAuth, digest: way.digest, server,
      connection: { caPem: way.caPem, proxy: way.proxy, allowLoopbackHttp: way.allowLoopbackHttp },
      token, tokenKind, expiresAt, since: this.#deps.clock.now(),
    };
  }

  async #attempt(revocation: Revocation): Promise<Revoked> {
    const { tokenKind, expiresAt } = revocation;
    const outcome = await this.#send(revocation);
    if (outcome.kind === 'revoked') return { token: tokenKind, outcome: 'revoked', until: null };
    if (outcome.kind === 'unsupported') return { token: tokenKind, outcome: 'unsupported', until: expiresAt };
    if (outcome.kind === 'rejected') return { token: tokenKind, outcome: 'failed', until: expiresAt };
    return this.#postpone(revocation);
  }

  async #postpone(revocation: Revocation): Promise<Revoked> {
    this.#pending.set(revocation.id, revocation);
    try {
      await this.#deps.vault.saveRevocation(revocation);
    } catch (cause) {
      // It is still tried from memory; only a restart before it was sent would lose it.
      if (!(cause instanceof BrokerError)) throw cause;
      this.#deps.log.warn('revocation_not_saved', { profile: revocation.profile, why: cause.message });
    }
    this.#work();
    return { token: revocation.tokenKind, outcome: 'pending', until: revocation.expiresAt };
  }

  async #send(revocation: Revocation): Promise<RevokeOutcome> {
    const { vault, issuer, audit, log } = this.#deps;
    const clientSecret = revocation.clientAuth === 'none' ? null : await vault.clientSecret(revocation.profile, revocation.digest);
    const outcome = await issuer.revoke({ ...revocation, clientSecret }, revocation.token, revocation.tokenKind);
    log.info('token_revoked', { profile: revocation.profile, token: revocation.tokenKind, outcome: outcome.kind });
    await audit.append({
      event: 'token_revoked', profile: revocation.profile, caller: null, request: null,
      facts: { token: revocation.tokenKind, outcome: outcome.kind, issuer: revocation.server.issuer },
    });
    return outcome;
  }

  /** One worker for all that is pending; it ends when nothing is. */
  #work(): void {
    if (this.#running || this.#pending.size === 0) return;
    this.#running = true;
    void this.#loop().catch((cause: unknown) => {
      if (!this.#deps.signal.aborted) this.#deps.log.error('revocation_worker_failed', {}, cause);
    }).finally(() => {
      this.#running = false;
    });
  }

  async #loop(): Promise<void> {
    const { clock, random, signal } = this.#deps;
    for (let pauseMs = FIRST_PAUSE_MS; this.#pending.size > 0; pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)) {
      await clock.sleep(pauseMs * (0.75 + random.fraction() / 2), signal);
      let retryAfterMs = 0;
      for (const revocation of [...this.#pending.values()]) {
        const outcome = this.#isOver(revocation) ? null : await this.#send(revocation);
        if (outcome?.kind === 'transient') retryAfterMs = Math.max(retryAfterMs, outcome.retryAfterMs ?? 0);
        else await this.#settle(revocation);
      }
      if (retryAfterMs > 0) await clock.sleep(retryAfterMs, signal);
    }
  }

  #isOver(revocation: Revocation): boolean {
    const now = this.#deps.clock.now();
    return revocation.expiresAt === null ? now - revocation.since > GIVE_UP_MS : now > revocation.expiresAt;
  }

  async #settle(revocation: Revocation): Promise<void> {
    this.#pending.delete(revocation.id);
    await this.#deps.vault.removeRevocation(revocation.id);
  }
}
