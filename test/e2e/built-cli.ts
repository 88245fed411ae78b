/**
 * The built CLI as processes of its own, with private XDG directories and the real daemon that it starts.
 * `valetkey()` is a program of the terminal session that runs the tests, without a terminal for its input and output;
 * `unattended()` has no terminal at all, as a job of cron; `atTerminal()` has one of its own, by util-linux's script(1).
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const CLI = join(ROOT, 'dist/client/main.js');
export const BROWSER = join(ROOT, 'dist/demo/browser-bin.js');

/** Marks of automation would make every sign-in refuse; the tests are automation that plays a person. */
const KEPT = ['PATH', 'HOME', 'LANG'] as const;

export type Finished = { readonly exit: number | null; readonly stdout: string; readonly stderr: string; readonly ms: number };
type Typed = { readonly after: RegExp; readonly text: string };
export type RunOptions = { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly stdin?: string; readonly typed?: Typed | readonly Typed[]; readonly onStderr?: (text: string) => void };

export type Home = {
  readonly base: string;
  readonly env: Readonly<Record<string, string>>;
  valetkey(args: readonly string[], options?: RunOptions): Promise<Finished>;
  unattended(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Everything that the terminal showed is stdout. */
  atTerminal(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** A terminal of its own that is open from now on; what is typed there later runs once. */
  openTerminal(): (args: readonly string[]) => Promise<Finished>;
  /** Ends the daemon and removes everything. */
  leave(): Promise<void>;
};

export function needBuild(): void {
  for (const file of [CLI, BROWSER, join(ROOT, 'dist/daemon/main.js')]) {
    if (!existsSync(file)) throw new Error(`${file} is missing; build it first: npx tsc -b`);
  }
}

async function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>, { cwd = '/', stdin = '', typed, onStderr }: RunOptions, detached = false): Promise<Finished> {
  const before = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...env }, cwd, detached, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    const waiting = typed === undefined ? [] : [typed].flat();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const [next] = waiting;
      if (next === undefined || !next.after.test(stdout)) return;
      waiting.shift();
      child.stdin.write(next.text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      onStderr?.(stderr);
    });
    child.once('error', reject);
    child.once('close', (exit) => resolve({ exit, stdout, stderr, ms: performance.now() - before }));
    child.stdin.on('error', () => undefined); // it may end without reading
    if (stdin !== '' || file !== 'script') child.stdin.end(stdin);
  });
}

function quote(word: string): string {
  return `'${word.replaceAll('\'', '\'\\\'\'')}'`;
}

/** @param program - what is run as `valetkey` */
export function makeHome(program: readonly [string, ...string[]] = [process.execPath, CLI]): Home {
  const base = mkdtempSync(join(tmpdir(), 'valetkey-e2e-'));
  const directories = { XDG_RUNTIME_DIR: 'run', XDG_STATE_HOME: 'state', XDG_CONFIG_HOME: 'config' };
  for (const name of Object.values(directories)) mkdirSync(join(base, name), { mode: 0o700 });
  const kept = KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] ?? '']]));
  const env = { ...Object.fromEntries(kept), ...Object.fromEntries(Object.entries(directories).map(([name, path]) => [name, join(base, path)])), NO_COLOR: '1', TERM: 'xterm' };
  const valetkey: Home['valetkey'] = (args, options = {}) => run(program[0], [...program.slice(1), ...args], { ...env, ...options.env }, options);
  return {
    base, env, valetkey,
    unattended: (args, options = {}) => run(program[0], [...program.slice(1), ...args], { ...env, ...options.env }, options, true),
    atTerminal(args, options = {}) {
      const command = [...program, ...args].map(quote).join(' ');
      return run('script', ['-qec', command, '/dev/null'], { ...env, SHELL: '/bin/sh', ...options.env }, options);
    },
    openTerminal() {
      const typed = join(mkdtempSync(join(base, 'terminal-')), 'typed');
      const ended = run('script', ['-qec', `while [ ! -s ${quote(typed)} ]; do sleep 0.1; done; . ${quote(typed)}`, '/dev/null'], { ...env, SHELL: '/bin/sh' }, {});
      return (args) => {
        writeFileSync(`${typed}.new`, `${[...program, ...args].map(quote).join(' ')}\n`);
        renameSync(`${typed}.new`, typed);
        return ended;
      };
    },
    async leave() {
      const { exit, stderr } = await valetkey(['daemon', 'stop']);
      if (exit !== 0) throw new Error(`the daemon could not be stopped: ${stderr}`);
      rmSync(base, { recursive: true, force: true });
    },
  };
}
