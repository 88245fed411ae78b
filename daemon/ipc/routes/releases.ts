/**
 * The audit of tokens that leave (AL-01 as decided): the first release of a token to a caller is written
 * before it leaves; later ones to the same caller are counted, one record a minute, so that the hot path
 * waits for no disk. The same caller is the same executable and script.
 */
import { randomBytes } from 'node:crypto';
import type { AccessToken, Caller, Profile } from '../../core/domain.ts';
import type { Audit, Clock } from '../../core/ports.ts';
import type { Claimed } from './claimed.ts';

const WINDOW_MS = 60_000;
const KEPT = 4_096;

/** `written` resolves when the record of the first release is in the audit. */
type Seen = { count: number; readonly sinceMs: number; readonly written: Promise<void> };

export class Releases {
  readonly #audit: Pick<Audit, 'append'>;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();
  /** Ties records of one token together without any of its bytes. */
  readonly #key = randomBytes(32);

  constructor(deps: { readonly audit: Pick<Audit, 'append'>; readonly clock: Clock }) {
    this.#audit = deps.audit;
    this.#clock = deps.clock;
  }

  /** The token may leave when this resolves; where it rejects nothing was recorded. */
  async record(profile: Profile, token: AccessToken, source: string, caller: Caller, request: string, claimed: Claimed | null): Promise<void> {
    const id = token.value.fingerprint(this.#key);
    const key = `${id}/${caller.executable ?? ''}/${caller.script ?? ''}`;
    const nowMs = this.#clock.boottimeMs();
    const seen = this.#seen.get(key);
    if (seen !== undefined && nowMs - seen.sinceMs < WINDOW_MS) {
      await seen.written;
      seen.count += 1;
      return;
    }
    const written = this.#audit.append({
      event: 'token_released', profile: profile.name, caller, request,
      facts: {
        token: id, source, issuer: profile.issuer, client_id: profile.clientId, scopes: token.scopes, resource: token.resource,
        expires_at: Math.floor(token.expiresAt / 1000), rule: 'same-user', ...(seen === undefined ? {} : { more_since_last: seen.count }),
        ...(claimed === null ? {} : { claimed }),
      },
    });
    const first: Seen = { count: 0, sinceMs: nowMs, written };
    if (this.#seen.size >= KEPT) this.#seen.clear();
    this.#seen.set(key, first);
    try {
      await written;
    } catch (cause) {
      // The next one is a first release again, with the count that was not written.
      if (this.#seen.get(key) === first) this.#forgetTo(key, seen);
      throw cause;
    }
  }
  #forgetTo(key: string, before: Seen | undefined): void {
    if (before === undefined) this.#seen.delete(key);
    else this.#seen.set(key, before);
  }
}
