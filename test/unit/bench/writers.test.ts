/** Table, documents and chart, from made-up results. */
import { describe, expect, it } from 'vitest';
import { panelsOf, svgChart } from '../../../bench/chart.ts';
import { compare, unmeasured } from '../../../bench/comparison.ts';
import { replaceBetweenMarkers } from '../../../bench/results.ts';
import type { SceneResult } from '../../../bench/results.ts';
import { summarise } from '../../../bench/statistics.ts';
import { columnWidths, markdownTable, textTable, wrap } from '../../../bench/table.ts';
import { amount } from '../../../bench/words.ts';

const line = compare({
  what: 'a cached token', by: 'C launcher', unit: 'ms', ours: summarise([0.4, 0.5, 0.6]), other: { kind: 'peer', name: 'oidc-token <x>', figure: summarise([1.5, 1.6, 1.7]) },
  ratio: summarise([0.3, 0.31, 0.32]), goal: { of: 'ratio', sign: '<=', limit: 0.4 }, notes: ['measured | twice'],
});
const floored = compare({ ...line, other: { kind: 'floor', name: 'C floor', figure: summarise([0.3]) }, ratio: summarise([2.4]), goal: { of: 'ratio', sign: '<=', limit: 2 }, notes: [] });
const absent = unmeasured({ what: 'requests a second', by: 'line dialect', unit: '/s', goal: { of: 'ratio', sign: '>=', limit: 3 } }, 'line dialect not spoken by this daemon');
const scene = (lines: SceneResult['lines'], failure: string | null = null): SceneResult => ({ name: 's', title: 'A scene', isCharted: true, lines, failure });
const machine = { processor: 'A & B', cores: 2, memoryMb: 1, kernel: 'Linux 6', node: '20.20.2', filesystem: 'ext4', loadBefore: 0, busyBefore: 0 };

describe('the table', () => {
  // Wide enough for every cell to stand in one line.
  const text = textTable([scene([line, floored, absent]), scene([], 'the machine has no processor')], 160);

  it('shows figure, peer, floor, ratio, goal and verdict, and why a line is missing', () => {
    for (const part of ['0.50 ms ±10%', 'oidc-token <x> 1.60 ms', 'C floor 0.30 ms', '0.31 x', '≤ 0.40 x', 'yes', 'NO', 'not measured', 'line dialect not spoken by this daemon', 'the machine has no processor']) {
      expect(text.replace(/\s+/g, ' ')).toContain(part);
    }
  });

  it.each([80, 100, 160])('fits into %d columns', (columns) => {
    const widest = Math.max(...textTable([scene([line, floored, absent])], columns).split('\n').map(({ length }) => length));
    expect(widest).toBeLessThanOrEqual(columns);
  });

  it('gives room to the widest column last, and cuts a word only where it must', () => {
    expect(columnWidths([['x'.repeat(90), 'y'.repeat(10), '', '', '', '', '']], 80).reduce((a, b) => a + b, 0)).toBe(80 - 12);
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  });

  it('is the same in Markdown, with nothing that ends a cell', () => {
    const rows = markdownTable([scene([compare({ ...line, by: 'a|b' })])]);
    expect(rows).toContain('| a cached token, a\\|b | 0.50 ms ±10% | oidc-token <x> 1.60 ms |');
    expect(rows).toContain('Note: measured | twice.');
  });

  it('writes three digits', () => {
    expect([0.123456, 12.3456, 123.456, 12_345].map((value) => amount(value, 'ms'))).toEqual(['0.12 ms', '12.3 ms', '123 ms', '12,345 ms']);
    expect(amount(2455, '/s')).toBe('2,455/s');
  });
});

describe('the documents', () => {
  const page = 'Before.\n<!-- bench: written by `npm run bench -- --record` -->\nold\n<!-- /bench -->\nAfter.\n';

  it('take results between two markers, and keep what is around them', () => {
    const once = replaceBetweenMarkers(page, 'new');
    expect(once).toBe('Before.\n<!-- bench: written by `npm run bench -- --record` -->\n\nnew\n\n<!-- /bench -->\nAfter.\n');
    expect(replaceBetweenMarkers(once, 'new')).toBe(once);
  });

  it.each([['no markers', 'text'], ['no end', page.replace('<!-- /bench -->', '')], ['two places', `${page}${page}`]])('are refused with %s', (_what, text) => {
    expect(() => replaceBetweenMarkers(text, 'new')).toThrow('no place for the results');
  });
});

describe('the chart', () => {
  it('has a panel for each thing and a bar for each program, each once', () => {
    const panels = panelsOf([line, floored, absent]);
    expect(panels.map(({ title, bars }) => [title, bars.map(({ label }) => label)])).toEqual([['a cached token', ['C floor', 'valetkey, C launcher', 'oidc-token <x>']]]);
    expect(panels[0]?.bars.filter(({ isOurs }) => isOurs).map(({ label }) => label)).toEqual(['valetkey, C launcher']);
  });

  it('is well-formed, draws a longer bar for more, and knows the dark', () => {
    const svg = svgChart({ scenes: [scene([line, floored])], machine, isQuick: true, at: '2026-11-23T00:00:00Z' });
    expect(svg).toContain('oidc-token &lt;x&gt;');
    expect(svg).toContain('A &amp; B');
    expect(svg).toContain('a quick run');
    expect(svg).toContain('prefers-color-scheme: dark');
    const widths = [...svg.matchAll(/<rect[^>]* width="(\d+)"/g)].map(([, width]) => Number(width));
    expect(widths).toHaveLength(3);
    expect(widths).toEqual(widths.toSorted((a, b) => a - b));
    expect(Math.min(...widths)).toBeGreaterThan(0);
    for (const name of ['svg', 'style', 'text']) expect(svg.split(`<${name}`).length, name).toBe(svg.split(`</${name}>`).length);
  });
});
