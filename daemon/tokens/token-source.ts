/**
 * An access token for a need: from the cache, or by the one refresh in flight for this grant.
 *
 * I6  Between looking for a flight and claiming it there is no await, so a grant has at most one.
 * I16 A token of a step-up serves only a need that the grant's own sign-in does not meet.
 *
 * Each waiter judges the outcome by its own need.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { findToken, remainingMs, servedAtBirth } from '../core/grant.ts';
import type { TokenNeed } from '../core/grant.ts';
import type { Random } from '../core/ports.ts';
import { instantOf, momentOf, sinceMs } from '../core/time.ts';
import type { Instant, Moment } from '../core/time.ts';
import type { Admission } from './admission.ts';
import { afterFailure, NO_BACK_OFF } from './back-off.ts';
import { findSteppedUp, shortfall } from './demands.ts';
import { Flight } from './flight.ts';
import { Line } from './line.ts';
import { loginRequired, signedIn } from './login-required.ts';
import { concernsAll, failureIn, isNoise, NO_ANSWER_YET, outageError, refuseDeviceGrant, refuseLongLife, refuseMissingScopes, refuseOtherResource, tooShort, transientError, unmetScopes, UNREADABLE } from './refusals.ts';
import type { FlightOutcome } from './refusals.ts';
import { refreshGrant } from './refresh.ts';
import type { RefreshDeps } from './refresh.ts';
import { endedSession } from './session.ts';

export type SourceDeps = RefreshDeps & {
  readonly random: Random;
  readonly admission: Pick<Admission, 'through'>;
  /** A caller was given this token. */
  readonly onServed: (profile: Profile, token: AccessToken, need: TokenNeed, at: Instant) => void;
};
export type Served = { readonly grant: Grant; readonly token: AccessToken; readonly source: 'cache' | 'refresh' };

/** More rounds than this mean that others keep winning the flight with other needs. */
const ROUNDS = 8;

export class TokenSource {
  readonly #deps: SourceDeps;
  readonly #lines = new Map<ProfileName, Line>();
  /** Of device sign-ins: when a caller last got a token. What is refreshed while nobody asks is no use of it. */
  readonly #deviceUses = new Map<ProfileName, Moment>();
  #flying = 0;
  readonly #landed: (() => void)[] = [];

  constructor(deps: SourceDeps) {
    this.#deps = deps;
  }

  /** A cached token, at once; null where get() has to be asked, which waits or says why not. */
  cached(profile: Profile, need: TokenNeed): Served | null {
    try {
      return this.#cached(profile, need);
    } catch (cause) {
      if (cause instanceof BrokerError) return null;
      throw cause;
    }
  }

  #cached(profile: Profile, need: TokenNeed): Served | null {
    const at = instantOf(this.#deps.clock);
    const grant = this.#held(profile, need, at);
    const short = shortfall(profile, grant, need, at);
    // I16: what the grant's own sign-in is good enough for gets no stronger token.
    const token = (short === null ? findToken : findSteppedUp)(grant, need, profile.traits.scopeAliases, at);
    if (token === null && short !== null) throw short;
    if (token === null) return null;
    refuseLongLife(profile, token, need.bounds, at);
    // A step-up is of the moment: nothing renews it ahead.
    if (!token.isStepUp) this.#noteServed(grant, profile, token, need, at);
    return { grant, token, source: 'cache' };
  }

