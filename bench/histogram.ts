/**
 * Latencies as the load generator counts them (bucket_of() in c/load.c): exact up to 255 ns, then 128 buckets
 * for each power of two, so that a percentile is wrong by less than 0.8 %. Histograms of several runs add up,
 * which percentiles do not.
 */
const EXACT = 256;
const PER_OCTAVE = 128;

export type Buckets = readonly (readonly [bucket: number, count: number])[];

export function bucketOf(ns: number): number {
  if (ns < EXACT) return Math.floor(ns);
  const shift = Math.floor(Math.log2(ns)) - 7;
  return EXACT + (shift - 1) * PER_OCTAVE + Math.floor(ns / 2 ** shift) - PER_OCTAVE;
}

/** The middle of a bucket, in nanoseconds. */
export function valueOf(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const shift = Math.floor((bucket - EXACT) / PER_OCTAVE) + 1;
  return (((bucket - EXACT) % PER_OCTAVE) + PER_OCTAVE + 0.5) * 2 ** shift;
}

export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;
  #max = 0;

  get total(): number {
    return this.#total;
  }

  add(buckets: Buckets, maxNs: number): this {
    for (const [bucket, count] of buckets) {
      this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
      this.#total += count;
    }
    this.#max = Math.max(this.#max, maxNs);
    return this;
  }

  /** The smallest value that at least this fraction does not exceed; the largest of all is exact. */
  percentile(fraction: number): number {
    if (this.#total === 0) throw new Error('no percentile of nothing');
    const rank = Math.max(1, Math.ceil(this.#total * fraction));
    if (rank === this.#total) return this.#max;
    let seen = 0;
    for (const [bucket, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      seen += count;
      if (seen >= rank) return Math.min(valueOf(bucket), this.#max);
    }
    return this.#max;
  }
}
