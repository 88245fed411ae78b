/**
 * A TOML text as a list of statements with their lines, so that an error can name the line of a key and an
 * edit can take out a table without touching a comment. The grammar stays with the parser: a statement ends
 * where the lines since its start parse on their own. Only for text that parses as a whole.
 */
import { TomlError } from 'smol-toml';
import type { TomlTableWithoutBigInt } from 'smol-toml';
import { parseToml } from './toml.ts';

export type Statement = {
  readonly kind: 'blank' | 'comment' | 'header' | 'pair';
  /** Lines, counted from 0; `end` is the first line after it. */
  readonly start: number;
  readonly end: number;
  /** The table it stands in; of a header: the table that it opens. */
  readonly table: readonly string[];
  /** What a pair defines, below its table. */
  readonly tree: TomlTableWithoutBigInt;
};

/** For a line number nobody waits longer than a tenth of a second, whatever the text is like. */
const LOOKED_THROUGH = 2_000_000;

export type Position = { readonly line: number; readonly column: number };

/** Lines with their line ends; joined they are the text again. */
export function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

function parseAlone(lines: readonly string[]): TomlTableWithoutBigInt | null {
  try {
    return parseToml(lines.join(''));
  } catch (error) {
    // Not a whole statement yet: the caller adds the next line.
    if (error instanceof TomlError) return null;
    throw error;
  }
}

function isTable(value: unknown): value is TomlTableWithoutBigInt {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** The names of a header, from the nest of empty tables that it makes. */
function headerPath(tree: TomlTableWithoutBigInt): string[] {
  const path: string[] = [];
  let at: unknown = tree;
  while (isTable(at)) {
    const [name] = Object.keys(at);
    if (name === undefined) break;
    path.push(name);
    const next: unknown = at[name];
    at = Array.isArray(next) ? next[0] : next;
  }
  return path;
}

/** @param budget - characters to parse at most; what lies behind is left out. A statement of many lines is parsed once a line. */
export function statementsOf(text: string, budget = Infinity): Statement[] {
  const lines = linesOf(text);
  const statements: Statement[] = [];
  let parsed = 0;
  let table: readonly string[] = [];
  for (let start = 0; start < lines.length; ) {
    let end = start + 1;
    let tree = parseAlone(lines.slice(start, end));
    let length = lines[start]?.length ?? 0;
    while (tree === null && end < lines.length) {
      length += lines[end]?.length ?? 0;
      parsed += length;
      if (parsed > budget) return statements;
      end += 1;
      tree = parseAlone(lines.slice(start, end));
    }
    const first = (lines[start] ?? '').trimStart();
    const kind = first === '' ? 'blank' : first.startsWith('#') ? 'comment' : first.startsWith('[') ? 'header' : 'pair';
    if (kind === 'header') table = headerPath(tree ?? {});
    statements.push({ kind, start, end, table, tree: kind === 'pair' ? (tree ?? {}) : {} });
    start = end;
  }
  return statements;
}

function defines(tree: TomlTableWithoutBigInt, path: readonly string[]): boolean {
  let at: unknown = tree;
  for (const name of path) {
    if (!isTable(at) || !Object.hasOwn(at, name)) return false;
    at = at[name];
  }
  return true;
}

const startsWith = (path: readonly string[], head: readonly string[]): boolean => head.every((name, i) => path[i] === name);

/** Line and column (from 1) where `path` is first defined; null where no single statement does so. */
export function positionOf(text: string, path: readonly string[]): Position | null {
  const lines = linesOf(text);
  const key = path.at(-1);
  if (key === undefined) return null;
  for (const { kind, start, end, table, tree } of statementsOf(text, LOOKED_THROUGH)) {
    const hit = kind === 'header'
      ? startsWith(table, path)
      : kind === 'pair' && path.length > table.length && startsWith(path, table) && defines(tree, path.slice(table.length));
    if (hit) return columnOf(lines.slice(start, end), start, key);
  }
  return null;
}

/** As positionOf, in the table of this index of `[[list]]`; where that is written otherwise, of the list itself. */
export function positionInList(text: string, list: string, index: number, path: readonly string[]): Position | null {
  const lines = linesOf(text);
  let at = -1;
  let best: Position | null = null;
  for (const { kind, start, end, table, tree } of statementsOf(text, LOOKED_THROUGH)) {
    const own = lines.slice(start, end);
    if (kind === 'header' && table.length === 1 && table[0] === list && (own[0] ?? '').trimStart().startsWith('[[')) at += 1;
    if (at !== index || table[0] !== list) continue;
    const inner = table.slice(1);
    if (kind === 'header' && inner.length === 0) best = columnOf(own, start, list);
    // The longest part of the path that stands somewhere: a key that is missing is told at its table.
    for (let length = path.length; length > 0; length -= 1) {
      const part = path.slice(0, length);
      const isHere = kind === 'header' ? inner.length > 0 && startsWith(inner, part) : kind === 'pair' && part.length > inner.length && startsWith(part, inner) && defines(tree, part.slice(inner.length));
      if (!isHere) continue;
      best = columnOf(own, start, part.at(-1) ?? list);
      if (length === path.length) return best;
      break;
    }
  }
  return best ?? positionOf(text, [list]);
}

/** The key as a whole word; where it is written with escapes, the start of its statement. */
function columnOf(lines: readonly string[], start: number, key: string): Position {
  const word = new RegExp(`(?<![A-Za-z0-9_-])${key.replace(/[^A-Za-z0-9_-]/g, '\\$&')}(?![A-Za-z0-9_-])`);
  for (const [offset, line] of lines.entries()) {
    const at = line.search(word);
    if (at >= 0) return { line: start + offset + 1, column: at + 1 };
  }
  return { line: start + 1, column: 1 };
}
