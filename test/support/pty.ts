/**
 * A program at a real pseudo terminal (util-linux's script), whose size the test chooses and changes. What the terminal
 * shows is followed by a small emulation of one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TinyTerminal } from './tiny-terminal.ts';

export type AtPty = {
  readonly screen: TinyTerminal;
  /** Of the program itself. */
  readonly pid: () => number;
  /** Settings of the terminal, as stty prints them. */
  settings(): string;
  resize(columns: number, rows: number): void;
  type(keys: string): void;
  /** The exit status of the shell around it: that of the program, or 128 and its signal. */
  readonly ended: Promise<number>;
  close(): void;
};

const quote = (word: string): string => `'${word.replaceAll('\'', '\'\\\'\'')}'`;

export async function atPty(argv: readonly string[], env: Readonly<Record<string, string>>, columns = 80, rows = 24): Promise<AtPty> {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-pty-'));
  const screen = new TinyTerminal(columns, rows);
  // The shell stays, as the one of a person does: it has the terminal after the program, and says how it is then.
  const inner = `stty cols ${columns} rows ${rows}; echo 'what was there before'; tty > ${quote(join(dir, 'tty'))}; stty -a > ${quote(join(dir, 'before'))}; sh -c 'echo $$ > ${quote(join(dir, 'pid')).replaceAll('\'', '"')}; exec "$@"' sh ${argv.map(quote).join(' ')}; status=$?; stty -a > ${quote(join(dir, 'after'))}; echo "left with $status"; exit $status`;
  const child = spawn('script', ['-qec', inner, '/dev/null'], { env: { ...env, SHELL: '/bin/sh' }, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined); // it may end without reading
  child.stdout.setEncoding('utf8').on('data', (text: string) => screen.write(text));
  const ended = new Promise<number>((resolve) => {
    child.once('close', (status) => resolve(status ?? -1));
  });
  const file = (name: string): string => readFileSync(join(dir, name), 'utf8').trim();
  // Its size is the window's, not the program's.
  const settingsIn = (name: string): string => file(name).replace(/rows \d+; columns \d+;/, '');
  return {
    screen,
    pid: () => Number(file('pid')),
    settings: () => `${settingsIn('before') === settingsIn('after') ? 'as before' : `before: ${file('before')}\nafter: ${file('after')}`}`,
    resize(wide, high) {
      screen.resize(wide, high);
      spawnSync('stty', ['-F', file('tty'), 'cols', String(wide), 'rows', String(high)]);
    },
    type: (keys) => void child.stdin.write(keys),
    ended,
    close() {
      child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
