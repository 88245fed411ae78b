/**
 * Privileged access, just in time (AU-08): one access token of a sign-in of its own, for a quarter of an hour at most.
 *
 * I15 Nothing of it is ever given to the vault. It ends with its time, at lock, logout and the end of the daemon, and
 *     with its end its tokens are revoked.
 *
 * A refresh token that an issuer gives unasked is never used. It is revoked at the end and not before, since that
 * ends the access token as well (RFC 7009, section 2.1).
 */
import type { ProfileName } from '../../shared/names.ts';
import type { AccessToken, Caller, Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Fingerprints } from '../core/fingerprints.ts';
import { findToken, remainingMs } from '../core/grant.ts';
import type { TokenNeed } from '../core/grant.ts';
import { grantFacts } from '../core/grant-facts.ts';
import type { Audit, Clock, Log } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { instantOf } from '../core/time.ts';
import { shortfall } from './demands.ts';
import { privilegeRequired } from './login-required.ts';
import { refuseLongLife } from './refusals.ts';
import type { Revocations } from './revocations.ts';
import type { Served } from './token-source.ts';

export const JUST_IN_TIME_MS = 900_000;
/** At once, over all profiles: nobody works on more, and the oldest goes first. */
const KEPT = 16;

export type JustInTimeDeps = {
  readonly clock: Clock;
  readonly audit: Pick<Audit, 'append' | 'trouble'>;
  readonly fingerprints: Fingerprints;
  readonly revocations: Pick<Revocations, 'revokeUnsealed'>;
  readonly log: Log;
  /** The user's own lock. */
  readonly isLocked: () => boolean;
};

/** A sign-in that has just come, and why it was made, in the words of who made it. */
export type Granted = {
  readonly profile: Profile;
  /** Without its refresh token. */
  readonly grant: Grant;
  readonly token: AccessToken;
  readonly refreshToken: Secret | null;
  readonly login: string;
  readonly caller: Caller;
  readonly reason: string;
};

type Access = Granted & { readonly untilMs: number; readonly over: AbortController };

/** TK-04. Throws audit_unwritable: what is done with most power is not done without a record. */
export function refuseUnrecorded(audit: Pick<Audit, 'trouble'>): void {
  const trouble = audit.trouble();
  if (trouble !== null) throw new BrokerError('audit_unwritable', `nothing privileged is handed out while it cannot be recorded: ${trouble}`, { retryAfterS: 5 });
}

export class JustInTime {
  readonly #deps: JustInTimeDeps;
  #held: readonly Access[] = [];
  /** How often something was to end: what is being recorded meanwhile is not held any more. */
  #ends = 0;

  constructor(deps: JustInTimeDeps) {
    this.#deps = deps;
  }

  /** On record before anybody can use it; where it cannot be recorded, it is not held, and whoever brought it revokes it. */
  async hold(granted: Granted): Promise<void> {
    const { clock, isLocked, audit } = this.#deps;
    refuseUnrecorded(audit);
    const ends = this.#ends;
    const untilMs = clock.boottimeMs() + JUST_IN_TIME_MS;
    await this.#record('jit_granted', granted, { reason: granted.reason, until: Math.floor((clock.now() + JUST_IN_TIME_MS) / 1000) });
    // A lock, a logout or a panic that came meanwhile has ended what was held by then.
    if (isLocked()) throw new BrokerError('vault_locked', 'the user locked the broker');
    if (this.#ends !== ends) throw new BrokerError('login_cancelled', 'it was ended before it could be used');
    const access: Access = { ...granted, untilMs, over: new AbortController() };
    const [oldest] = this.#held.length >= KEPT ? this.#held : [];
    this.#held = [...this.#held, access];
    if (oldest !== undefined) this.#end(oldest, 'overtaken');
    void clock.sleep(JUST_IN_TIME_MS, access.over.signal).then(() => this.#end(access, 'expired'), () => undefined); // it ended before
  }

  /** The newest that holds what is asked for, whatever its token still lives; null: a sign-in is needed. */
  find(profile: Profile, need: Pick<TokenNeed, 'scopes' | 'resource'>): Grant | null {
    return this.#fitting(profile, need)?.grant ?? null;
  }

  /** What somebody may use now, and until when by the clock since boot. */
  list(): readonly (Pick<Granted, 'grant' | 'reason'> & { readonly untilMs: number })[] {
    const { clock } = this.#deps;
    return this.#held.filter(({ untilMs, token }) => untilMs > clock.boottimeMs() && remainingMs(token, instantOf(clock)) > 0);
  }

  holds(grant: Grant): boolean {
    return this.#held.some((access) => access.grant === grant);
  }

  /** Throws login_required, or as_token_too_long. */
  serve(profile: Profile, need: TokenNeed): Served {
    const access = this.#fitting(profile, need);
    if (access === null) throw privilegeRequired(profile, need.scopes);
    const { grant } = access;
    const at = instantOf(this.#deps.clock);
    const short = shortfall(profile, grant, need, at);
    if (short !== null) throw short;
    // It cannot be refreshed: one that is too old, or is to be newer, takes another sign-in.
    const token = findToken(grant, need, profile.traits.scopeAliases, at);
    if (token === null) throw privilegeRequired(profile, need.scopes);
    refuseLongLife(profile, token, need.bounds, at);
    return { grant, token, source: 'cache' };
  }

  /** Of one profile, or all there is. The tokens are revoked behind it, and what cannot be sent is tried again from memory. */
  end(profile: ProfileName | null, why: 'logout' | 'locked' | 'panic' | 'purged' | 'stopped'): void {
    this.#ends += 1;
    for (const access of this.#held) if (profile === null || access.profile.name === profile) this.#end(access, why);
  }

  #fitting(profile: Profile, { scopes, resource }: Pick<TokenNeed, 'scopes' | 'resource'>): Access | null {
    const { clock } = this.#deps;
    const need: TokenNeed = { scopes, resource, minTtlMs: 0, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null };
    const at = instantOf(clock);
    // The clock that counts suspend: a timer may come late after one.
    return this.#held.findLast((access) => access.untilMs > at.boottimeMs && access.grant.profile === profile.name && access.grant.digest === profile.digest
      && findToken(access.grant, need, profile.traits.scopeAliases, at) !== null) ?? null;
  }

  #end(access: Access, why: string): void {
    if (access.over.signal.aborted) return;
    access.over.abort(new BrokerError('login_required', 'the access is over'));
    this.#held = this.#held.filter((each) => each !== access);
    const { log, revocations } = this.#deps;
    const failed = (what: string) => (cause: unknown): void => log.error(what, { profile: access.profile.name }, cause);
    revocations.revokeUnsealed(access.profile, access.grant, access).catch(failed('revocation_failed'));
    this.#record('jit_ended', access, { why }).catch(failed('audit_failed'));
  }

  #record(event: 'jit_granted' | 'jit_ended', { profile, grant, token, login, caller }: Granted, more: Readonly<Record<string, unknown>>): Promise<void> {
    const { audit, fingerprints } = this.#deps;
    return audit.append({
      event, profile: profile.name, caller, request: null,
      facts: {
        login, ...more, token: fingerprints.of(token.value), ...grantFacts(grant, fingerprints), scopes: token.scopes, resource: token.resource,
        expires_at: Math.floor(token.expiresAt / 1000),
      },
    });
  }
}
