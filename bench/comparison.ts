/**
 * One line of the benchmark: what was measured, ours beside a peer or a floor, and whether the goal is met.
 * A goal is met or missed by the median; where the goal lies within the quartiles, nobody can tell, and the
 * line says so.
 */
import type { Figure } from './statistics.ts';

export type Unit = 'ms' | 'us' | '/s' | 'MB';

export type Goal = {
  /** Of what: the ratio to the other one, the difference to it, or our own figure. */
  readonly of: 'ratio' | 'difference' | 'value';
  readonly sign: '<=' | '>=';
  readonly limit: number;
};

export type Other = { readonly kind: 'peer' | 'floor'; readonly name: string; readonly figure: Figure };

export type Verdict = 'met' | 'missed' | 'unclear';

export type Comparison = {
  /** What is measured; lines with the same words stand together in the chart. */
  readonly what: string;
  /** Which part of ours. */
  readonly by: string;
  readonly unit: Unit;
  readonly ours: Figure | null;
  readonly other: Other | null;
  readonly ratio: Figure | null;
  readonly difference: Figure | null;
  readonly goal: Goal | null;
  readonly verdict: Verdict | null;
  readonly notes: readonly string[];
};

export type Asked = Pick<Comparison, 'what' | 'by' | 'unit'> & Partial<Omit<Comparison, 'verdict'>>;

export function judge(figure: Figure, { sign, limit }: Goal): Verdict {
  const holds = (value: number): boolean => (sign === '<=' ? value <= limit : value >= limit);
  if (holds(figure.low) !== holds(figure.high)) return 'unclear';
  return holds(figure.median) ? 'met' : 'missed';
}

export function compare(asked: Asked): Comparison {
  const { ours = null, other = null, ratio = null, difference = null, goal = null, notes = [], what, by, unit } = asked;
  const judged = goal === null ? null : { ratio, difference, value: ours }[goal.of];
  return { what, by, unit, ours, other, ratio, difference, goal, notes, verdict: goal === null || judged === null ? null : judge(judged, goal) };
}

/** A line of which ours, or the other, could not be measured here, with the reason. */
export function unmeasured(asked: Pick<Asked, 'what' | 'by' | 'unit' | 'ours' | 'other' | 'goal'>, why: string): Comparison {
  return compare({ ...asked, notes: [why] });
}
