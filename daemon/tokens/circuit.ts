/**
 * One circuit breaker for each issuer, shared by all grants there. What cannot be reached is not knocked at by
 * every grant in turn, and no refresh token is risked to find out whether the network is back: an open circuit
 * closes by a probe that carries no secret. An issuer that answers with errors, or that was sent a refresh and did
 * not answer though a probe reaches it, is tried again by one refresh at a time.
 *
 * I13 Between looking for a probe and claiming it there is no await, so a circuit has at most one.
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Grant, IssuerConnection, Profile } from '../core/domain.ts';
import type { Clock, Issuer, Log, Random, Transient } from '../core/ports.ts';

export type CircuitDeps = { readonly issuer: Pick<Issuer, 'probe'>; readonly clock: Clock; readonly random: Random; readonly log: Log };

/** Where a request would go: a grant's pinned server, or a workload's. */
type Party = Pick<Grant, 'issuer' | 'server'>;
type Asker = IssuerConnection & Pick<Profile, 'issuer'>;

/** What is known of an issuer that fails. */
export type Outage = {
  readonly issuer: string;
  readonly since: EpochMs;
  readonly cause: string;
  readonly reach: Transient['reach'];
  readonly retryAfterS: number;
};

/** The network comes back at any moment, and a caller waits for it: never longer than this between two probes. */
const NETWORK_PAUSE_MAX_MS = 4_000;
const SERVER_PAUSE_MAX_MS = 30_000;
const FIRST_PAUSE_MS = 500;
/** One error page may be about one grant; this many in a row are about the issuer. */
const SERVER_FAILURES = 3;
const RETRY_AFTER_MAX_MS = 3_600_000;
/** These are said to one client of the issuer, and must not hold back the others. */
const OF_ONE_CLIENT = ['http_429', 'http_408'];

type State = {
  failures: number; since: EpochMs; cause: string; reach: Transient['reach']; notBeforeMs: number; trial: boolean; probing: Promise<void> | null;
  /** The last that failed was a refresh that was sent: that the issuer can be reached says too little then. */
  isSilent: boolean;
  /** A probe got there since. */
  isReached: boolean;
};

export class Circuits {
  readonly #deps: CircuitDeps;
  readonly #states = new Map<string, State>();

  constructor(deps: CircuitDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves to null where a refresh may be sent, else to the outage. Where it is time to look again, the
   * first to ask looks, and all who ask meanwhile wait for what comes of it.
   */
  async admit(at: Party, profile: Asker): Promise<Outage | null> {
    const key = keyOf(profile);
    const state = this.#states.get(key);
    if (state === undefined || !isOpen(state)) return null;
    if (state.trial || (state.probing === null && state.notBeforeMs > this.#deps.clock.boottimeMs())) return this.#outage(profile.issuer, state);
    if (state.reach === 'network') {
      state.probing ??= this.#probe(key, state, at, profile).finally(() => {
        state.probing = null;
      });
      await state.probing;
      if (!isOpen(state)) return null;
      if (state.trial || !state.isReached) return this.#outage(profile.issuer, state);
    }
    state.trial = true; // until it is told what came of it
    return null;
  }

  /** The issuer answered: whatever it said, it can be reached and is well. */
  answered(profile: Asker): void {
    const key = keyOf(profile);
    const state = this.#states.get(key);
    if (state !== undefined) this.#close(key, state, profile.issuer);
  }

  failed(profile: Asker, transient: Transient): void {
    if (OF_ONE_CLIENT.includes(transient.cause)) return this.unheard(profile);
    const key = keyOf(profile);
    this.#fail(key, this.#states.get(key), profile.issuer, transient);
  }

  /** Nothing was learnt of the issuer: the next one may try. */
  unheard(profile: Asker): void {
    const state = this.#states.get(keyOf(profile));
    if (state !== undefined) state.trial = false;
  }

  /** The machine woke up, or its network changed: every probe is due at once. */
  wake(): void {
    for (const state of this.#states.values()) if (state.reach === 'network') state.notBeforeMs = 0;
  }

  /** Nothing is sent but what looks whether it is back. */
  isOpen(profile: Asker): boolean {
    const state = this.#states.get(keyOf(profile));
    return state !== undefined && isOpen(state);
  }

  outages(): readonly Outage[] {
    return [...this.#states].filter(([, state]) => isOpen(state)).map(([key, state]) => this.#outage(issuerOf(key), state));
  }

  async #probe(key: string, state: State, at: Party, connection: IssuerConnection): Promise<void> {
    const startedMs = this.#deps.clock.boottimeMs();
    const outcome = await this.#deps.issuer.probe(at.server, connection);
    if (outcome.kind === 'reached' && state.isSilent) state.isReached = true;
    else if (outcome.kind === 'reached') this.#close(key, state, at.issuer);
    else this.#fail(key, state, at.issuer, outcome, startedMs);
  }

  /** @param startedMs - of a probe: one that hung has been a pause by itself, and the network may be back */
  #fail(key: string, before: State | undefined, issuer: string, { cause, reach, retryAfterMs, answerLost }: Transient, startedMs: number | null = null): void {
    const { clock, random, log } = this.#deps;
    const nowMs = clock.boottimeMs();
    const failures = failuresAfter(before, reach);
    const ceiling = Math.min(reach === 'network' ? NETWORK_PAUSE_MAX_MS : SERVER_PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 16));
    const pausedUntilMs = Math.max((startedMs ?? nowMs) + (ceiling * (1 + random.fraction())) / 2, nowMs + FIRST_PAUSE_MS / 2);
    const notBeforeMs = Math.max(pausedUntilMs, nowMs + Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
    const state: State = before ?? { failures, since: clock.now(), cause, reach, notBeforeMs: 0, trial: false, probing: null, isSilent: false, isReached: false };
    const wasOpen = before !== undefined && isOpen(before);
    Object.assign(state, { failures, cause, reach, notBeforeMs, trial: false, isSilent: startedMs === null && answerLost, isReached: false });
    this.#states.set(key, state);
    if (!wasOpen && isOpen(state)) log.warn('issuer_unreachable', { issuer, why: cause });
  }

  #close(key: string, state: State, issuer: string): void {
    if (isOpen(state)) this.#deps.log.info('issuer_reached', { issuer, after_s: Math.round((this.#deps.clock.now() - state.since) / 1000) });
    state.failures = 0;
    this.#states.delete(key);
  }

  #outage(issuer: string, { since, cause, reach, notBeforeMs }: State): Outage {
    return { issuer, since, cause, reach, retryAfterS: Math.max(1, Math.ceil((notBeforeMs - this.#deps.clock.boottimeMs()) / 1000)) };
  }
}

function isOpen({ failures, reach }: State): boolean {
  return failures >= (reach === 'network' ? 1 : SERVER_FAILURES);
}

/** An issuer that was away and answers with an error has just come back: what was counted while it was away says nothing of that. */
function failuresAfter(before: State | undefined, reach: Transient['reach']): number {
  if (before === undefined || before.reach === reach || !isOpen(before)) return (before?.failures ?? 0) + 1;
  return reach === 'server' ? SERVER_FAILURES : 1;
}

/** Behind another proxy the same issuer is another road. */
export function keyOf({ issuer, proxy }: Pick<Profile, 'issuer' | 'proxy'>): string {
  return JSON.stringify([issuer, proxy]);
}

function issuerOf(key: string): string {
  const [issuer] = JSON.parse(key) as [string, string | null];
  return issuer;
}
