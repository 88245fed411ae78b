/**
 * A home of its own for the demo: directories, environment and processes. close() ends every process that
 * was started here, the daemon included, and removes the directory; Ctrl-C and SIGTERM lead there as well.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve as absolute } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What the demo did not expect, or cannot do here: told in its own words, without a stack. */
export class Unexpected extends Error {}

export type Ran = { readonly command: string; readonly code: number; readonly stdout: string; readonly stderr: string };

export type Sandbox = {
  readonly directory: string;
  writeConfig(text: string): void;
  /** Runs the CLI, without a terminal. */
  valetkey(args: readonly string[], options?: { readonly input?: string }): Promise<Ran>;
  /** Runs the CLI at a pseudo-terminal, as a person would; both outputs come as one. */
  valetkeyAtTerminal(args: readonly string[], limitMs: number): Promise<Ran>;
  /** All that the CLI has printed so far, at the terminal and without; the standard output of `token` left out. */
  output(): string;
  daemonRuns(): boolean;
  onClose(end: () => Promise<void>): void;
  /** Rejects at Ctrl-C. */
  readonly interrupted: Promise<never>;
  close(): Promise<void>;
};

const CLI = fileURLToPath(new URL('../client/main.js', import.meta.url));
const COMMAND_LIMIT_MS = 30_000;
const DAEMON_STOP_LIMIT_MS = 5_000;
/** A daemon that is only just starting shows up in its lock file by then. */
const DAEMON_START_LIMIT_MS = 2_000;

/** What a desktop's browser needs to be found; only with --browser. */
const DESKTOP = ['DISPLAY', 'XAUTHORITY', 'XDG_CURRENT_DESKTOP', 'XDG_SESSION_TYPE', 'XDG_SESSION_ID', 'XDG_DATA_DIRS', 'BROWSER'];

/** A process that ended but that nobody has reaped counts as gone: containers often run without an init. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'ENOENT')) return false;
    throw error;
  }
}

/** An allow-list: the marks of a CI system, which forbid a person's sign-in, are not on it. */
function environment(directory: string, desktop: boolean): Record<string, string> {
  const from = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const { WAYLAND_DISPLAY: wayland, XDG_RUNTIME_DIR: runtime = '/' } = process.env;
  return {
    ...from(['PATH', 'LANG', 'LC_ALL', 'SystemRoot']),
    ...(desktop ? from(DESKTOP) : {}),
    ...(desktop && wayland !== undefined ? { WAYLAND_DISPLAY: absolute(runtime, wayland) } : {}),
    TERM: 'xterm',
    HOME: join(directory, 'home'),
    TMPDIR: join(directory, 'run'),
    XDG_RUNTIME_DIR: join(directory, 'run'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CONFIG_HOME: join(directory, 'config'),
  };
}

/** From the lock file, which the daemon writes at its start: also known when whoever started it was killed. */
function daemonPid(directory: string): number | null {
  const lock = join(directory, 'state/valetkey/lock');
  const pid = existsSync(lock) ? /"pid":\s*(\d+)/.exec(readFileSync(lock, 'utf8'))?.[1] : undefined;
  return pid === undefined ? null : Number(pid);
}

async function waitUntil(holds: () => boolean, limitMs: number): Promise<boolean> {
  const limit = Date.now() + limitMs;
  while (!holds() && Date.now() < limit) await sleep(20);
  return holds();
}

async function endProcess(pid: number): Promise<void> {
  if (!isRunning(pid)) return;
  process.kill(pid, 'SIGTERM');
  if (await waitUntil(() => !isRunning(pid), DAEMON_STOP_LIMIT_MS)) return;
  process.kill(pid, 'SIGKILL');
  await waitUntil(() => !isRunning(pid), DAEMON_STOP_LIMIT_MS);
}

/** util-linux's script, or that of the BSDs, runs a command at a pseudo-terminal. */
function atTerminal(argv: readonly string[]): readonly [string, readonly string[]] {
  if (process.platform !== 'linux') return ['script', ['-q', '/dev/null', ...argv]];
  const quoted = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return ['script', ['-qec', quoted, '/dev/null']];
}

export function openSandbox(desktop: boolean): Sandbox {
  const directory = mkdtempSync(join(tmpdir(), 'valetkey-demo-'));
  for (const name of ['home', 'run', 'state', 'config/valetkey']) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
  const env = environment(directory, desktop);
  const children = new Set<ChildProcess>();
  const endings: (() => Promise<void>)[] = [];
  const printed: string[] = [];
  let began = false;
  let closed = false;
  // Kept once it is known: a daemon that stops empties its lock file before it is gone.
  let pid: number | null = null;
  const findDaemon = (): number | null => (pid ??= daemonPid(directory));

  let interrupt: (signal: NodeJS.Signals) => void = () => undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = (signal) => {
      process.exitCode = signal === 'SIGINT' ? 130 : 143;
      reject(new Unexpected(`ended by ${signal}`));
    };
  });
  // Whoever waits for it sees it; before and after there is nobody who would.
  interrupted.catch(() => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);

  const run = (command: string, file: string, args: readonly string[], limitMs: number, input: string | null, mirror = false): Promise<Ran> =>
    new Promise((resolve, reject) => {
      if (closed) throw new Unexpected('the demo has ended');
      began = true;
      const child = spawn(file, args, { env, cwd: join(directory, 'home'), stdio: ['pipe', 'pipe', 'pipe'] });
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
      children.add(child);
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        stdout += chunk;
        if (mirror) process.stdout.write(chunk);
      });
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => void (stderr += chunk));
      // The command may end without reading its input.
      child.stdin.on('error', () => child.stdin.destroy());
      if (input !== null) child.stdin.end(input);
      child.once('error', (error) => {
        clearTimeout(limit);
        children.delete(child);
        reject(new Unexpected(`${file} cannot be run: ${error.message}`));
      });
      child.once('close', (code, signal) => {
        clearTimeout(limit);
        children.delete(child);
        child.stdin.destroy();
        printed.push(stderr, args.includes('token') ? '' : stdout);
        resolve({ command, code: code ?? 1, stdout, stderr: signal === null ? stderr : `${stderr}\nended by ${signal}` });
      });
    });

  return {
    directory,
    interrupted,
    writeConfig(text) {
      writeFileSync(join(directory, 'config/valetkey/config.toml'), text, { mode: 0o600 });
    },
    valetkey: (args, { input = '' } = {}) => run(`valetkey ${args.join(' ')}`, process.execPath, [CLI, ...args], COMMAND_LIMIT_MS, input),
    valetkeyAtTerminal(args, limitMs) {
      const [file, rest] = atTerminal([process.execPath, CLI, ...args]);
      // Its standard input stays open: script hangs or ends early on one that is closed.
      // A person at the desktop's browser wants to see what the CLI says meanwhile.
      return run(`valetkey ${args.join(' ')}`, file, rest, limitMs, null, desktop);
    },
    output: () => printed.join(''),
    daemonRuns() {
      const found = findDaemon();
      return found !== null && isRunning(found);
    },
    onClose: (end) => void endings.push(end),
    async close() {
      closed = true;
      for (const child of children) child.kill('SIGKILL');
      if (began) await waitUntil(() => findDaemon() !== null, DAEMON_START_LIMIT_MS);
      if (pid !== null) await endProcess(pid);
      for (const end of endings.toReversed()) await end();
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
