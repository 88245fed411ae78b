/** Medians, quartiles and paired ratios. */
import { describe, expect, it } from 'vitest';
import { pair, quantile, summarise } from '../../../bench/statistics.ts';

describe('statistics of the benchmark', () => {
  it('finds quantiles between two values, in any order of the input, and leaves the input alone', () => {
    const values = [40, 10, 30, 20];
    expect(quantile(values, 0)).toBe(10);
    expect(quantile(values, 0.5)).toBe(25);
    expect(quantile(values, 1)).toBe(40);
    expect(quantile([7], 0.99)).toBe(7);
    expect(values).toEqual([40, 10, 30, 20]);
  });

  it('has no quantile of nothing', () => {
    expect(() => quantile([], 0.5)).toThrow('no quantile of nothing');
  });

  it('gives the median with its quartiles', () => {
    expect(summarise([1, 2, 3, 4, 100])).toEqual({ median: 3, low: 2, high: 4, count: 5 });
  });

  it('pairs runs that were neighbours: a machine that slows both down changes no ratio', () => {
    const theirs = [10, 20, 30, 80];
    const ours = theirs.map((value) => value / 2);
    expect(pair(ours, theirs, 'ratio')).toEqual({ median: 0.5, low: 0.5, high: 0.5, count: 4 });
    expect(pair([11, 22, 33], [10, 20, 30], 'difference').median).toBe(2);
  });

  it('pairs nothing where a run is missing', () => {
    expect(() => pair([1, 2], [1], 'ratio')).toThrow('cannot be paired');
  });
});
