/**
 * A screen of the terminal's own (the alternate one), redrawn in place: only lines that changed are written, in one
 * piece, and between the marks of a synchronised update (DEC mode 2026), which terminals that do not know it ignore.
 * However the process ends, by a key, a signal or a fault, the terminal is as it was: see leave().
 */
import { writeSync } from 'node:fs';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Size } from './draw.ts';
import { widthOf } from './lines.ts';
import type { Line, Style } from './lines.ts';

export type ScreenEvents = {
  /** The person wants to leave. */
  readonly onQuit: () => void;
  /** The terminal has another size, or was somebody else's for a while. */
  readonly onResize: () => void;
};

export type LiveScreen = {
  size(): Size;
  draw(lines: readonly Line[]): void;
  close(): void;
};

export type ScreenParts = { readonly input: ReadStream; readonly output: WriteStream; /** Its descriptor. */ readonly outputFd: number; readonly takesColour: boolean };

const CSI = '\u001b[';
/** The alternate screen, without a cursor and without a wrap at the right edge (xterm, "Alternate Screen Buffer", DECTCEM, DECAWM). */
const ENTER = `${CSI}?1049h${CSI}?25l${CSI}?7l${CSI}H${CSI}2J`;
const LEAVE = `${CSI}?2026l${CSI}0m${CSI}?7h${CSI}?25h${CSI}?1049l`;
const BEGIN = `${CSI}?2026h`;
const END = `${CSI}?2026l`;
const CODES: Readonly<Record<Style, string>> = { bold: '1', dim: '2', red: '31', yellow: '33' };
/** Of a terminal that does not tell. */
const USUAL: Size = { columns: 80, rows: 24 };
const QUIT_KEYS: ReadonlySet<string> = new Set(['q', 'Q', '\u0003', '\u0004']); // Ctrl-C and Ctrl-D: raw mode makes no signals of them
const SUSPEND_KEY = '\u001a';
const REDRAW_KEY = '\u000c';

/** What brings the terminal from the lines before to these; empty where nothing changed. */
export function repaint(before: readonly string[], lines: readonly string[], widths: readonly number[], columns: number): string {
  const changes = lines.flatMap((line, i) => {
    if (line === before[i]) return [];
    // At the right edge there is nothing to erase, and erasing would take the last character.
    return [`${CSI}${i + 1};1H${line}${(widths[i] ?? 0) < columns ? `${CSI}K` : ''}`];
  });
  return changes.length === 0 ? '' : `${BEGIN}${changes.join('')}${END}`;
}

export function encodeLine(line: Line, takesColour: boolean): string {
  return line.map(({ text, style }) => (style === null || !takesColour ? text : `${CSI}${CODES[style]}m${text}${CSI}0m`)).join('');
}

export function openLiveScreen({ input, output, outputFd, takesColour }: ScreenParts, { onQuit, onResize }: ScreenEvents): LiveScreen {
  let before: readonly string[] = [];
  let isOpen = false;

  function enter(): void {
    isOpen = true;
    before = [];
    input.setRawMode(true);
    output.write(ENTER);
  }

  /** Written at once: at the end of a process nothing is written later. */
  function leave(): void {
    if (!isOpen) return;
    isOpen = false;
    try {
      writeSync(outputFd, LEAVE);
      input.setRawMode(false);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error; // the terminal went away: nobody to leave it to
    }
  }

  function suspend(): void {
    leave();
    process.kill(process.pid, 'SIGSTOP');
  }
  function resume(): void {
    if (isOpen) leave(); // stopped by somebody else's signal, in the middle of it
    enter();
    onResize();
  }
  function resized(): void {
    before = [];
    output.write(`${CSI}2J`);
    onResize();
  }
  function typed(keys: string): void {
    for (const key of keys) {
      if (QUIT_KEYS.has(key)) return onQuit();
      if (key === SUSPEND_KEY) suspend();
      if (key === REDRAW_KEY) resized();
    }
  }

  enter();
  process.once('exit', leave);
  process.on('SIGCONT', resume);
  output.on('resize', resized);
  input.setEncoding('utf8').on('data', typed).on('end', onQuit).on('error', onQuit).resume();
  return {
    size: () => (output.columns > 0 && output.rows > 0 ? { columns: output.columns, rows: output.rows } : USUAL),
    draw(lines) {
      const encoded = lines.map((line) => encodeLine(line, takesColour));
      const { columns } = this.size();
      const text = repaint(before, encoded, lines.map((line) => line.reduce((sum, each) => sum + widthOf(each.text), 0)), columns);
      before = encoded;
      if (text !== '') output.write(text);
    },
    close() {
      leave();
      process.off('exit', leave).off('SIGCONT', resume);
      output.off('resize', resized);
      input.off('data', typed).off('end', onQuit).off('error', onQuit).pause();
    },
  };
}
