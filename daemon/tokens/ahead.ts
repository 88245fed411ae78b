/**
 * Refreshes ahead of expiry, so that nobody waits for one. A token is refreshed at a fraction of its life while
 * somebody uses it; each a little earlier by its own jitter, so that fifty grants of one morning do not fire
 * together. While idle nothing is sent, unless the profile says how long the sign-in is to be kept alive.
 *
 * Some servers end the older access token with the refresh. Where that is not known, no refresh ahead takes a token
 * away from a caller who got it less than a minute ago, or less than the life that he asked for.
 */
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import type { TokenNeed } from '../core/grant.ts';
import type { Clock, ConfigStore, GrantBook, Log, Random } from '../core/ports.ts';
import { instantOf } from '../core/time.ts';
import type { Instant } from '../core/time.ts';
import type { TokenSource } from './token-source.ts';

export type AheadDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly book: Pick<GrantBook, 'get' | 'list'>;
  readonly config: Pick<ConfigStore, 'current'>;
  readonly source: Pick<TokenSource, 'ahead'>;
  readonly signal: AbortSignal;
};

/** How a token is used, and when its successor is due; by the clock that never jumps. */
type Use = {
  readonly need: TokenNeed;
  readonly dueMs: number;
  /** Due whoever holds a token: else the sign-in itself would end. */
  readonly overdueMs: number;
  readonly lifeMs: number;
  usedMs: number;
  /** Until then a caller may count on it: he asked for a token that lives so long. */
  promisedMs: number;
  triedMs: number;
};

/** Where nobody knows whether the older token lives on: so late that little of what its end was said to be is lost. */
const LATE = 0.95;
/** What a caller may count on who asked for less: a program fetches a token, and then it makes its calls. */
const PROMISE_MIN_MS = 60_000;
/** Of the life of a token: the due times of tokens that came together are spread over this. */
const JITTER = 0.1;
/** In use: asked for within this part of its life before it is due, and within this time. */
const IN_USE_PART = 0.5;
const IN_USE_MAX_MS = 1_800_000;
/** Of the idle limit of a refresh token that the issuer names. */
const IDLE_LIMIT_PART = 0.8;
const LOOK_MS = 15_000;
/** After a try that came to nothing; the circuit and the back-off have pauses of their own. */
const RETRY_MS = 5_000;

export class Ahead {
  readonly #deps: AheadDeps;
  /** They go with their tokens. */
  readonly #uses = new WeakMap<AccessToken, Use>();
  #nextMs = Infinity;
  #nap = new AbortController();

  constructor(deps: AheadDeps) {
    this.#deps = deps;
  }

  /** A caller was given this token. On the hot path: no await, no I/O. */
  served(profile: Profile, token: AccessToken, need: TokenNeed, at: Instant): void {
    const known = this.#uses.get(token);
    if (known === undefined) {
      this.#follow(profile, token, need, at.boottimeMs, at);
    } else {
      known.usedMs = at.boottimeMs;
      known.promisedMs = Math.max(known.promisedMs, promisedUntil(need, at.boottimeMs));
      if (at.boottimeMs >= startOf(known, profile, known.promisedMs)) this.#refresh(profile, known, at.boottimeMs);
    }
  }

  /** The machine woke up: what is due is looked at now. */
  wake(): void {
    this.#nap.abort();
  }

