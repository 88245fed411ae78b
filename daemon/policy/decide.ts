/**
 * May this caller have what it asks for? Pure and total; what is not known never gives more. Every answer names
 * the rule that gave it. Nothing that a client says of itself is looked at.
 *
 * P2  The answer is the stricter of what the admin's rules say (behind them, those that ship) and what the
 *     user's rules say, under the ceilings of both: a user's rule never gives more than there was without it.
 * P3  Where a fact is not known the answer is at least as strict as for whatever the fact may be.
 */
import type { Asking, PolicyDocuments, PolicySource, Tier, When } from '../core/policy-rules.ts';
import { TIERS } from '../core/policy-rules.ts';
import { proofsOf } from './assurance.ts';
import { tierRank } from './conditions.ts';
import type { Facts, PolicyRequest, Subject } from './facts.ts';
import { compileLifts, compileRules, firstFit, stricter, tiersOf } from './judge.ts';
import type { CompiledLift, CompiledRule, Hit, Look } from './judge.ts';
import { SHIPPED, TIER_CEILINGS } from './shipped.ts';
import { bothLimits, limitsOf, NO_LIMITS } from './strictness.ts';
import type { Limits } from './strictness.ts';

/** Policy made ready to decide; immutable, so that nothing in it can go stale. */
export type Policy = {
  readonly documents: PolicyDocuments;
  /** The admin's rules, and behind them those that ship. */
  readonly base: readonly CompiledRule[];
  readonly shipped: readonly CompiledRule[];
  readonly user: readonly CompiledRule[];
  readonly baseLifts: readonly CompiledLift[];
  readonly userLifts: readonly CompiledLift[];
  /** Some rule asks for the digest of the executable, which takes time to read. */
  readonly asksDigest: boolean;
  /** Some rule asks for what detectors found. */
  readonly asksFound: boolean;
  /** Some rule asks whether the screen is locked: it has to be listened for. */
  readonly asksScreen: boolean;
};

export type RuleName = { readonly rule: string; readonly source: PolicySource | 'built-in' };

type Common = {
  /** The rule that decided. */
  readonly by: RuleName;
  /** Why, in the words of who wrote the rule; null: they wrote none. */
  readonly reason: string | null;
  readonly tier: Tier;
};
export type Decision =
  | (Common & { readonly kind: 'allow'; readonly limits: Limits })
  | (Common & { readonly kind: 'confirm'; readonly limits: Limits; readonly ask: Asking })
  | (Common & { readonly kind: 'deny' });

export function compilePolicy(documents: PolicyDocuments): Policy {
  const { admin, user } = documents;
  const proofs = proofsOf(documents);
  const shipped = compileRules(SHIPPED, proofs);
  const asks = (is: (when: When) => boolean): boolean => [admin, user].some((document) => document !== null && [...document.rules, ...document.lifts].some(({ when }) => is(when)));
  return {
    documents,
    base: [...(admin === null ? [] : compileRules(admin, proofs)), ...shipped],
    shipped,
    user: user === null ? [] : compileRules(user, proofs),
    baseLifts: compileLifts(admin?.lifts ?? []),
    userLifts: compileLifts(user?.lifts ?? []),
    asksDigest: asks((when) => when.digest !== null),
    asksFound: asks((when) => when.found !== null),
    asksScreen: asks((when) => when.screenLocked !== null),
  };
}

/** The tiers that ship name no methods or classes. */
const NO_MAPPING = proofsOf({ admin: null, user: null });
const TIER_LIMITS: Readonly<Record<Tier, Limits>> = {
  low: NO_LIMITS, normal: NO_LIMITS, high: limitsOf(TIER_CEILINGS.high, 'tier/high', NO_MAPPING), privileged: limitsOf(TIER_CEILINGS.privileged, 'tier/privileged', NO_MAPPING),
};

const ANYTHING_ELSE: Hit = { rule: 'no-rule', source: 'shipped', reason: 'no rule fits', verdict: { kind: 'deny' }, strictness: 4, limits: NO_LIMITS };

export function decide(policy: Policy, subject: Subject, request: PolicyRequest): Decision {
  return decideAloud(policy, subject, request, null);
}

/** What explain shows is what decides: the same function, which also tells what it looked at. */
export function decideAloud(policy: Policy, subject: Subject, request: PolicyRequest, looks: Look[] | null): Decision {
  const facts: Facts = { subject, request };
  const lifted = policy.baseLifts.length === 0 ? { sure: request.tier, perhaps: request.tier } : tiersOf(policy.baseLifts, facts, request.tier);
  const base = overTiers(policy.base, facts, lifted.sure, lifted.perhaps, looks) ?? ANYTHING_ELSE;
  const own = policy.userLifts.length === 0 ? lifted : { sure: tiersOf(policy.userLifts, facts, lifted.sure).sure, perhaps: tiersOf(policy.userLifts, facts, lifted.perhaps).perhaps };
  const user = policy.user.length === 0 ? null : overTiers(policy.user, facts, own.sure, own.perhaps, looks);
  return decisionOf(base, user, raisedBy(policy, facts, lifted.sure), own.perhaps);
}

/** A tier that only the user's file gives is answered for by the rules that ship: the admin's might be gentler there. */
function raisedBy({ userLifts, shipped }: Policy, facts: Facts, from: Tier): Hit | null {
  if (userLifts.length === 0) return null;
  const { sure, perhaps } = tiersOf(userLifts, facts, from);
  return perhaps === from ? null : overTiers(shipped, facts, sure, perhaps, null);
}

/** Of each tier that the request may have, the strictest answer. */
function overTiers(rules: readonly CompiledRule[], facts: Facts, sure: Tier, perhaps: Tier, looks: Look[] | null): Hit | null {
  const first = firstFit(rules, facts, sure, looks);
  if (sure === perhaps) return first;
  return TIERS.slice(tierRank(sure) + 1, tierRank(perhaps) + 1).reduce<Hit | null>((held, tier) => {
    const hit = firstFit(rules, facts, tier, looks);
    return held === null || hit === null ? held ?? hit : stricter(held, hit);
  }, first);
}

function decisionOf(base: Hit, user: Hit | null, raised: Hit | null, tier: Tier): Decision {
  let hit = user === null ? base : stricter(base, user);
  if (raised !== null) hit = stricter(hit, raised);
  const by: RuleName = { rule: hit.rule, source: hit.source };
  const { verdict, reason } = hit;
  switch (verdict.kind) {
    case 'deny':
      return { kind: 'deny', by, reason, tier };
    case 'allow':
      return { kind: 'allow', by, reason, tier, limits: bothLimits(hit.limits, TIER_LIMITS[tier]) };
    case 'confirm':
      return { kind: 'confirm', by, reason, tier, limits: bothLimits(hit.limits, TIER_LIMITS[tier]), ask: verdict.ask };
  }
}

/** As answers, logs and records name a rule. */
export function ruleText({ rule, source }: RuleName): string {
  return source === 'built-in' ? rule : `${source}/${rule}`;
}
