/**
 * An access token for a need: from the cache, or by the one refresh in flight for this grant.
 *
 * I6  Between looking for a flight and claiming it there is no await, so a grant has at most one.
 * I7  A waiter's deadline or death ends its wait, never the flight; each waiter judges the outcome by its
 *     own need.
 */
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import { BrokerError, discardedAnswer, unreachable } from '../core/errors.ts';
import { findToken, holdsScope, missingScopes, serves } from '../core/grant.ts';
import type { TokenNeed } from '../core/grant.ts';
import type { Random, Transient } from '../core/ports.ts';
import { afterFailure, NO_BACK_OFF } from './back-off.ts';
import { Line } from './line.ts';
import { loginRequired } from './login-required.ts';
import { refreshGrant } from './refresh.ts';
import type { RefreshDeps, RefreshOutcome } from './refresh.ts';

export type SourceDeps = RefreshDeps & {
  readonly random: Random;
  /** The user's own lock. */
  readonly isLocked: () => boolean;
};
export type Served = { readonly grant: Grant; readonly token: AccessToken; readonly source: 'cache' | 'refresh' };

/** More rounds than this mean that others keep winning the flight with other needs. */
const ROUNDS = 8;

export class TokenSource {
  readonly #deps: SourceDeps;
  readonly #lines = new Map<ProfileName, Line>();
  #flying = 0;
  readonly #landed: (() => void)[] = [];

  constructor(deps: SourceDeps) {
    this.#deps = deps;
  }

