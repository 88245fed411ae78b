/**
 * The findings for a person: what is well in one line each, by groups, and below it, where the eye stops, what is not.
 * Lines are at most as wide as the terminal, but for commands, which have to be pasted whole.
 */
import type { Terminal } from '../terminal.ts';
import { wrap } from '../fold.ts';
import { count } from '../time-words.ts';
import { FINDINGS, GROUPS } from './finding.ts';
import type { Finding } from './finding.ts';

const MARKS = { ok: 'ok', warning: 'warning', error: 'error' } as const;
const ID_WIDTH = 20;
const LEVEL_WIDTH = 9;
const WIDTH_MAX = 80;
const LABEL_WIDTH = 5;

/** A line for the configuration is pasted whole, as commands are. */
const SETTING = /^\w+ = /;

function indented(terminal: Terminal, text: string, indent: number): readonly string[] {
  return text.split('\n').flatMap((line) => (SETTING.test(line) ? [line] : wrap(line, Math.min(terminal.columns ?? WIDTH_MAX, WIDTH_MAX) - indent))).map((line, at) => (at === 0 ? line : `${' '.repeat(indent)}${line}`));
}

function sentence(text: string): string {
  return /[.?]$/.test(text) ? text : `${text}.`;
}

function showWell(terminal: Terminal, well: readonly Finding[]): void {
  for (const group of GROUPS) {
    const these = well.filter(({ id }) => FINDINGS[id] === group);
    if (these.length === 0) continue;
    terminal.heading(group);
    for (const { id, what, advice } of these) {
      const lines = [...indented(terminal, what, ID_WIDTH + 2), ...(advice === null ? [] : indented(terminal, advice, ID_WIDTH + 2).map((line, at) => (at === 0 ? `${' '.repeat(ID_WIDTH + 2)}${line}` : line)))];
      for (const [at, line] of lines.entries()) terminal.line(at === 0 ? `  ${id.padEnd(ID_WIDTH)}${line}` : line);
    }
    terminal.line('');
  }
}

function showTrouble(terminal: Terminal, { level, id, what, why, command, advice }: Finding): void {
  terminal.mark(level, MARKS[level].padEnd(LEVEL_WIDTH), id);
  const indent = ' '.repeat(LEVEL_WIDTH);
  const part = (label: string, text: string): void => {
    for (const [at, line] of indented(terminal, text, LEVEL_WIDTH + LABEL_WIDTH).entries()) terminal.line(at === 0 ? `${indent}${label.padEnd(LABEL_WIDTH)}${line}` : line);
  };
  for (const [at, line] of indented(terminal, sentence(what), LEVEL_WIDTH).entries()) terminal.line(at === 0 ? `${indent}${line}` : line);
  part('Why', sentence(why));
  if (advice !== null) part('Note', advice);
  if (command !== null) terminal.line(`${indent}${'Run'.padEnd(LABEL_WIDTH)}${command}`);
  terminal.line('');
}

export function showFindings(terminal: Terminal, findings: readonly Finding[]): void {
  const of = (level: Finding['level']): readonly Finding[] => findings.filter((finding) => finding.level === level);
  if (!terminal.quiet) showWell(terminal, of('ok'));
  for (const finding of [...of('warning'), ...of('error')]) showTrouble(terminal, finding);
  const [errors, warnings] = [of('error').length, of('warning').length];
  terminal.note(errors + warnings === 0
    ? `Nothing is wrong: ${of('ok').length} checks are in order.`
    : `${count(errors, 'error')}, ${count(warnings, 'warning')}, ${of('ok').length} in order.`);
}
