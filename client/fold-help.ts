/**
 * What stands behind the flags in a help, folded to the terminal: prose between words, an example where a flag or a pipe
 * begins, behind a backslash, so that all of it is pasted at once and does the same. Rows of columns are folded already.
 */
import { wrap } from './fold.ts';

const EXAMPLE = '  $ ';
const CONTINUED = '      ';
/** Narrower than this, nothing is worth folding. */
const COLUMNS_MIN = 30;

export function foldHelp(text: string, columns: number): string {
  if (columns < COLUMNS_MIN) return text;
  return text.split('\n').flatMap((line) => (line.length <= columns ? [line] : line.startsWith(EXAMPLE) ? foldExample(line.slice(EXAMPLE.length), columns) : foldProse(line, columns))).join('\n');
}

/** What an example is about stands above it. */
function foldExample(line: string, columns: number): readonly string[] {
  const [, command = line, about = null] = /^(.*?) {2,}# (.*)$/.exec(line) ?? [];
  if (about !== null) return [...wrap(`# ${about}`, columns - 2).map((each, at) => `  ${at === 0 ? '' : '# '}${each}`), ...(EXAMPLE.length + command.length <= columns ? [`${EXAMPLE}${command}`] : foldExample(command, columns))];
  // Never within quotes or a command substitution, where a backslash would be a part of the word.
  const parts = command.match(/(?:"[^"]*"|'[^']*'|\$\([^)]*\)|.)+?(?= (?:-|\| |https?:)|$)/g) ?? [command];
  const lines = parts.reduce<readonly string[]>((all, part) => {
    const last = all.at(-1);
    if (last === undefined) return [`${EXAMPLE}${part}`];
    return last.length + part.length + ' \\'.length <= columns ? [...all.slice(0, -1), last + part] : [...all, `${CONTINUED}${part.trimStart()}`];
  }, []);
  return lines.map((each, at) => (at + 1 < lines.length ? `${each} \\` : each));
}

function foldProse(line: string, columns: number): readonly string[] {
  const indent = /^ */.exec(line)?.[0] ?? '';
  if (/\S {2,}\S/.test(line)) return [line];
  return wrap(line.trimStart(), columns - indent.length).map((each) => `${indent}${each}`);
}
