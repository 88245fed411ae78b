/**
 * How strict an answer is: one total order of verdicts, and ceilings that only come down. Whatever is put
 * together here is at least as strict as each of its parts.
 *
 * P1  deny > confirm each > confirm for a time, the shorter the stricter > confirm once > allow.
 */
import { NO_CEILING } from '../core/policy-rules.ts';
import type { Ceiling, TokenFlow, Verdict } from '../core/policy-rules.ts';
import type { Proofs } from './assurance.ts';
import { compilePatterns } from './pattern.ts';
import type { Matcher } from './pattern.ts';

/** A number of the total order P1; the same number is the same strictness. */
export function strictnessOf(verdict: Verdict): number {
  if (verdict.kind === 'allow') return 0;
  if (verdict.kind === 'deny') return 4;
  switch (verdict.ask.kind) {
    case 'once': return 1;
    case 'for': return 2 + 1 / (2 + verdict.ask.seconds);
    case 'each': return 3;
  }
}

/** Patterns that have to fit, each list by itself: an intersection need not be a list of patterns. */
export type Bound = { readonly patterns: readonly string[]; readonly holds: Matcher };

/** Ceilings of several rules at once. */
export type Limits = {
  /** The rules that set them, for people. */
  readonly by: readonly string[];
  readonly scopes: readonly Bound[];
  readonly resources: readonly Bound[];
  readonly maxRemainingS: number | null;
  readonly maxTokenLifeS: number | null;
  /** Empty: no flow is good enough. */
  readonly flows: readonly TokenFlow[] | null;
  readonly acr: readonly string[] | null;
  /** Of each list one has to be there. */
  readonly amr: readonly (readonly string[])[];
  readonly maxAgeS: number | null;
  readonly maxSessionS: number | null;
  readonly maxIdleS: number | null;
  readonly managedDevice: boolean;
};

export const NO_LIMITS: Limits = { by: [], scopes: [], resources: [], maxRemainingS: null, maxTokenLifeS: null, flows: null, acr: null, amr: [], maxAgeS: null, maxSessionS: null, maxIdleS: null, managedDevice: false };

const boundOf = (patterns: readonly string[] | null): readonly Bound[] => (patterns === null ? [] : [{ patterns, holds: compilePatterns(patterns) }]);

const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));
const common = <T>(a: readonly T[] | null, b: readonly T[] | null): readonly T[] | null => (a === null ? b : b === null ? a : a.filter((each) => b.includes(each)));

/** @param proofs - what the words of issuers are worth: a method that does not count is left out of the list (ID-04) */
export function limitsOf(ceiling: Ceiling, by: string, proofs: Proofs): Limits {
  if (ceiling === NO_CEILING) return NO_LIMITS;
  const { scopes, resources, acr, amr, phishingResistant, ...rest } = ceiling;
  return {
    ...rest, by: [by], scopes: boundOf(scopes), resources: boundOf(resources),
    acr: common(acr, phishingResistant ? proofs.phishingResistant : null),
    amr: amr === null ? [] : [amr.filter((method) => proofs.amr.includes(method))],
  };
}

/** What both let through. */
export function bothLimits(a: Limits, b: Limits): Limits {
  if (a === NO_LIMITS) return b;
  if (b === NO_LIMITS) return a;
  return {
    by: [...a.by, ...b.by],
    scopes: [...a.scopes, ...b.scopes],
    resources: [...a.resources, ...b.resources],
    maxRemainingS: least(a.maxRemainingS, b.maxRemainingS),
    maxTokenLifeS: least(a.maxTokenLifeS, b.maxTokenLifeS),
    flows: common(a.flows, b.flows),
    acr: common(a.acr, b.acr),
    amr: [...a.amr, ...b.amr],
    maxAgeS: least(a.maxAgeS, b.maxAgeS),
    maxSessionS: least(a.maxSessionS, b.maxSessionS),
    maxIdleS: least(a.maxIdleS, b.maxIdleS),
    managedDevice: a.managedDevice || b.managedDevice,
  };
}

/** These speak to the issuer about the sign-in and open no API, so that no ceiling has to list them. */
const OF_THE_SIGN_IN = ['openid', 'offline_access'];

export function scopeHolds({ scopes }: Pick<Limits, 'scopes'>, scope: string): boolean {
  return scopes.length === 0 || OF_THE_SIGN_IN.includes(scope) || scopes.every(({ holds }) => holds(scope));
}

/** A request that names no resource is not one for a resource outside of the list. */
export function resourceHolds({ resources }: Limits, resource: string | null): boolean {
  return resources.length === 0 || (resource !== null && resources.every(({ holds }) => holds(resource)));
}
