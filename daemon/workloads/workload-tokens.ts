/**
 * An access token for a workload: from a cache of its own, or by the one request in flight for these scopes and this
 * resource. There is no grant and no refresh token: when a token ends, the client proves itself anew. Tokens are in
 * memory only, since a new one costs one request.
 *
 * W1  Between looking for a flight and claiming it there is no await, so a context of a workload has at most one.
 * W2  A token is kept under the workload as it was configured when it came: another issuer, client, CA or proxy has none.
 * W4  A lock takes tokens out of use, and not out of reach: any program may lock, and a panic that comes after it still
 *     has to end them.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { AccessToken, AuthorizationServer } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { remainingMs, servedAtBirth, serves, withToken } from '../core/grant.ts';
import type { TokenNeed } from '../core/grant.ts';
import { instantOf } from '../core/time.ts';
import type { Instant } from '../core/time.ts';
import type { Workload } from '../core/workload.ts';
import { Flight } from '../tokens/flight.ts';
import { refuseLongLife } from '../tokens/refusals.ts';
import { Slot } from './lane.ts';
import type { Lane } from './lane.ts';
import { noAnswerYet, refuseFlow, unmet } from './refusals.ts';
import { requestToken } from './request-token.ts';
import type { RequestDeps } from './request-token.ts';

export type WorkloadDeps = RequestDeps & {
  readonly isLocked: () => boolean;
  /** Has a token revoked that came for nobody. */
  readonly discard: (held: HeldTokens) => void;
};
/** Tokens that live, of a workload as it was configured when they came. */
export type HeldTokens = { readonly workload: Workload; readonly server: AuthorizationServer; readonly tokens: readonly AccessToken[] };
export type WorkloadServed = { readonly token: AccessToken; readonly source: 'cache' | 'issuer' };

/** More rounds than this mean that others keep winning the flight with other needs. */
const ROUNDS = 8;
/** Workloads times locks; the oldest go first. */
const SET_ASIDE_MAX = 256;

export class WorkloadTokens {
  readonly #deps: WorkloadDeps;
  readonly #slots = new Map<ProfileName, Slot>();
  /** W4: of before the last locks. Never served. */
  #setAside: readonly HeldTokens[] = [];

  constructor(deps: WorkloadDeps) {
    this.#deps = deps;
  }

