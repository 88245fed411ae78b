/** Reads the project's own documents: sections, tables and blocks of code. No Markdown but what they use. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export function readDocument(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

/** The text below a heading, up to the next heading that is not deeper. Throws where there is none. */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n');
  const outside = lines.map((_, at) => lines.slice(0, at).filter((line) => line.startsWith('```')).length % 2 === 0);
  const depthAt = (at: number): number => (outside[at] === true ? /^#+(?= )/.exec(lines[at] ?? '')?.[0].length ?? 0 : 0);
  const start = lines.findIndex((line, at) => depthAt(at) > 0 && line.replace(/^#+ /, '') === heading);
  if (start < 0) throw new Error(`there is no heading "${heading}"`);
  const depth = depthAt(start);
  const end = lines.findIndex((_, at) => at > start && depthAt(at) > 0 && depthAt(at) <= depth);
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n');
}

/** The cells of every table row of a text, heads and rulers left out. */
export function rowsOf(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  return lines.flatMap((line, at) => {
    if (!line.startsWith('|') || /^\|[\s|:-]+\|$/.test(line) || /^\|[\s|:-]+\|$/.test(lines[at + 1] ?? '')) return [];
    return [line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim())];
  });
}

/** The word in a cell that holds nothing but `code`. */
export function codeOf(cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? '')?.[1] ?? '';
}

export type Block = { readonly language: string; readonly text: string };

export function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map(([, language = '', body = '']) => ({ language, text: body }));
}

/** GitHub's rule for the anchor of a heading. */
export function anchorsOf(text: string): readonly string[] {
  return text.replaceAll(/^```[^]*?^```$/gm, '').split('\n').flatMap((line) => {
    const heading = /^#+ (.*)$/.exec(line)?.[1];
    return heading === undefined ? [] : [heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')];
  });
}
