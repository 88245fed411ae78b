/**
 * The audit of tokens that leave (AL-01 as decided): the first release of a token to a caller is written
 * before it leaves; later ones to the same caller are counted, one record a minute, so that the hot path
 * waits for no disk. The same caller is the same executable and script.
 */
import type { AccessToken, Caller, Profile } from '../../core/domain.ts';
import type { Fingerprints } from '../../core/fingerprints.ts';
import type { Audit, AuditEvent, Clock, GrantBook } from '../../core/ports.ts';
import { Secret } from '../../core/secret.ts';
import type { Claimed } from './claimed.ts';

/** Whom the token is for, and the name of the request; that is made where a record is written. */
type Asker = { readonly caller: Caller; readonly requestId: string };

const WINDOW_MS = 60_000;
const KEPT = 4_096;

/** By which rule it leaves, and by whose word. `isUnasked`: a person should have been asked, and was not (policy/interim.ts). */
export type Allowed = { readonly name: string; readonly isUnasked: boolean; readonly approval: string | null };

/** `written` resolves when the record of the first release is in the audit, and is null from then on. */
type Seen = { count: number; readonly sinceMs: number; written: Promise<void> | null };

export class Releases {
  readonly #audit: Pick<Audit, 'append'>;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();
  readonly #fingerprints: Fingerprints;
  readonly #book: Pick<GrantBook, 'get'>;

  constructor(deps: { readonly audit: Pick<Audit, 'append'>; readonly clock: Clock; readonly fingerprints: Fingerprints; readonly book: Pick<GrantBook, 'get'> }) {
    this.#fingerprints = deps.fingerprints;
    this.#book = deps.book;
    this.#audit = deps.audit;
    this.#clock = deps.clock;
  }

  /** Null: the token may leave. Else it may when this resolves; where it rejects nothing was recorded. */
  record(profile: Profile, token: AccessToken, source: string, request: Asker, claimed: Claimed | null, rule: Allowed): Promise<void> | null {
    const { caller } = request;
    const name = this.#fingerprints.of(token.value);
    const key = `${name}/${rule.name}/${caller.executable ?? ''}/${caller.script ?? ''}`;
    const nowMs = this.#clock.boottimeMs();
    const seen = this.#seen.get(key);
    if (seen === undefined || nowMs - seen.sinceMs >= WINDOW_MS) {
      return this.#write(key, nowMs, {
        event: 'token_released', profile: profile.name, caller, request: request.requestId,
        facts: {
          token: name, source, ...this.#grantFacts(profile), issuer: profile.issuer, client_id: profile.clientId, scopes: token.scopes, resource: token.resource,
          acr: token.acr, ...(token.isStepUp ? { step_up: true, amr: token.amr } : {}), expires_at: Math.floor(token.expiresAt / 1000), rule: rule.name,
          ...(rule.isUnasked ? { unasked: true } : {}), ...(rule.approval === null ? {} : { approval: rule.approval }), ...(seen === undefined ? {} : { more_since_last: seen.count }),
          ...(claimed === null ? {} : { claimed }),
        },
      });
    }
    if (seen.written !== null) return seen.written.then(() => { seen.count += 1; });
    seen.count += 1;
    return null;
  }

  async #write(key: string, sinceMs: number, event: AuditEvent): Promise<void> {
    const before = this.#seen.get(key);
    const first: Seen = { count: 0, sinceMs, written: this.#audit.append(event) };
    if (this.#seen.size >= KEPT) this.#seen.clear();
    this.#seen.set(key, first);
    try {
      await first.written;
      first.written = null;
    } catch (cause) {
      // The next one is a first release again, with the count that was not written.
      if (this.#seen.get(key) === first) this.#forgetTo(key, before);
      throw cause;
    }
  }

  /** What leads from the release to the sign-in (AL-02); the account by a name that says nothing to others (AL-01). */
  #grantFacts({ name }: Profile): AuditEvent['facts'] {
    const grant = this.#book.get(name);
    if (grant === null) return {};
    const { flow, identity, generation, signedInAt } = grant;
    return {
      flow, tenant: identity?.tenant ?? null, account: identity === null ? null : this.#fingerprints.of(new Secret(identity.sub)),
      amr: identity?.amr ?? [], generation, signed_in_at: signedInAt,
    };
  }

  #forgetTo(key: string, before: Seen | undefined): void {
    if (before === undefined) this.#seen.delete(key);
    else this.#seen.set(key, before);
  }
}
