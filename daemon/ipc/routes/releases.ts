/**
 * The audit of tokens that leave (AL-01 as decided): the first release of a token to a caller is written
 * before it leaves; later ones to the same caller are counted, one record a minute, so that the hot path
 * waits for no disk. The same caller is the same executable and script.
 */
import { randomBytes } from 'node:crypto';
import type { AccessToken, Caller, Profile } from '../../core/domain.ts';
import type { Audit, Clock } from '../../core/ports.ts';

const WINDOW_MS = 60_000;
const KEPT = 4_096;

type Seen = { count: number; sinceMs: number };

export class Releases {
  readonly #audit: Audit;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();
  /** Ties records of one token together without any of its bytes. */
  readonly #key = randomBytes(32);

  constructor(deps: { readonly audit: Audit; readonly clock: Clock }) {
    this.#audit = deps.audit;
    this.#clock = deps.clock;
  }

  async record(profile: Profile, token: AccessToken, source: string, caller: Caller, request: string): Promise<void> {
    const id = token.value.fingerprint(this.#key);
    const key = `${id}/${caller.executable ?? ''}/${caller.script ?? ''}`;
    const nowMs = this.#clock.boottimeMs();
    const seen = this.#seen.get(key);
    if (seen !== undefined && nowMs - seen.sinceMs < WINDOW_MS) {
      seen.count += 1;
      return;
    }
    if (this.#seen.size >= KEPT) this.#seen.clear();
    this.#seen.set(key, { count: 0, sinceMs: nowMs });
    await this.#audit.append({
      event: 'token_released', profile: profile.name, caller, request,
      facts: {
        token: id, source, issuer: profile.issuer, client_id: profile.clientId, scopes: token.scopes, resource: token.resource,
        expires_at: Math.floor(token.expiresAt / 1000), rule: 'same-user', ...(seen === undefined ? {} : { more_since_last: seen.count }),
      },
    });
  }
}