  /** @param signal - ends the wait of this caller with its reason */
  async get(profile: Profile, need: TokenNeed, signal: AbortSignal): Promise<Served> {
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      const found = this.#cached(profile, need);
      if (found !== null) return round === 0 ? found : { ...found, source: 'refresh' };
      const line = this.#line(profile.name);
      if (line.flight === null) {
        const at = instantOf(this.#deps.clock);
        const grant = this.#usable(profile, need, at);
        this.#mayRefresh(grant, profile, line, need, at);
        const mine = await this.#fly(line, grant, profile, need).wait(signal);
        const failure = failureIn(mine, profile, this.#retryAfterS(line));
        if (failure !== null) throw failure;
        const served = this.#fromOwnFlight(mine, profile, need);
        if (served !== null) return served;
      } else {
        // I7: what the issuer said to another's wish is no answer to this one; what it says of the grant is.
        const theirs = await line.flight.wait(signal);
        const failure = concernsAll(theirs) ? failureIn(theirs, profile, this.#retryAfterS(line)) : null;
        if (failure !== null) throw failure;
      }
    }
    throw new BrokerError('deadline_exceeded', `profile ${profile.name} was refreshed ${ROUNDS} times, and no token served this request`, { retryAfterS: 1 });
  }

  /**
   * Refreshes though nobody waits, unless the grant, its issuer or the user's lock speak against it. Null: not
   * now. Never rejects.
   */
  ahead(profile: Profile, need: TokenNeed): Promise<AccessToken | null> | null {
    const at = instantOf(this.#deps.clock);
    const line = this.#line(profile.name);
    if (line.flight !== null) return null;
    let grant: Grant;
    try {
      grant = this.#usable(profile, need, at);
      this.#mayRefresh(grant, profile, line, need, at);
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      return null; // whoever asks next is told
    }
    return this.#fly(line, grant, profile, need).outcome.then(
      (outcome) => (outcome.kind === 'refreshed' ? outcome.token : null),
      (cause: unknown) => {
        this.#deps.log.warn('refresh_ahead_failed', { profile: profile.name, why: cause instanceof Error ? cause.message : 'unknown' });
        return null;
      },
    );
  }

  /**
   * Changes an active grant in its flight's place: a refresh on the wire would find another generation than it left,
   * and its answer would be thrown away. A refresh whose answer was lost must keep its intent, so that grant stays as
   * it is. The change may refuse by throwing. Null: nothing was changed.
   */
  async amend(profile: Profile, change: (grant: Grant) => Grant | null): Promise<Grant | null> {
    const { book } = this.#deps;
    const line = this.#line(profile.name);
    while (line.flight !== null) await line.flight.outcome.catch(() => null); // its failure is told to who waits for it
    let amended: Grant | null = null;
    const flight = this.#launch(line, profile, async () => {
      const grant = book.get(profile.name);
      if (grant?.state.kind !== 'active' || grant.digest !== profile.digest || book.unanswered(profile.name) !== null || this.#deps.isLocked()) return { kind: 'overtaken' };
      const changed = change(grant);
      if (changed === null) return { kind: 'overtaken' };
      const next = { ...changed, generation: grant.generation + 1 };
      if (await book.commit(next, grant.generation) === 'saved') amended = next;
      return { kind: 'overtaken' };
    });
    await flight.outcome;
    return amended;
  }

  /** A refresh is on the wire. */
  get isFlying(): boolean {
    return this.#flying > 0;
  }

  /** Ends with this reason what still waits for its turn; resolves when no refresh is on the wire. */
  settle(reason: BrokerError): Promise<void> {
    for (const { flight } of this.#lines.values()) flight?.dismiss(reason);
    return this.#flying === 0 ? Promise.resolve() : new Promise((resolve) => this.#landed.push(resolve));
  }

  /** A new sign-in starts with a clean slate. */
  forget(profile: ProfileName): void {
    this.#lines.get(profile)?.forget();
  }

  #fromOwnFlight(outcome: FlightOutcome, profile: Profile, need: TokenNeed): Served | null {
    if (outcome.kind !== 'refreshed' || outcome.token === null) return null;
    const { token } = outcome;
    const at = instantOf(this.#deps.clock);
    const grant = this.#usable(profile, need, at);
    const isStillThere = grant.state.kind === 'active' && grant.state.tokens.includes(token);
    if (!isStillThere || !servedAtBirth(token, need, profile.traits.scopeAliases)) return null;
    refuseLongLife(profile, token, need.bounds, at);
    this.#noteServed(grant, profile, token, need, at);
    return { grant, token, source: 'refresh' };
  }

  #noteServed(grant: Grant, profile: Profile, token: AccessToken, need: TokenNeed, at: Instant): void {
    if (grant.flow === 'device_code') this.#deviceUses.set(grant.profile, momentOf(at));
    this.#deps.onServed(profile, token, need, at);
  }

  /** Before this run it is known by its refreshes only. */
  #deviceUsed({ profile, signedInAt, session, refreshedAt }: Grant, at: Instant): Moment {
    const signedIn = session?.startedAt ?? { at: signedInAt, boot: null };
    const used = this.#deviceUses.get(profile) ?? (refreshedAt === null ? signedIn : { at: refreshedAt, boot: null });
    const last = sinceMs(used, at) < sinceMs(signedIn, at) ? used : signedIn;
    this.#deviceUses.set(profile, last);
    return last;
  }

