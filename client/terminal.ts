/**
 * The only writer to standard output and standard error. The rules of the command line:
 *
 * 1. Standard output is what was asked for, and nothing else; all the rest is on standard error. So
 *    `$(valetkey token work)` and `valetkey grants --json | jq` work without flags.
 * 2. With --json, standard output is one JSON document (of watch, which has no end, one a line), and an error is its problem document on standard error.
 * 3. --quiet leaves what was asked for, what a person has to do, warnings of danger, and errors.
 * 4. An error says what failed, why, and the one next command. The exit status is that of shared/errors.ts.
 * 5. Colour, the spinner and the countdown are for terminals only, each stream for itself; NO_COLOR and
 *    TERM=dumb are heeded. Nothing is told by colour alone.
 * 6. Nothing that came from outside reaches the terminal uncleaned: every line is cleaned here, as the last
 *    step. The only exceptions are the token itself, which is checked, and JSON, which is escaped.
 * 7. Questions to a person go to /dev/tty (tty.ts), never to the streams, and the default is No.
 * 8. Words: profile, grant, token, login; sentences without exclamation marks; times as what is left.
 */
import { cleanText, toTerminalJson } from './clean-text.ts';
import { fold, foldFact } from './fold.ts';
import type { ValetkeyError } from './valetkey-error.ts';

export type Stream = {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
};

export type Terminal = {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stdoutIsTerminal: boolean;
  /** Of standard output; null where it is no terminal, or one that does not say. */
  readonly columns: number | null;
  /** Exactly these characters: the token, or a script for a shell. */
  raw(text: string): void;
  document(value: unknown): void;
  line(text: string): void;
  /** Of what follows; standard output. */
  heading(text: string): void;
  /** How bad it is, and what it is about. */
  mark(level: 'ok' | 'warning' | 'error', word: string, text: string): void;
  facts(rows: readonly (readonly [string, string])[]): void;
  table(header: readonly string[], rows: readonly (readonly string[])[]): void;
  /** What is good to know; standard error. */
  note(text: string): void;
  /** What a person has to do or to know to stay safe; standard error, even with --quiet. */
  tell(text: string): void;
  warn(text: string): void;
  fail(error: ValetkeyError): void;
  /** Shows that something is waited for. The text is asked for again at each turn. @returns what ends it. */
  waitFor(text: () => string): () => void;
};

type Style = 'bold' | 'dim' | 'red' | 'yellow';
const CODES: Readonly<Record<Style, string>> = { bold: '1', dim: '2', red: '31', yellow: '33' };
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const TURN_MS = 120;

export type TerminalOptions = {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
  readonly quiet: boolean;
};

export function takesColour(stream: Stream, env: TerminalOptions['env']): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** Null where nothing is to be folded. */
function columnsOf(stream: Stream): number | null {
  return stream.isTTY === true && (stream.columns ?? 0) > 0 ? (stream.columns ?? null) : null;
}

/** A hint that names a command is pasted whole. */
const COMMAND = /^Run: /;

/** Widths of the columns, in characters. */
function widths(rows: readonly (readonly string[])[]): readonly number[] {
  return (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => [...(cells[column] ?? '')].length)));
}

function pad(cells: readonly string[], columns: readonly number[]): string {
  return cells.map((cell, i) => (i === cells.length - 1 ? cell : cell + ' '.repeat((columns[i] ?? 0) - [...cell].length))).join('  ');
}

export function createTerminal({ stdout, stderr, env, json, quiet }: TerminalOptions): Terminal {
  const painter = (stream: Stream) => {
    const colour = takesColour(stream, env);
    return (style: Style, text: string) => (colour ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text);
  };
  const onOut = painter(stdout);
  const onErr = painter(stderr);
  const out = (text: string) => stdout.write(`${text}\n`);
  const err = (text: string) => stderr.write(`${text}\n`);
  /** A table that is too wide, a row below the other: what it is of, and the rest as facts. */
  const stack = (header: readonly string[], cells: readonly (readonly string[])[], room: number): void => {
    const width = Math.max(0, ...header.slice(1).map((name) => name.length));
    for (const [first = '', ...rest] of cells) {
      out(onOut('bold', first));
      for (const [at, cell] of rest.entries()) {
        const folded = foldFact(header[at + 1] ?? '', cell, width, room - 2);
        out(`  ${onOut('dim', header[at + 1] ?? '')}${folded.gap}${folded.value.replaceAll('\n', '\n  ')}`);
      }
    }
  };
  const onScreen = (text: string, indent: number) => fold(text, indent, columnsOf(stderr));

  return {
    json,
    quiet,
    stdoutIsTerminal: stdout.isTTY === true,
    columns: columnsOf(stdout),
    raw: (text) => void stdout.write(text),
    document: (value) => void out(toTerminalJson(value)),
    line: (text) => void out(cleanText(text)),
    heading: (text) => void out(onOut('bold', cleanText(text))),
    mark: (level, word, text) => void out(`${level === 'ok' ? word : onOut(level === 'error' ? 'red' : 'yellow', word)}${onOut('bold', cleanText(text))}`),
    facts(rows) {
      const cells = rows.map(([name, value]) => [cleanText(name), cleanText(value)] as const);
      const width = Math.max(0, ...cells.map(([name]) => name.length));
      for (const [name, value] of cells) {
        const folded = foldFact(name, value, width, columnsOf(stdout));
        out(`${onOut('dim', name)}${folded.gap}${folded.value}`);
      }
    },
    table(header, rows) {
      const cells = rows.map((row) => row.map((cell) => cleanText(cell, 120)));
      const columns = widths([header, ...cells]);
      const room = columnsOf(stdout);
      if (room !== null && columns.reduce((sum, width) => sum + width + 2, -2) > room) return stack(header, cells, room);
      out(onOut('bold', pad(header, columns)));
      for (const row of cells) out(pad(row, columns));
    },
    note(text) {
      if (!quiet && !json) err(onErr('dim', onScreen(cleanText(text), 0)));
    },
    tell: (text) => void err(cleanText(text)),
    warn(text) {
      if (!json) err(`${onErr('yellow', 'warning:')} ${onScreen(cleanText(text), 'warning: '.length)}`);
    },
    fail(error) {
      if (json) {
        err(toTerminalJson(error));
        return;
      }
      err(`${onErr('red', 'error:')} ${cleanText(error.title)} ${onErr('dim', `(${cleanText(error.code)})`)}`);
      err(`  ${onScreen(cleanText(error.detail), 2)}`);
      if (error.reason !== null) err(`  Reason: ${cleanText(error.reason)}`);
      const hint = cleanText(error.hint);
      err(`  ${onErr('bold', COMMAND.test(hint) ? hint : onScreen(hint, 2))}`);
      if (error.requestId !== null) err(onErr('dim', `  Request: ${cleanText(error.requestId)}`));
    },
    waitFor(text) {
      if (stderr.isTTY !== true || quiet || json) return () => undefined;
      let turn = 0;
      const draw = () => {
        const room = (stderr.columns ?? 0) > 8 ? (stderr.columns ?? 80) - 4 : 76;
        stderr.write(`\r\u001b[K${FRAMES[turn % FRAMES.length]} ${cleanText(text(), room)}`);
        turn += 1;
      };
      draw();
      const timer = setInterval(draw, TURN_MS);
      timer.unref();
      return () => {
        clearInterval(timer);
        stderr.write('\r\u001b[K');
      };
    },
  };
}
