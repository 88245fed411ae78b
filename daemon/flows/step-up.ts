/**
 * What a step-up asks of the issuer, and how often: at most two sign-ins for one demand (SU-01). The first leaves it
 * to the issuer whether the person has to do anything; the second says that they do (prompt=login), for issuers
 * that answer from a weaker session of the browser. An issuer that met neither is not asked a third time for a
 * while, whoever asks: no broken resource and no loop of a script floods a person with tabs.
 */
import type { Scope } from '../../shared/names.ts';
import type { Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { missingScopes } from '../core/grant.ts';
import type { LoginAsk } from './login-ask.ts';

export const SIGN_INS_MAX = 2;
/** Until then the answer stands; a person who has found their key by then may try again. */
const STANDS_MS = 60_000;
const KEPT = 64;

const OPENID = 'openid' as Scope; // a scope by the specification

/**
 * What a sign-in is for: those for the same thing join each other, and no others. Who waits for privileged access has
 * nothing of an ordinary sign-in, and the reverse.
 */
export function purposeOf({ isBeside, stepUp: { acrValues, maxAgeS }, scopes }: LoginAsk, isPrivileged: boolean): string {
  if (!isBeside && !isPrivileged) return '';
  return JSON.stringify([...(isPrivileged ? ['privileged'] : []), acrValues, maxAgeS, scopes === null ? null : scopes.toSorted()]);
}

/** A resource may ask for less than the sign-in has, and never for more: its word must not widen what a token is good for. */
export function stepUpScopes(profile: Profile, grant: Grant, wanted: readonly Scope[] | null): readonly Scope[] {
  if (wanted === null) return withOpenId(grant.scopes);
  const beyond = missingScopes(grant, wanted, profile.traits.scopeAliases);
  if (beyond.length > 0) {
    throw new BrokerError('scope_not_granted', `a step-up gets no scope that the sign-in of profile ${profile.name} was not granted: ${beyond.join(' ')}`, {
      hint: `If that is right, run: valetkey login ${profile.name} --scope "${[...new Set([...grant.scopes, ...beyond])].join(' ')}"`,
    });
  }
  return withOpenId(wanted);
}

/** Without it nobody says how the person signed in. */
function withOpenId(scopes: readonly Scope[]): readonly Scope[] {
  return scopes.includes(OPENID) ? scopes : [OPENID, ...scopes];
}

export class StepUpTries {
  readonly #clock: Pick<Clock, 'boottimeMs'>;
  readonly #unmet = new Map<string, { readonly count: number; readonly atMs: number }>();

  constructor(clock: Pick<Clock, 'boottimeMs'>) {
    this.#clock = clock;
  }

  /** Throws stepup_unmet where the issuer was asked twice. True: the person has to prove anew. */
  next(profile: Profile, purpose: string): boolean {
    const found = this.#found(profile, purpose);
    if (found === null) return false;
    if (found.count >= SIGN_INS_MAX) {
      throw new BrokerError('stepup_unmet', `${profile.issuer} was asked twice for a stronger or fresher sign-in and gave none`, {
        retryAfterS: Math.ceil((found.atMs + STANDS_MS - this.#clock.boottimeMs()) / 1000),
      });
    }
    return true;
  }

  ended(profile: Profile, purpose: string, error: BrokerError | null): void {
    const key = keyOf(profile, purpose);
    const count = this.#found(profile, purpose)?.count ?? 0;
    // What a person refused, left or could not finish says nothing of the issuer.
    if (error !== null && error.code !== 'stepup_unmet') return;
    this.#unmet.delete(key);
    if (error === null) return;
    const [oldest] = this.#unmet.keys();
    if (this.#unmet.size >= KEPT && oldest !== undefined) this.#unmet.delete(oldest);
    this.#unmet.set(key, { count: count + 1, atMs: this.#clock.boottimeMs() });
  }

  #found(profile: Profile, purpose: string): { readonly count: number; readonly atMs: number } | null {
    const found = this.#unmet.get(keyOf(profile, purpose));
    return found === undefined || this.#clock.boottimeMs() - found.atMs >= STANDS_MS ? null : found;
  }
}

function keyOf({ name, issuer, clientId }: Profile, purpose: string): string {
  return JSON.stringify([name, issuer, clientId, purpose]);
}