  /** @param signal - ends the wait of this caller with its reason */
  async get(workload: Workload, need: TokenNeed, signal: AbortSignal): Promise<WorkloadServed> {
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      const at = instantOf(this.#deps.clock);
      const slot = this.#usable(workload, need, at);
      const token = bestOf(slot, workload, need, at);
      if (token !== null) return this.#served(workload, need, token, round === 0 ? 'cache' : 'issuer', at);
      const lane = slot.lane(need);
      const isMine = lane.flight === null;
      if (lane.flight === null) this.#mayAsk(workload, slot, lane, need, at);
      const came = await (lane.flight ?? this.#fly(workload, slot, lane, need)).wait(signal);
      if (!isMine) continue; // judged by this one's own need, like any token of the cache
      // Looked at again: a lock, or another configuration, may have come since.
      const now = instantOf(this.#deps.clock);
      this.#usable(workload, need, now);
      if (!servedAtBirth(came, need, workload.traits.scopeAliases)) throw unmet(workload, need, came);
      return this.#served(workload, need, came, 'issuer', now);
    }
    throw new BrokerError('deadline_exceeded', `workload ${workload.name} was given ${ROUNDS} tokens, and none served this request`, { retryAfterS: 1 });
  }

  /** When it last got a token in this run; null: not yet. */
  lastUsedMs(name: ProfileName): number | null {
    return this.#slots.get(name)?.lastUsedMs ?? null;
  }

  /** Its keys are others, or it signs in anew: what was refused before decides nothing. */
  retry(name: ProfileName): void {
    this.#slots.get(name)?.clearRefusals();
  }

  /** Takes its tokens out of the cache. Those that live are returned: whoever wants them dead has to revoke them. */
  take(name: ProfileName): readonly AccessToken[] {
    const at = instantOf(this.#deps.clock);
    const held = this.#heldOf(name, at);
    const before = this.#setAside.filter(({ workload }) => workload.name === name);
    this.#setAside = this.#setAside.filter((each) => !before.includes(each));
    this.#forget(name);
    return [...before, ...held].flatMap(({ tokens }) => tokens).filter((token) => remainingMs(token, at) > 0);
  }

  /** As take(), of every workload, at panic and purge. What is on its way is given to nobody, and discarded. */
  takeAll(): readonly HeldTokens[] {
    this.setAsideAll();
    const held = this.#setAside;
    this.#setAside = [];
    return held;
  }

  /** At a lock, which ends nothing at the issuer. */
  setAsideAll(): void {
    const at = instantOf(this.#deps.clock);
    const names = [...this.#slots.keys()];
    const all = [...this.#setAside, ...names.flatMap((name) => this.#heldOf(name, at))];
    const live = all.map((each) => ({ ...each, tokens: each.tokens.filter((token) => remainingMs(token, at) > 0) }));
    this.#setAside = live.filter(({ tokens }) => tokens.length > 0).slice(-SET_ASIDE_MAX);
    for (const name of names) this.#forget(name);
  }

  #heldOf(name: ProfileName, at: Instant): readonly HeldTokens[] {
    const slot = this.#slots.get(name);
    if (slot === undefined || slot.server === null) return [];
    return [{ workload: slot.workload, server: slot.server, tokens: slot.tokens.filter((token) => remainingMs(token, at) > 0) }];
  }

  #forget(name: ProfileName): void {
    this.#slots.get(name)?.end();
    this.#slots.delete(name);
  }

  #usable(workload: Workload, need: TokenNeed, at: Instant): Slot {
    const { name, expiresAt, digest, owner } = workload;
    if (this.#deps.isLocked()) throw new BrokerError('vault_locked', 'the user locked the broker');
    if (expiresAt !== null && at.now >= expiresAt) {
      throw new BrokerError('workload_expired', `workload ${name} expired on ${new Date(expiresAt).toISOString().slice(0, 10)}${owner === null ? '' : `; ${owner} owns it`}`);
    }
    refuseFlow(name, need.bounds);
    const known = this.#slots.get(name);
    if (known?.workload.digest === digest) return known;
    known?.end();
    const slot = new Slot(workload);
    this.#slots.set(name, slot);
    return slot;
  }

  #served(workload: Workload, need: TokenNeed, token: AccessToken, source: WorkloadServed['source'], at: Instant): WorkloadServed {
    refuseLongLife(workload, token, need.bounds, at);
    return { token, source };
  }

  #mayAsk(workload: Workload, slot: Slot, lane: Lane, need: TokenNeed, at: Instant): void {
    const refusal = slot.refusal(workload, at) ?? lane.refusal(at);
    if (refusal !== null) throw refusal;
    const last = lane.lastToken(at);
    if (last !== null && !servedAtBirth(last, need, workload.traits.scopeAliases)) throw unmet(workload, need, last);
  }

  /** W1: runs up to `lane.flight =` without an await. */
  #fly(workload: Workload, slot: Slot, lane: Lane, need: TokenNeed): Flight<AccessToken> {
    const { clock, discard } = this.#deps;
    const send = (): Promise<AccessToken> => requestToken(this.#deps, workload, slot, lane, { scopes: need.scopes ?? workload.scopes, resource: need.resource, byDefault: need.scopes === null }).then((token) => {
      // Forgotten meanwhile: by a lock, a removal, or another configuration.
      if (slot.isOver || this.#deps.isLocked()) {
        if (slot.server !== null) discard({ workload, server: slot.server, tokens: [token] });
        throw new BrokerError('vault_locked', `workload ${workload.name} was locked or changed while its token was fetched`);
      }
      const at = instantOf(clock);
      slot.tokens = withToken(slot.tokens, token, at);
      slot.lastUsedMs = at.now;
      return token;
    }).finally(() => {
      lane.flight = null;
    });
    const flight = new Flight<AccessToken>(clock, send, () => noAnswerYet(workload));
    lane.flight = flight;
    return flight;
  }
}

/** Of those that serve, the one that lives longest. */
function bestOf(slot: Slot, { traits }: Workload, need: TokenNeed, at: Instant): AccessToken | null {
  return slot.tokens.filter((token) => serves(token, need, traits.scopeAliases, at)).toSorted((a, b) => remainingMs(b, at) - remainingMs(a, at))[0] ?? null;
}
