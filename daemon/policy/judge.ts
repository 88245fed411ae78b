/**
 * Rules compiled once, and the first that fits. A rule that may or may not fit, because a fact is not known,
 * is held against those behind it, and the stricter answer counts: not to be known never gives more.
 */
import type { Lift, PolicyDocument, PolicySource, Tier, Verdict } from '../core/policy-rules.ts';
import { TIERS } from '../core/policy-rules.ts';
import type { Proofs } from './assurance.ts';
import { compileWhen, tierRank } from './conditions.ts';
import type { Condition, Truth } from './conditions.ts';
import type { Facts } from './facts.ts';
import { bothLimits, limitsOf, NO_LIMITS, strictnessOf } from './strictness.ts';
import type { Limits } from './strictness.ts';

/** What one rule says where it fits. */
export type Hit = {
  readonly rule: string;
  readonly source: PolicySource;
  readonly reason: string | null;
  readonly verdict: Verdict;
  readonly strictness: number;
  readonly limits: Limits;
};

export type CompiledRule = { readonly conditions: readonly Condition[]; readonly hit: Hit };
export type CompiledLift = { readonly name: string; readonly conditions: readonly Condition[]; readonly rank: number };

/** One rule that was looked at, for people: why it did not fit, or that it did. */
export type Look = { readonly rule: string; readonly source: PolicySource; readonly outcome: 'fits' | 'may fit' | 'does not fit'; readonly why: string };

export function compileRules({ source, rules }: PolicyDocument, proofs: Proofs): readonly CompiledRule[] {
  return rules.map(({ name, when, verdict, ceiling, reason }) => ({
    conditions: compileWhen(when, verdict.kind === 'deny'),
    hit: { rule: name, source, reason, verdict, strictness: strictnessOf(verdict), limits: limitsOf(ceiling, `${source}/${name}`, proofs) },
  }));
}

export function compileLifts(lifts: readonly Lift[]): readonly CompiledLift[] {
  return lifts.map(({ name, when, tier }) => ({ name, conditions: compileWhen(when, null), rank: tierRank(tier) }));
}

/** All conditions together: one `no` is a no, whatever else is not known. */
function fits(conditions: readonly Condition[], facts: Facts, tier: Tier): Truth {
  let found: Truth = 'yes';
  for (const condition of conditions) {
    const truth = condition.holds(facts, tier);
    if (truth === 'no') return 'no';
    if (truth === 'unknown') found = 'unknown';
  }
  return found;
}

/** The stricter verdict, under the ceilings of both; of two that are alike the one that sets a limit, else the first. */
export function stricter(a: Hit, b: Hit): Hit {
  const winner = b.strictness > a.strictness || (b.strictness === a.strictness && a.limits === NO_LIMITS && b.limits !== NO_LIMITS) ? b : a;
  const limits = bothLimits(a.limits, b.limits);
  return limits === winner.limits ? winner : { ...winner, limits };
}

/** @param looks - filled with what was looked at; null: nobody wants to know */
export function firstFit(rules: readonly CompiledRule[], facts: Facts, tier: Tier, looks: Look[] | null): Hit | null {
  let held: Hit | null = null;
  for (const { conditions, hit } of rules) {
    const truth = fits(conditions, facts, tier);
    if (looks !== null) looks.push(lookAt(conditions, hit, truth, facts, tier));
    if (truth === 'no') continue;
    held = held === null ? hit : stricter(held, hit);
    if (truth === 'yes') return held;
  }
  return held;
}

function lookAt(conditions: readonly Condition[], { rule, source }: Hit, truth: Truth, facts: Facts, tier: Tier): Look {
  const wanted: Truth = truth === 'no' ? 'no' : 'unknown';
  const why = truth === 'yes' ? '' : conditions.filter((condition) => condition.holds(facts, tier) === wanted).map((condition) => condition.says(facts, tier)).join('; ');
  return { rule, source, outcome: truth === 'yes' ? 'fits' : truth === 'no' ? 'does not fit' : 'may fit', why };
}

/** The tiers that the request may be of: from the one that is sure to the one that cannot be ruled out. */
export function tiersOf(lifts: readonly CompiledLift[], facts: Facts, from: Tier): { readonly sure: Tier; readonly perhaps: Tier } {
  let [sure, perhaps] = [tierRank(from), tierRank(from)];
  for (const { conditions, rank } of lifts) {
    if (rank <= sure) continue;
    const truth = fits(conditions, facts, from);
    if (truth !== 'no') perhaps = Math.max(perhaps, rank);
    if (truth === 'yes') sure = rank;
  }
  return { sure: TIERS[sure] ?? 'privileged', perhaps: TIERS[perhaps] ?? 'privileged' };
}