  /** The grant, if a refresh can bring what is needed; else throws why not. */
  #usable(profile: Profile, need: TokenNeed, at: Instant): Grant {
    const grant = this.#held(profile, need, at);
    const short = shortfall(profile, grant, need, at);
    if (short !== null) throw short;
    return grant;
  }

  /** The grant, if a token can come of it at all; else throws why not. */
  #held(profile: Profile, need: TokenNeed, at: Instant): Grant {
    const { book, isLocked } = this.#deps;
    if (isLocked()) throw new BrokerError('vault_locked', 'the user locked the broker');
    const grant = signedIn(profile, book);
    const ended = endedSession(profile, grant, need.bounds, at);
    if (ended !== null) throw ended;
    if (grant.flow === 'device_code') refuseDeviceGrant(profile, this.#deviceUsed(grant, at), at);
    refuseMissingScopes(profile, grant, need);
    refuseOtherResource(profile, grant, need.resource);
    return grant;
  }

  #mayRefresh({ state }: Grant, profile: Profile, line: Line, need: TokenNeed, at: Instant): void {
    if (state.kind === 'active' && state.refreshToken === null) {
      throw loginRequired(profile, state.tokens.some((token) => remainingMs(token, at) > 0) ? 'no_refresh_token' : 'expired');
    }
    const { notBeforeMs, since, cause } = line.backOff;
    if (notBeforeMs > at.boottimeMs) throw outageError({ issuer: profile.issuer, since, cause, reach: 'server', retryAfterS: this.#retryAfterS(line) }, profile);
    const decided = line.decided(need, at.boottimeMs);
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

  #fly(line: Line, grant: Grant, profile: Profile, need: TokenNeed): Flight {
    const { epoch } = line;
    return this.#launch(line, profile, (waiting) => this.#refresh(grant, profile, need, waiting).then((came) => {
      // What was said of an older sign-in decides nothing for a newer one.
      if (line.epoch === epoch) this.#learn(line, profile, need, came);
      return came;
    }));
  }

  /** I6: runs up to `line.flight =` without an await. */
  #launch(line: Line, profile: Profile, send: (waiting: AbortSignal) => Promise<FlightOutcome>): Flight {
    this.#flying += 1;
    const landing = (waiting: AbortSignal): Promise<FlightOutcome> => send(waiting).finally(() => {
      line.flight = null;
      this.#flying -= 1;
      if (this.#flying === 0) for (const resolve of this.#landed.splice(0)) resolve();
    });
    const flight = new Flight(this.#deps.clock, landing, () => transientError(NO_ANSWER_YET, profile, this.#retryAfterS(line)));
    line.flight = flight;
    return flight;
  }

  #refresh(grant: Grant, profile: Profile, need: TokenNeed, waiting: AbortSignal): Promise<FlightOutcome> {
    // Where narrowing is not known to be safe all that was granted is asked for; a broader token serves as well.
    const scopes = profile.traits.narrowing === 'safe' ? need.scopes : null;
    return this.#deps.admission.through(grant, profile, waiting, async () => {
      // A turn and a probe may have taken a while: logout, login and lock may have come since.
      const current = this.#deps.book.get(profile.name);
      if (current?.generation !== grant.generation || this.#deps.isLocked()) return { kind: 'overtaken' };
      return refreshGrant(this.#deps, current, profile, { scopes, resource: need.resource });
    });
  }

  #learn(line: Line, profile: Profile, need: TokenNeed, outcome: FlightOutcome): void {
    const { clock, random } = this.#deps;
    const { now: at, boottimeMs } = instantOf(clock);
    if (outcome.kind === 'outage') return;
    // It decides nothing of the grant.
    if (isNoise(outcome) || (outcome.kind === 'transient' && outcome.transient.reach === 'server')) {
      const { cause, retryAfterMs } = outcome.kind === 'transient' ? outcome.transient : { cause: UNREADABLE, retryAfterMs: null };
      line.backOff = afterFailure(line.backOff, { at, boottimeMs, cause, retryAfterMs }, random.fraction());
      return;
    }
    if (outcome.kind === 'transient') return;
    line.backOff = NO_BACK_OFF;
    if (outcome.kind === 'refused') line.decide(need, boottimeMs, failureIn(outcome, profile, 1), null);
    if (outcome.kind !== 'refreshed') return;
    const { token } = outcome;
    if (token === null) line.decide(need, boottimeMs, failureIn(outcome, profile, 1), null);
    else {
      const lifeMs = token.expiresAt - token.obtainedAt;
      line.decide(need, boottimeMs, unmetScopes(profile, need, token), lifeMs < need.minTtlMs ? lifeMs : null);
    }
  }
}
