/** The histogram of latencies, beside exact percentiles of the same numbers. */
import { describe, expect, it } from 'vitest';
import { bucketOf, Histogram, valueOf } from '../../../bench/histogram.ts';

const filled = (values: readonly number[]): Histogram => new Histogram().add(values.map((value) => [bucketOf(value), 1] as const), Math.max(...values));

describe('histogram', () => {
  it('keeps every value within 0.8 %, from a nanosecond to minutes', () => {
    for (let value = 1; value < 1e11; value = Math.ceil(value * 1.037)) {
      expect(Math.abs(valueOf(bucketOf(value)) - value) / value, String(value)).toBeLessThan(0.008);
    }
  });

  it('numbers its buckets without a gap and in order', () => {
    const seen = new Set<number>();
    for (let value = 0; value < 70_000; value += 1) seen.add(bucketOf(value));
    expect([...seen]).toEqual([...seen.keys()].map((_, i) => i));
  });

  it('finds percentiles by rank; the largest value is exact', () => {
    const values = Array.from({ length: 1000 }, (_, i) => (i + 1) * 1000);
    const histogram = filled(values);
    expect(histogram.total).toBe(1000);
    for (const fraction of [0.5, 0.9, 0.99, 0.999]) {
      const exact = Math.ceil(1000 * fraction) * 1000;
      expect(Math.abs(histogram.percentile(fraction) - exact) / exact).toBeLessThan(0.008);
    }
    expect(histogram.percentile(1)).toBe(1_000_000);
  });

  it('adds runs up: one stall among many quick answers shows in the tail and nowhere else', () => {
    const histogram = filled(Array.from({ length: 999 }, () => 50_000)).add([[bucketOf(2e9), 1]], 2e9);
    expect(histogram.percentile(0.99)).toBeLessThan(51_000);
    expect(histogram.percentile(0.9999)).toBe(2e9);
  });

  it('never tells more than the largest value, and nothing of nothing', () => {
    expect(filled([1000, 1001]).percentile(0.5)).toBeLessThanOrEqual(1001);
    expect(() => new Histogram().percentile(0.5)).toThrow('no percentile of nothing');
  });
});
