/**
 * What a decision leaves of a need: the ceilings of the rules, as bounds that the engine keeps (AU-03). A token
 * with more than the bounds is not given, be it cached or new; where the issuer is known to narrow, less is
 * asked for, and where it is not, the request is refused with the scope that is too much.
 */
import type { Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { TokenBounds, TokenNeed } from '../core/grant.ts';
import { resourceHolds, NO_LIMITS, scopeHolds } from '../policy/strictness.ts';
import type { Limits } from '../policy/strictness.ts';

/** What of a profile, or a workload, the limits are laid over. */
type Bounded = Pick<Profile, 'issuer' | 'scopes' | 'traits'>;

export function withinLimits(profile: Bounded, grant: Grant | null, need: TokenNeed, limits: Limits): TokenNeed {
  if (limits === NO_LIMITS) return need;
  const rule = limits.by.join(', ');
  if (limits.managedDevice) throw new BrokerError('device_unmanaged', `rule ${rule} wants proof that this machine is managed, and there is none`, { reason: rule });
  if (!resourceHolds(limits, need.resource)) throw tooMuch(`resource ${need.resource ?? 'none'}`, rule);
  const scopes = scopesWithin(profile, grant, need, limits, rule);
  return { ...need, scopes, acrValues: acrWithin(need.acrValues, limits.acr, rule), bounds: boundsOf(profile, limits, rule) };
}

function scopesWithin(profile: Bounded, grant: Grant | null, { scopes }: TokenNeed, limits: Limits, rule: string): TokenNeed['scopes'] {
  const wanted = scopes ?? grant?.scopes ?? profile.scopes;
  const beyond = wanted.filter((scope) => !isHeld(profile, limits, scope));
  if (beyond.length === 0) return scopes;
  if (scopes !== null) throw tooMuch(`scope ${beyond.join(' ')}`, rule);
  const kept = wanted.filter((scope) => !beyond.includes(scope));
  if (kept.length === 0) throw tooMuch(`scope ${beyond.join(' ')}`, rule);
  if (profile.traits.narrowing !== 'safe') {
    throw tooMuch(`scope ${beyond.join(' ')}, and ${profile.issuer} is not known to give less than the sign-in has`, rule, `Make a profile with fewer scopes, and sign in to it`);
  }
  return kept;
}

function acrWithin(asked: readonly string[], allowed: readonly string[] | null, rule: string): readonly string[] {
  if (allowed === null) return asked;
  const both = asked.length === 0 ? allowed : asked.filter((acr) => allowed.includes(acr));
  if (both.length === 0) throw tooMuch(`acr ${asked.join(' ') || 'none'}`, rule);
  return both;
}

function tooMuch(what: string, rule: string, hint: string | null = null): BrokerError {
  return new BrokerError('policy_denied', `rule ${rule} does not allow ${what}`, { reason: rule, ...(hint === null ? {} : { hint }) });
}

/** Also under the name that the issuer gives a scope that is allowed. */
function isHeld({ traits: { scopeAliases } }: Bounded, limits: Limits, scope: string): boolean {
  return scopeHolds(limits, scope) || Object.entries(scopeAliases).some(([name, aliases]) => aliases.includes(scope) && scopeHolds(limits, name));
}

function boundsOf(profile: Bounded, limits: Limits, rule: string): TokenBounds {
  return {
    rule,
    key: JSON.stringify([limits.scopes.map(({ patterns }) => patterns), limits.maxTokenLifeS, limits.maxRemainingS]),
    beyond: limits.scopes.length === 0 ? null : (scopes) => scopes.filter((scope) => !isHeld(profile, limits, scope)),
    maxTokenLifeS: limits.maxTokenLifeS,
    maxRemainingS: limits.maxRemainingS,
    flows: limits.flows,
    maxAgeS: limits.maxAgeS,
    amr: limits.amr,
    maxSessionS: limits.maxSessionS,
    maxIdleS: limits.maxIdleS,
  };
}
