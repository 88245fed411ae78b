/** How figures and goals are written, in the table, in the documents and in the chart. */
import type { Comparison, Goal, Unit } from './comparison.ts';
import type { Figure } from './statistics.ts';

/** Three digits are more than such measurements are worth. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

export function amount(value: number, unit: Unit): string {
  return unit === '/s' ? `${number(value)}/s` : `${number(value)} ${unit}`;
}

/** Half of what was measured lies this near to the median, as a share of it. */
export function spread({ median, low, high, count }: Figure): string {
  return median === 0 || count < 2 ? '' : `±${Math.round((50 * (high - low)) / Math.abs(median))}%`;
}

export function goalWords({ of, sign, limit }: Goal, unit: Unit): string {
  const sense = sign === '<=' ? '≤' : '≥';
  if (of === 'ratio') return `${sense} ${number(limit)} x`;
  if (of === 'difference') return `${sense} +${amount(limit, unit)}`;
  return `${sense} ${amount(limit, unit)}`;
}

export function comparedWords({ goal, ratio, difference, unit }: Comparison): string {
  if (goal?.of === 'difference' && difference !== null) return `${difference.median < 0 ? '' : '+'}${amount(difference.median, unit)}`;
  return ratio === null ? '' : `${number(ratio.median)} x ${spread(ratio)}`;
}

export function verdictWords({ verdict, goal }: Comparison): string {
  if (goal === null) return '';
  return { met: 'yes', missed: 'NO', unclear: 'within noise', none: 'not measured' }[verdict ?? 'none'];
}
