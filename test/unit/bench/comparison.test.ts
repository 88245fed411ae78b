/** When a goal counts as met. */
import { describe, expect, it } from 'vitest';
import { compare, judge, unmeasured } from '../../../bench/comparison.ts';
import type { Goal } from '../../../bench/comparison.ts';

const figure = (low: number, median: number, high: number) => ({ low, median, high, count: 9 });
const most: Goal = { of: 'value', sign: '<=', limit: 10 };
const least: Goal = { of: 'ratio', sign: '>=', limit: 3 };

describe('comparison', () => {
  it.each([
    [most, figure(8, 9, 10), 'met'],
    [most, figure(11, 12, 13), 'missed'],
    [most, figure(9, 9.5, 11), 'unclear'],
    [most, figure(9, 10.5, 11), 'unclear'],
    [least, figure(3, 4, 5), 'met'],
    [least, figure(1, 2, 2.9), 'missed'],
    [least, figure(2, 3.5, 4), 'unclear'],
  ] as const)('judges %o by %o as %s', (goal, measured, verdict) => {
    expect(judge(measured, goal)).toBe(verdict);
  });

  it('judges what the goal is about: the ratio, the difference or the figure', () => {
    const shared = { what: 'a', by: 'b', unit: 'ms', ours: figure(9, 9, 9), ratio: figure(4, 4, 4), difference: figure(20, 20, 20) } as const;
    expect(compare({ ...shared, goal: most }).verdict).toBe('met');
    expect(compare({ ...shared, goal: least }).verdict).toBe('met');
    expect(compare({ ...shared, goal: { of: 'difference', sign: '<=', limit: 8 } }).verdict).toBe('missed');
    expect(compare(shared).verdict).toBeNull();
  });

  it('gives no verdict on what was not measured', () => {
    expect(unmeasured({ what: 'a', by: 'b', unit: '/s', goal: least }, 'no such peer')).toMatchObject({ verdict: null, ours: null, notes: ['no such peer'] });
  });
});