  /** Until the signal ends. */
  async run(): Promise<void> {
    const { clock, signal, log } = this.#deps;
    signal.addEventListener('abort', () => this.#nap.abort(), { once: true });
    while (!signal.aborted) {
      this.#nextMs = clock.boottimeMs() + LOOK_MS;
      try {
        this.#look();
      } catch (cause) {
        log.error('refresh_ahead_failed', {}, cause); // one profile's mistake must not end it for all
      }
      this.#nap = new AbortController();
      await clock.sleep(Math.max(0, this.#nextMs - clock.boottimeMs()), this.#nap.signal).catch(() => null); // woken, or the daemon stops
    }
  }

  #look(): void {
    const { book, config, clock } = this.#deps;
    const at = instantOf(clock);
    const { profiles } = config.current();
    for (const grant of book.list()) {
      const profile = profiles.get(grant.profile);
      if (profile === undefined || grant.state.kind !== 'active') continue;
      // DG-10: nothing keeps a device sign-in alive but its use.
      if (profile.keepAliveS !== null && grant.flow !== 'device_code') this.#keepAlive(profile, grant, at);
      const uses = grant.state.tokens.flatMap((token) => this.#uses.get(token) ?? []);
      // A refresh for one of them may end them all.
      const promisedMs = Math.max(...uses.map((use) => use.promisedMs));
      for (const use of uses) {
        const startMs = startOf(use, profile, promisedMs);
        if (startMs > at.boottimeMs) this.#nextMs = Math.min(this.#nextMs, startMs);
        else if (isInUse(use, profile, at.boottimeMs)) this.#refresh(profile, use, at.boottimeMs);
      }
    }
  }

  /** A grant that nobody asked for since the daemon started counts as used at its start. */
  #keepAlive(profile: Profile, grant: Grant, at: Instant): void {
    if (grant.state.kind !== 'active' || grant.state.tokens.some((token) => this.#uses.has(token))) return;
    const token = grant.state.tokens.find(({ byDefault, isStepUp }) => byDefault && !isStepUp);
    if (token === undefined) return;
    const need: TokenNeed = { scopes: null, resource: token.resource, minTtlMs: 0, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null };
    this.#follow(profile, token, need, at.boottimeMs, at);
  }

  #follow(profile: Profile, token: AccessToken, need: TokenNeed, usedMs: number, at: Instant): void {
    const lifeMs = token.expiresAt - token.obtainedAt;
    const overdueMs = this.#dueByIdleLimit(profile, at);
    const dueMs = Math.min(this.#dueByLife(profile, token, at), overdueMs);
    // Before the daemon was started again somebody may have got it, too.
    const promisedMs = promisedUntil(need, at.boottimeMs);
    this.#uses.set(token, { need: { ...need, minTtlMs: 0, notBeforeMs: null }, dueMs, overdueMs, lifeMs, usedMs, promisedMs, triedMs: -Infinity });
    if (dueMs < this.#nextMs) this.wake();
  }

  #dueByLife({ traits }: Profile, token: AccessToken, at: Instant): number {
    const refreshAt = traits.refreshAt ?? LATE;
    if (refreshAt >= 1) return Infinity;
    const lifeMs = token.expiresAt - token.obtainedAt;
    // Of an earlier boot: how old it is can only be told by the time of day.
    const bornMs = token.life?.bootId === at.bootId ? token.life.fromMs : at.boottimeMs - Math.max(0, at.now - token.obtainedAt);
    return bornMs + lifeMs * (refreshAt - JITTER * this.#deps.random.fraction());
  }

  /** TK-10: an issuer that ends an idle sign-in says after how long; kept alive, it is used before. */
  #dueByIdleLimit(profile: Profile, at: Instant): number {
    const end = profile.keepAliveS === null ? null : this.#deps.book.get(profile.name)?.refreshTokenExpiresAt ?? null;
    return end === null ? Infinity : at.boottimeMs + Math.max(0, end - at.now) * IDLE_LIMIT_PART;
  }

  #refresh(profile: Profile, use: Use, nowMs: number): void {
    if (nowMs - use.triedMs < RETRY_MS) return;
    use.triedMs = nowMs;
    const { source, log } = this.#deps;
    const coming = source.ahead(profile, { ...use.need, notBeforeMs: nowMs });
    if (coming === null) return;
    log.debug('refresh_ahead', { profile: profile.name });
    // It does not count as use: a token that nobody asks for has no successor, but where the sign-in is kept alive.
    if (profile.keepAliveS !== null) void this.#succeed(profile, use, coming);
  }

  async #succeed(profile: Profile, { need, usedMs }: Use, coming: Promise<AccessToken | null>): Promise<void> {
    const next = await coming;
    if (next !== null && !this.#uses.has(next)) this.#follow(profile, next, need, usedMs, instantOf(this.#deps.clock));
  }
}

function promisedUntil({ minTtlMs }: TokenNeed, nowMs: number): number {
  return nowMs + Math.max(minTtlMs, PROMISE_MIN_MS);
}

/** @param promisedMs - until when callers may count on tokens of this grant */
function startOf({ dueMs, overdueMs }: Use, { traits }: Profile, promisedMs: number): number {
  return traits.refreshAt === null ? Math.min(overdueMs, Math.max(dueMs, promisedMs)) : dueMs;
}

function isInUse({ usedMs, lifeMs }: Use, { keepAliveS }: Profile, nowMs: number): boolean {
  const idleMs = nowMs - usedMs;
  return idleMs <= Math.min(lifeMs * IN_USE_PART, IN_USE_MAX_MS) || (keepAliveS !== null && idleMs <= keepAliveS * 1000);
}
