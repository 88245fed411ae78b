/**
 * How often a sign-in may be started: a loop of a broken script must not flood the issuer, the audit or a
 * person with tabs. Device logins are rarer still, since each of them shows a code that can be phished (DG-08).
 */
import type { FlowKind, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

const WINDOW_MS = 600_000;
const STARTS: Readonly<Record<FlowKind, number>> = { authorization_code: 60, device_code: 3 };

export class StartLimit {
  readonly #clock: Clock;
  readonly #starts = new Map<string, readonly number[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws too_many_logins. What is counted together: issuer, client and resource. */
  count(profile: Profile, flow: FlowKind): void {
    const key = JSON.stringify([flow, profile.issuer, profile.clientId, profile.resource]);
    const now = this.#clock.boottimeMs();
    const recent = (this.#starts.get(key) ?? []).filter((at) => now - at < WINDOW_MS);
    const [oldest] = recent;
    if (oldest !== undefined && recent.length >= STARTS[flow]) {
      throw new BrokerError('too_many_logins', `${recent.length} sign-ins at ${profile.issuer} were started within ten minutes`, {
        retryAfterS: Math.ceil((oldest + WINDOW_MS - now) / 1000),
      });
    }
    this.#starts.set(key, [...recent, now]);
  }
}
