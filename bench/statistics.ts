/**
 * Medians, quartiles, and comparisons of runs that took turns. A ratio is made of each pair of neighbours and
 * only then summarised: whatever the machine did in one round, it did to both.
 */
export type Figure = {
  readonly median: number;
  /** The quartiles: half of all measurements lie between them. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
};

/** Linear between the two nearest, as R's type 7. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new Error('no quantile of nothing');
  return below + (above - below) * (at - Math.floor(at));
}

export function summarise(values: readonly number[]): Figure {
  return { median: quantile(values, 0.5), low: quantile(values, 0.25), high: quantile(values, 0.75), count: values.length };
}

export type Pairing = 'ratio' | 'difference';

export function pair(ours: readonly number[], theirs: readonly number[], how: Pairing): Figure {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} measurements cannot be paired with ${theirs.length}`);
  return summarise(ours.map((value, i) => {
    const other = theirs[i] ?? Number.NaN;
    return how === 'ratio' ? value / other : value - other;
  }));
}
