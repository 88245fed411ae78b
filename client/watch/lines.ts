/**
 * Lines of the live view as text with a meaning each, and tables that fit the width there is: columns give way before
 * they are cut, and those that matter least leave first. Whatever becomes a span is cleaned (AL-04), so nothing that
 * came from outside moves the cursor. Widths are counted in cells: names of people may be written in wide characters.
 */
import { cleanText } from '../clean-text.ts';

/** What a colour stands for: red has failed or was refused, yellow waits for the person, dim is beside the point. */
export type Style = 'bold' | 'dim' | 'red' | 'yellow';
export type Span = { readonly text: string; readonly style: Style | null };
export type Line = readonly Span[];

const TEXT_MAX = 200;
/** Unicode Standard Annex 11: what terminals draw two cells wide. */
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const ZERO = /^\p{M}$/u;

export function span(text: string, style: Style | null = null): Span {
  return { text: cleanText(text, TEXT_MAX), style };
}

function cellsOf(character: string): number {
  return ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
}

export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** At most `width` cells; what is cut is marked with an ellipsis. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return '';
  let kept = '';
  let used = 0;
  for (const character of text) {
    if (used + cellsOf(character) > width - 1) break;
    kept += character;
    used += cellsOf(character);
  }
  return `${kept}…`;
}

/** The same of a whole line. */
export function clipLine(line: Line, width: number): Line {
  const kept: Span[] = [];
  let left = width;
  for (const { text, style } of line) {
    if (left <= 0) break;
    const part = clip(text, left);
    kept.push({ text: part, style });
    left -= widthOf(part);
    if (part !== text) break;
  }
  return kept;
}

export type Column = {
  readonly title: string;
  /** Narrower than this it says nothing any more. */
  readonly min: number;
  /** Who leaves first where there is no room for all: the highest. 0 stays. */
  readonly leaves: number;
  readonly isNumber?: boolean;
};

const GAP = 2;

/** Widths of the columns that stay, by their place. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): ReadonlyMap<number, number> {
  const widths = new Map(natural.map((wanted, i) => [i, wanted] as const));
  const total = (): number => [...widths.values()].reduce((sum, each) => sum + each, 0) + GAP * (widths.size - 1);
  while (total() > width) {
    const slack = (i: number): number => (widths.get(i) ?? 0) - (columns[i]?.min ?? 0);
    const [widest] = [...widths.keys()].toSorted((a, b) => slack(b) - slack(a));
    if (widest !== undefined && slack(widest) > 0) {
      widths.set(widest, (widths.get(widest) ?? 0) - 1);
      continue;
    }
    const leaves = (i: number): number => columns[i]?.leaves ?? 0;
    const [least] = [...widths.keys()].toSorted((a, b) => leaves(b) - leaves(a));
    if (least === undefined || leaves(least) === 0) break;
    widths.delete(least);
    // What is left may have its room back.
    for (const i of widths.keys()) widths.set(i, natural[i] ?? 0);
  }
  return widths;
}

/** The head, and a line a row. */
export function tableLines(columns: readonly Column[], rows: readonly Line[], width: number): readonly Line[] {
  const natural = columns.map(({ title }, i) => Math.max(widthOf(title), ...rows.map((row) => widthOf(row[i]?.text ?? ''))));
  const widths = [...fit(columns, natural, width)];
  const lineOf = (cells: Line): Line => {
    const line: Span[] = [];
    for (const [at, [i, room]] of widths.entries()) {
      const { text, style } = cells[i] ?? span('');
      const shown = clip(text, room);
      const blank = ' '.repeat(room - widthOf(shown));
      const isLast = at === widths.length - 1;
      const gap = isLast ? '' : ' '.repeat(GAP);
      const isNumber = columns[i]?.isNumber === true;
      if (isNumber && blank !== '') line.push({ text: blank, style: null });
      line.push({ text: shown, style });
      if (!isLast || isNumber) line.push({ text: `${isNumber ? '' : blank}${gap}`, style: null });
    }
    return clipLine(line.filter(({ text }) => text !== ''), width);
  };
  return [lineOf(columns.map(({ title }) => span(title, 'bold'))), ...rows.map(lineOf)];
}
