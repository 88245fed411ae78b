/**
 * The audit of tokens that leave (AL-01 as decided): the first release of a token to a caller is written
 * before it leaves; later ones to the same caller are counted, one record a minute, so that the hot path
 * waits for no disk. The same caller is the same bytes and script in the same session. Until the bytes are known
 * it is the same process: nobody waits for them to be read, and nobody passes for another meanwhile.
 */
import type { ProfileName } from '../../../shared/names.ts';
import type { AccessToken, Caller, Grant, Profile } from '../../core/domain.ts';
import type { Fingerprints } from '../../core/fingerprints.ts';
import { grantFacts } from '../../core/grant-facts.ts';
import type { Audit, AuditEvent, Callers, Clock } from '../../core/ports.ts';
import type { Claimed } from './claimed.ts';

/** Whom the token is for, and the name of the request; that is made where a record is written. */
type Asker = { readonly caller: Caller; readonly requestId: string };

const WINDOW_MS = 60_000;
const KEPT = 4_096;

/** By which rule it leaves, and by whose word. */
export type Allowed = { readonly name: string; readonly approval: string | null };

/** What leaves for people and what leaves for workloads is on record apart. */
type ReleaseEvent = Extract<AuditEvent['event'], 'token_released' | 'workload_token_released'>;
type Released = Pick<Profile, 'name' | 'issuer' | 'clientId'>;

/** `grant`: the sign-in behind it; null: it is a workload's own. */
type Leaving = { readonly grant: Grant | null; readonly token: AccessToken; readonly source: string };

/** `written` resolves when the record of the first release is in the audit, and is null from then on. */
type Seen = { count: number; told: number; readonly by: By; readonly sinceMs: number; written: Promise<void> | null };
type By = { readonly profile: ProfileName; readonly caller: string; readonly rule: string };

/** Tokens that left and are not on record by themselves. */
export type Untold = By & { readonly count: number };

export class Releases {
  readonly #audit: Pick<Audit, 'append'>;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();
  readonly #fingerprints: Fingerprints;
  readonly #callers: Pick<Callers, 'digestOf'>;
  readonly #event: ReleaseEvent;

  constructor(deps: { readonly audit: Pick<Audit, 'append'>; readonly clock: Clock; readonly fingerprints: Fingerprints; readonly callers: Pick<Callers, 'digestOf'>; readonly event: ReleaseEvent }) {
    this.#event = deps.event;
    this.#fingerprints = deps.fingerprints;
    this.#callers = deps.callers;
    this.#audit = deps.audit;
    this.#clock = deps.clock;
  }

  /** Null: the token may leave. Else it may when this resolves; where it rejects nothing was recorded. */
  record(profile: Released, { grant, token, source }: Leaving, request: Asker, claimed: Claimed | null, rule: Allowed): Promise<void> | null {
    const { caller } = request;
    const name = this.#fingerprints.of(token.value);
    const what = `${name}/${rule.name}/`;
    const key = what + identityOf(caller, caller.origin.digest);
    const nowMs = this.#clock.boottimeMs();
    const seen = this.#seen.get(key);
    if (seen === undefined || nowMs - seen.sinceMs >= WINDOW_MS) {
      if (caller.origin.digest === null) this.#learn(what, caller);
      return this.#write(key, nowMs, { profile: profile.name, caller: caller.label, rule: rule.name }, {
        event: this.#event, profile: profile.name, caller, request: request.requestId,
        facts: {
          token: name, source, ...this.#signIn(grant, profile), scopes: token.scopes, resource: token.resource,
          acr: token.acr, ...(token.isStepUp ? { step_up: true, amr: token.amr } : {}), expires_at: Math.floor(token.expiresAt / 1000), rule: rule.name,
          ...(rule.approval === null ? {} : { approval: rule.approval }), ...(seen === undefined ? {} : { more_since_last: seen.count }),
          ...(claimed === null ? {} : { claimed }),
        },
      });
    }
    if (seen.written !== null) return seen.written.then(() => { seen.count += 1; });
    seen.count += 1;
    return null;
  }

  /** What left since it was asked for last, but for those that wrote a record of their own. */
  takeUntold(): readonly Untold[] {
    return [...this.#seen.values()].flatMap((seen) => {
      const count = seen.count - seen.told;
      seen.told = seen.count;
      return count > 0 ? [{ ...seen.by, count }] : [];
    });
  }

  /** As records call it. */
  nameOf({ value }: AccessToken): string {
    return this.#fingerprints.of(value);
  }

  async #write(key: string, sinceMs: number, by: By, event: AuditEvent): Promise<void> {
    const before = this.#seen.get(key);
    const untold = before === undefined ? 0 : before.count - before.told;
    const first: Seen = { count: 0, told: -untold, by, sinceMs, written: this.#audit.append(event) };
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

  /** Off the hot path, and for the next one: what this process has counts for its bytes. */
  #learn(what: string, caller: Caller): void {
    void this.#callers.digestOf(caller).then((digest) => {
      const seen = this.#seen.get(what + identityOf(caller, null));
      const key = what + identityOf(caller, digest);
      if (digest !== null && seen !== undefined && !this.#seen.has(key)) this.#seen.set(key, seen);
    });
  }

  /** What leads from the release to the sign-in (AL-02); to a workload leads none. */
  #signIn(grant: Grant | null, { issuer, clientId }: Released): AuditEvent['facts'] {
    return grant === null ? { issuer, client_id: clientId } : { ...grantFacts(grant, this.#fingerprints), generation: grant.generation };
  }

  #forgetTo(key: string, before: Seen | undefined): void {
    if (before === undefined) this.#seen.delete(key);
    else this.#seen.set(key, before);
  }
}

function identityOf({ origin: { program, sessionLeader, run }, pid, startTime }: Caller, digest: string | null): string {
  const session = sessionLeader === null ? '' : `${sessionLeader.pid}:${sessionLeader.startTime}`;
  // With what `valetkey run` starts: of a use of that kind there is a record of its own.
  return digest === null ? `${pid}:${startTime}` : `${digest}/${session}/${program.script ?? ''}${run === null ? '' : `/run ${run}`}`;
}
