/** Comparisons as text: a table for the terminal, and the same one in Markdown for the documents. */
import type { Comparison } from './comparison.ts';
import type { SceneResult } from './results.ts';
import { amount, comparedWords, goalWords, spread, verdictWords } from './words.ts';

const HEADS = ['what', 'ours', 'peer', 'floor', 'ratio', 'goal', 'met?'] as const;
const GAP = '  ';

function figureWords({ ours, unit }: Comparison): string {
  return ours === null ? '-' : `${amount(ours.median, unit)} ${spread(ours)}`.trimEnd();
}

function otherWords({ other, unit }: Comparison, kind: 'peer' | 'floor'): string {
  return other?.kind === kind ? `${other.name} ${amount(other.figure.median, unit)}` : '';
}

function cells(line: Comparison): readonly string[] {
  return [
    `${line.what}, ${line.by}`, figureWords(line), otherWords(line, 'peer'), otherWords(line, 'floor'),
    comparedWords(line), line.goal === null ? '' : goalWords(line.goal, line.unit), verdictWords(line),
  ];
}

/** Cuts at spaces where it can. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  return [...lines, line];
}

/** Columns shrink, the widest first, until the table fits; what does not fit goes on in the next line. */
export function columnWidths(rows: readonly (readonly string[])[], total: number): readonly number[] {
  const widths = HEADS.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const room = total - GAP.length * (widths.length - 1);
  for (let sum = widths.reduce((a, b) => a + b, 0); sum > room; sum -= 1) {
    const widest = widths.indexOf(Math.max(...widths));
    const width = widths[widest] ?? 0;
    if (width <= 6) break;
    widths[widest] = width - 1;
  }
  return widths;
}

export function textTable(scenes: readonly SceneResult[], columns: number): string {
  const widths = columnWidths(scenes.flatMap(({ lines }) => lines.map(cells)), Math.max(80, columns));
  const row = (values: readonly string[]): string[] => {
    const wrapped = widths.map((width, i) => wrap(values[i] ?? '', width));
    const height = Math.max(...wrapped.map(({ length }) => length));
    return Array.from({ length: height }, (_, n) => widths.map((width, i) => (wrapped[i]?.[n] ?? '').padEnd(width)).join(GAP).trimEnd());
  };
  const rule = widths.map((width) => '-'.repeat(width)).join(GAP);
  const out = [...row(HEADS), rule];
  for (const { title, lines, failure } of scenes) {
    out.push('', title);
    for (const line of lines) out.push(...row(cells(line)), ...line.notes.flatMap((note) => wrap(`note: ${note}`, Math.max(80, columns) - 4).map((text) => `    ${text}`)));
    if (failure !== null) out.push(`    not measured: ${failure}`);
  }
  return `${out.join('\n')}\n`;
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|');

export function markdownTable(scenes: readonly SceneResult[]): string {
  return scenes.map(({ title, lines, failure }) => [
    `### ${title}`, '',
    `| ${HEADS.join(' | ')} |`, `| ${HEADS.map(() => '---').join(' | ')} |`,
    ...lines.map((line) => `| ${cells(line).map(escapeCell).join(' | ')} |`),
    ...[...new Set(lines.flatMap(({ notes }) => notes))].flatMap((note) => ['', `Note: ${note}.`]),
    ...(failure === null ? [] : ['', `Not measured: ${failure}.`]),
  ].join('\n')).join('\n\n');
}
