/**
 * What discovery found, so that a sign-in waits for it once: younger than ten minutes it is served, younger than
 * a day it is served and fetched anew behind it, one fetch at a time. Only servers are kept: what failed is asked
 * again. The answer depends on more than the issuer, and the key holds all of it.
 */
import type { AuthorizationServer } from '../core/domain.ts';
import type { Clock, Discoverable, Log, ServerOutcome } from '../core/ports.ts';

const SERVED_MS = 600_000;
const KEPT_MS = 86_400_000;
const MAX_ISSUERS = 64;

type Found = { readonly server: AuthorizationServer; readonly atMs: number };
/** @param signal - null: somebody waits for the answer */
type Fetch = (profile: Discoverable, signal: AbortSignal | null) => Promise<ServerOutcome>;

export class DiscoveryCache {
  readonly #deps: { readonly clock: Clock; readonly log: Log; readonly fetch: Fetch };
  readonly #found = new Map<string, Found>();
  readonly #underWay = new Map<string, Promise<ServerOutcome>>();
  readonly #closing = new AbortController();

  constructor(deps: { readonly clock: Clock; readonly log: Log; readonly fetch: Fetch }) {
    this.#deps = deps;
  }

  async discover(profile: Discoverable, isFresh: boolean): Promise<ServerOutcome> {
    const key = keyOf(profile);
    if (isFresh) return this.#fetch(key, profile, null);
    const found = this.#found.get(key);
    const ageMs = found === undefined ? Infinity : this.#deps.clock.boottimeMs() - found.atMs;
    if (found === undefined || ageMs >= KEPT_MS) return this.#underWay.get(key) ?? this.#fetchOnce(key, profile, null);
    if (ageMs >= SERVED_MS && !this.#underWay.has(key)) void this.#renew(key, profile);
    return { kind: 'server', server: found.server };
  }

  /** Ends what nobody waits for. */
  close(): void {
    this.#closing.abort();
  }

  /** Behind somebody's back: whatever comes of it, the old answer stays until it is a day old. */
  async #renew(key: string, profile: Discoverable): Promise<void> {
    const { log } = this.#deps;
    try {
      const outcome = await this.#fetchOnce(key, profile, this.#closing.signal);
      if (outcome.kind === 'server' || this.#closing.signal.aborted) return;
      log.warn('discovery_not_renewed', { issuer: profile.issuer, why: outcome.kind === 'transient' ? outcome.cause : outcome.description });
    } catch (cause) {
      log.error('discovery_not_renewed', { issuer: profile.issuer }, cause);
    }
  }

  async #fetchOnce(key: string, profile: Discoverable, signal: AbortSignal | null): Promise<ServerOutcome> {
    const fetching = this.#fetch(key, profile, signal);
    this.#underWay.set(key, fetching);
    try {
      return await fetching;
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #fetch(key: string, profile: Discoverable, signal: AbortSignal | null): Promise<ServerOutcome> {
    const atMs = this.#deps.clock.boottimeMs();
    const outcome = await this.#deps.fetch(profile, signal);
    const known = this.#found.get(key);
    // Of two that crossed, the one that was asked later is the newer.
    if (outcome.kind !== 'server' || (known !== undefined && known.atMs > atMs)) return outcome;
    this.#found.delete(key);
    this.#found.set(key, { server: outcome.server, atMs });
    const [oldest] = this.#found.keys();
    if (this.#found.size > MAX_ISSUERS && oldest !== undefined) this.#found.delete(oldest);
    return outcome;
  }
}

/** Everything that discover.ts reads of a profile, but for the client id, which only fills an object of openid-client's. */
function keyOf({ issuer, caPem, proxy, allowLoopbackHttp, endpoints, traits }: Discoverable): string {
  return JSON.stringify([issuer, caPem, proxy, allowLoopbackHttp, endpoints, traits.metadata, traits.pkce]);
}