  /** A cached token, at once; null where get() has to be asked, which waits or says why not. */
  cached(profile: Profile, need: TokenNeed): Served | null {
    try {
      const grant = this.#usable(profile, need);
      const token = findToken(grant, need, profile.traits.scopeAliases, this.#deps.clock.now());
      return token === null ? null : { grant, token, source: 'cache' };
    } catch (cause) {
      if (cause instanceof BrokerError) return null;
      throw cause;
    }
  }

  /** @param signal - ends the wait of this caller with its reason */
  async get(profile: Profile, need: TokenNeed, signal: AbortSignal): Promise<Served> {
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      const grant = this.#usable(profile, need);
      const cached = findToken(grant, need, profile.traits.scopeAliases, this.#deps.clock.now());
      if (cached !== null) return { grant, token: cached, source: round === 0 ? 'cache' : 'refresh' };
      const line = this.#line(profile.name);
      if (line.flight === null) {
        this.#mayRefresh(grant, profile, line, need);
        const mine = await waitFor(this.#fly(line, grant, profile, need), signal);
        const failure = failureIn(mine, profile, this.#retryAfterS(line));
        if (failure !== null) throw failure;
        const served = this.#fromOwnFlight(mine, profile, need);
        if (served !== null) return served;
      } else {
        // I7: what the issuer said to another's wish is no answer to this one; what it says of the grant is.
        const theirs = await waitFor(line.flight, signal);
        const failure = theirs.kind === 'transient' || theirs.kind === 'parked' ? failureIn(theirs, profile, this.#retryAfterS(line)) : null;
        if (failure !== null) throw failure;
      }
    }
    throw new BrokerError('deadline_exceeded', `profile ${profile.name} was refreshed ${ROUNDS} times for other requests`, { retryAfterS: 1 });
  }

  /** Resolves when no refresh is on the wire. */
  idle(): Promise<void> {
    return this.#flying === 0 ? Promise.resolve() : new Promise((resolve) => this.#landed.push(resolve));
  }

  /** A new sign-in starts with a clean slate. */
  forget(profile: ProfileName): void {
    this.#lines.get(profile)?.forget();
  }

  /** Judged as of the moment at which it came: however long the save took, it was made for this need. */
  #fromOwnFlight(outcome: RefreshOutcome, profile: Profile, need: TokenNeed): Served | null {
    if (outcome.kind !== 'refreshed' || outcome.token === null) return null;
    const { token } = outcome;
    const grant = this.#usable(profile, need);
    const isStillThere = grant.state.kind === 'active' && grant.state.tokens.includes(token);
    if (!isStillThere || !serves(token, { ...need, notBefore: null }, profile.traits.scopeAliases, token.obtainedAt)) return null;
    return { grant, token, source: 'refresh' };
  }

  /** The grant, if a token can come of it at all; else throws why not. */
  #usable(profile: Profile, need: TokenNeed): Grant {
    const { book, clock, isLocked } = this.#deps;
    if (isLocked()) throw new BrokerError('vault_locked', 'the user locked the broker');
    const grant = book.get(profile.name);
    if (grant === null) throw loginRequired(profile, book.absence(profile.name));
    if (grant.digest !== profile.digest) throw loginRequired(profile, 'grant_rebound');
    if (grant.state.kind === 'parked') throw loginRequired(profile, grant.state.reason);
    const missing = missingScopes(grant, need.scopes ?? [], profile.traits.scopeAliases);
    if (missing.length > 0) {
      throw new BrokerError('scope_not_granted', `the sign-in of profile ${profile.name} was not granted: ${missing.join(' ')}`, {
        hint: `Run: valetkey login ${profile.name} --scope "${[...new Set([...grant.scopes, ...missing])].join(' ')}"`,
      });
    }
    refuseOtherResource(profile, grant, need.resource);
    const { identity } = grant;
    const authTime = identity?.authTime ?? null;
    if (need.maxAgeS !== null && (authTime === null || clock.now() / 1000 - authTime > need.maxAgeS)) throw loginRequired(profile, 'max_age');
    if (need.acrValues.length > 0 && !need.acrValues.includes(identity?.acr ?? '')) throw loginRequired(profile, 'acr');
    return grant;
  }

  #mayRefresh(grant: Grant, profile: Profile, line: Line, need: TokenNeed): void {
    const { clock } = this.#deps;
    if (grant.state.kind === 'active' && grant.state.refreshToken === null) {
      throw loginRequired(profile, grant.state.tokens.some((t) => t.expiresAt > clock.now()) ? 'no_refresh_token' : 'expired');
    }
    if (line.backOff.notBeforeMs > clock.boottimeMs()) {
      throw new BrokerError('issuer_unreachable', `${profile.issuer} failed ${line.backOff.failures} times in a row; the next try waits`, { retryAfterS: this.#retryAfterS(line) });
    }
    const decided = line.decided(need, clock.boottimeMs());
    if (decided === null) return;
    if (decided.error !== null) throw decided.error;
    if (decided.lifeMs !== null && decided.lifeMs < need.minTtlMs) throw tooShort(profile, decided.lifeMs, need);
  }

  #line(profile: ProfileName): Line {
    const line = this.#lines.get(profile) ?? new Line();
    this.#lines.set(profile, line);
    return line;
  }

  #retryAfterS(line: Line): number {
    return Math.max(1, Math.ceil((line.backOff.notBeforeMs - this.#deps.clock.boottimeMs()) / 1000));
  }

  /** I6: runs up to `line.flight =` without an await. */
  #fly(line: Line, grant: Grant, profile: Profile, need: TokenNeed): Promise<RefreshOutcome> {
    this.#flying += 1;
    const { epoch } = line;
    // Where narrowing is not known to be safe all that was granted is asked for; a broader token serves as well.
    const scopes = profile.traits.narrowing === 'safe' ? need.scopes : null;
    const flight = refreshGrant(this.#deps, grant, profile, { scopes, resource: need.resource }).then((outcome) => {
      // What was said of an older sign-in decides nothing for a newer one.
      if (line.epoch === epoch) this.#learn(line, profile, need, outcome);
      return outcome;
    }).finally(() => {
      line.flight = null;
      this.#flying -= 1;
      if (this.#flying === 0) for (const resolve of this.#landed.splice(0)) resolve();
    });
    line.flight = flight;
    return flight;
  }

  #learn(line: Line, profile: Profile, need: TokenNeed, outcome: RefreshOutcome): void {
    const { clock, random } = this.#deps;
    const nowMs = clock.boottimeMs();
    // An answer that is no OAuth answer decides nothing: a proxy or a portal stands between, or the server is ill.
    const isNoise = outcome.kind === 'refused' && outcome.code === 'issuer_response_invalid';
    if (outcome.kind === 'transient' || isNoise) {
      const retryAfterMs = outcome.kind === 'transient' ? outcome.transient.retryAfterMs : null;
      line.backOff = afterFailure(line.backOff, nowMs, retryAfterMs, random.fraction());
      return;
    }
    line.backOff = NO_BACK_OFF;
    if (outcome.kind === 'refused') line.decide(need, nowMs, failureIn(outcome, profile, 1), null);
    if (outcome.kind !== 'refreshed') return;
    const { token } = outcome;
    if (token === null) line.decide(need, nowMs, failureIn(outcome, profile, 1), null);
    else {
      const lifeMs = token.expiresAt - token.obtainedAt;
      line.decide(need, nowMs, unmetScopes(profile, need, token), lifeMs < need.minTtlMs ? lifeMs : null);
    }
  }
}

function tooShort(profile: Profile, lifeMs: number, need: TokenNeed): BrokerError {
  return new BrokerError('min_ttl_unmet', `${profile.issuer} gives tokens of ${Math.floor(lifeMs / 1000)} s; ${Math.ceil(need.minTtlMs / 1000)} s were asked for`, {
    hint: `Run: valetkey token ${profile.name} --min-ttl ${Math.max(0, Math.floor(lifeMs / 2000))}`,
  });
}

/** A fresh token of fewer scopes than were asked for: asking again gives no more. */
function unmetScopes(profile: Profile, need: TokenNeed, token: AccessToken): BrokerError | null {
  const missing = (need.scopes ?? []).filter((scope) => !holdsScope(token.scopes, scope, profile.traits.scopeAliases));
  return missing.length === 0 ? null : new BrokerError('scope_not_granted', `${profile.issuer} granted only: ${token.scopes.join(' ')}`);
}

/**
 * Issuers refuse a resource that the sign-in did not name (RFC 8707, section 2.2), and some consume the
 * refresh token before they look: asking would cost the grant. Only where resources are scopes is it safe.
 */
function refuseOtherResource(profile: Profile, grant: Grant, resource: string | null): void {
  if (resource === grant.resource || profile.traits.resourceStyle === 'scope_prefix') return;
  throw new BrokerError('resource_not_granted', `the sign-in of profile ${profile.name} was for ${grant.resource ?? 'no resource'}`, {
    hint: resource === null ? `Run: valetkey login ${profile.name}` : `Set resource = "${resource}" in a profile, then run: valetkey login PROFILE`,
  });
}

/** An issuer that answers 500 was reached; the network is not to be searched. */
function whatItDid({ cause }: Transient): string {
  return cause.startsWith('http_') ? 'answered with an error to' : 'did not answer';
}

function failureIn(outcome: RefreshOutcome, profile: Profile, retryAfterS: number): BrokerError | null {
  switch (outcome.kind) {
    case 'transient':
      return new BrokerError('issuer_unreachable', `${profile.issuer} ${whatItDid(outcome.transient)} the refresh (${outcome.transient.cause})`, { retryAfterS });
    case 'parked':
      return loginRequired(profile, outcome.reason);
    case 'refused':
      return outcome.reason === null ? new BrokerError(outcome.code, outcome.message) : loginRequired(profile, outcome.reason);
    case 'refreshed':
      return outcome.discarded === null ? null : discardedAnswer(profile, outcome.discarded);
    case 'overtaken':
      return null;
    default:
      return unreachable(outcome);
  }
}

/** I7: the wait ends with the signal, the flight goes on. */
async function waitFor<T>(flight: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([flight, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** For a caller that wants a token newer than this moment. */
export function obtainedFrom(now: EpochMs, force: boolean): EpochMs | null {
  return force ? now : null;
}
