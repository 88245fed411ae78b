/**
 * Whether the sign-in behind a token is what a need and the rules ask for: class, methods, freshness and flow. A
 * token of a step-up (RFC 9470) answers for itself, every other one by the sign-in of its grant.
 */
import type { AccessToken, Grant, IssuerTraits, Profile } from '../core/domain.ts';
import type { BrokerError } from '../core/errors.ts';
import { hasMethods, NO_PROOF, remainingMs, serves } from '../core/grant.ts';
import type { TokenNeed } from '../core/grant.ts';
import { proofAgeS, signInAgeS } from '../core/sign-in-age.ts';
import type { Instant } from '../core/time.ts';
import { loginRequired } from './login-required.ts';

/**
 * The sign-in itself takes time, and the issuer's clock is another: what was proved for this very request, at
 * most so long ago, is fresh, also where `max_age=0` was asked for.
 */
const FRESH_S = 60;

/** Why the grant's own sign-in will not do; null: it will. */
export function shortfall(profile: Profile, grant: Grant, need: TokenNeed, at: Instant): BrokerError | null {
  const { flow, identity } = grant;
  const proof = identity ?? NO_PROOF;
  const { bounds, maxAgeS, acrValues } = need;
  if (maxAgeS !== null && (proof.authTime === null || signInAgeS(grant, at) > maxAgeS)) return loginRequired(profile, 'max_age');
  if (acrValues.length > 0 && !acrValues.includes(proof.acr ?? '')) return loginRequired(profile, 'acr');
  if (bounds === null) return null;
  if (bounds.flows !== null && !bounds.flows.includes(flow)) return loginRequired(profile, 'flow');
  // An issuer without ID tokens does not say when that was.
  if (bounds.maxAgeS !== null && signInAgeS(grant, at) > bounds.maxAgeS) return loginRequired(profile, 'max_age');
  return hasMethods(proof, bounds.amr) ? null : loginRequired(profile, 'amr');
}

/** The token of a step-up that meets what the grant's own sign-in does not, the one that lives longest; null: none does. */
export function findSteppedUp(grant: Grant, need: TokenNeed, aliases: IssuerTraits['scopeAliases'], at: Instant): AccessToken | null {
  if (grant.state.kind !== 'active') return null;
  return grant.state.tokens
    .filter((token) => token.isStepUp && isMet(token, need, at) && serves(token, need, aliases, at))
    .toSorted((a, b) => remainingMs(b, at) - remainingMs(a, at))[0] ?? null;
}

function isMet(token: AccessToken, { maxAgeS, bounds }: TokenNeed, at: Instant): boolean {
  const ageS = proofAgeS(token, at);
  const isWithin = (limitS: number | null): boolean => limitS === null || ageS <= Math.max(limitS, FRESH_S);
  // A step-up goes by the browser, never by a code that is typed elsewhere.
  return isWithin(maxAgeS) && (bounds === null || (isWithin(bounds.maxAgeS) && (bounds.flows?.includes('authorization_code') ?? true) && hasMethods(token, bounds.amr)));
}
