/**
 * Results as an SVG: a panel for each thing that was measured, bars on a logarithmic scale, ours in colour.
 * Written by hand, without scripts or fonts, and readable on a light and on a dark page.
 */
import type { Comparison, Unit } from './comparison.ts';
import type { Results } from './results.ts';
import { amount } from './words.ts';

type Bar = { readonly label: string; readonly value: number; readonly isOurs: boolean };
type Panel = { readonly title: string; readonly unit: Unit; readonly bars: readonly Bar[] };

const WIDTH = 760;
const LABELS = 250;
const VALUES = 90;
const ROW = 20;
const HEAD = 34;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .quiet { fill: #57606a; }
  .bar { fill: #8c959f; }
  .ours { fill: #1a7f5a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .bar { fill: #6e7681; }
    .ours { fill: #3fb985; }
  }`;

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Lines about the same thing are one panel; a program that stands in several of them is one bar. */
export function panelsOf(lines: readonly Comparison[]): readonly Panel[] {
  return [...new Set(lines.map(({ what }) => what))].flatMap((what): Panel[] => {
    const about = lines.filter((line) => line.what === what);
    const bars = new Map<string, Bar>();
    for (const { by, ours, other } of about) {
      if (ours !== null) bars.set(by, { label: `valetkey, ${by}`, value: ours.median, isOurs: true });
      if (other !== null) bars.set(other.name, { label: other.name, value: other.figure.median, isOurs: false });
    }
    const [first] = about;
    return first === undefined || bars.size < 2 ? [] : [{ title: what, unit: first.unit, bars: [...bars.values()].sort((a, b) => a.value - b.value) }];
  });
}

/** The smallest bar still has a length: a decade is left of it. */
function lengths(bars: readonly Bar[], room: number): readonly number[] {
  const logs = bars.map(({ value }) => Math.log10(Math.max(value, 1e-9)));
  const from = Math.floor(Math.min(...logs)) - 0.3;
  const to = Math.max(...logs);
  return logs.map((log) => Math.round((room * (log - from)) / (to - from)));
}

export function svgChart(results: Pick<Results, 'scenes' | 'machine' | 'isQuick' | 'at'>): string {
  const panels = panelsOf(results.scenes.filter(({ isCharted }) => isCharted).flatMap(({ lines }) => lines));
  const out: string[] = [];
  let y = 30;
  const { machine } = results;
  out.push(`<text class="quiet" x="10" y="${y - 10}">${escapeXml(`${machine.processor}, ${machine.cores} cores, Node ${machine.node}, ${results.at.slice(0, 10)}${results.isQuick ? ', a quick run' : ''}; medians, logarithmic`)}</text>`);
  for (const { title, unit, bars } of panels) {
    out.push(`<text class="title" x="10" y="${y + 20}">${escapeXml(title)}${unit === '/s' ? ' (more is better)' : ' (less is better)'}</text>`);
    y += HEAD;
    const widths = lengths(bars, WIDTH - LABELS - VALUES - 20);
    bars.forEach((bar, i) => {
      const width = widths[i] ?? 0;
      out.push(`<text x="${LABELS - 8}" y="${y + 13}" text-anchor="end">${escapeXml(bar.label)}</text>`);
      out.push(`<rect class="${bar.isOurs ? 'ours' : 'bar'}" x="${LABELS}" y="${y + 2}" width="${width}" height="${ROW - 6}" rx="2"/>`);
      out.push(`<text class="quiet" x="${LABELS + width + 6}" y="${y + 13}">${escapeXml(amount(bar.value, unit))}</text>`);
      y += ROW;
    });
    y += 8;
  }
  const height = y + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Valetkey beside its peers">`,
    `<style>${STYLE}\n</style>`, ...out, '</svg>', '',
  ].join('\n');
}
