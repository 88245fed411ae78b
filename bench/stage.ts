/**
 * A home of its own for a run: one private directory and every process that is started for it. close() ends all
 * of them, by their ids, and removes the directory; Ctrl-C and SIGTERM lead there as well.
 */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the benchmark did not expect, or cannot do here: told in its own words, without a stack. */
export class Unexpected extends Error {}

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };
export type Environment = Readonly<Record<string, string>>;
export type RunOptions = { readonly env?: Environment; readonly input?: string; readonly limitMs?: number };

const RUN_LIMIT_MS = 120_000;
const END_LIMIT_MS = 5_000;
const LISTEN_LIMIT_MS = 20_000;

/** A process that ended but that nobody has reaped counts as gone: containers often run without an init. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false; // no such process
  }
}

export async function waitUntil(holds: () => boolean | Promise<boolean>, limitMs: number): Promise<boolean> {
  const limit = Date.now() + limitMs;
  while (!await holds()) {
    if (Date.now() > limit) return false;
    await sleep(20);
  }
  return true;
}

export async function endProcess(pid: number): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isRunning(pid)) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      // It ended in this moment.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
    await waitUntil(() => !isRunning(pid), END_LIMIT_MS);
  }
}

export function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socket);
    probe.once('connect', () => resolve(probe.destroy().destroyed));
    probe.once('error', () => resolve(false));
  });
}

export class Stage {
  readonly directory: string;
  readonly env: Environment;
  /** Rejects at Ctrl-C. */
  readonly interrupted: Promise<never>;
  readonly #children = new Set<ChildProcess>();
  readonly #endings: (() => Promise<void>)[] = [];
  #isClosed = false;

  constructor(parent: string | null) {
    this.directory = mkdtempSync(join(parent ?? tmpdir(), 'valetkey-bench-'));
    const { PATH = '/usr/bin:/bin' } = process.env;
    // An allow-list: the marks of a CI system, which forbid a person's sign-in, are not on it.
    this.env = { PATH, LANG: 'C.UTF-8', TERM: 'xterm', ...this.places('main') };
    this.interrupted = new Promise((_resolve, reject) => {
      // For good: a second Ctrl-C must not leave half of it behind.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        process.on(signal, () => {
          process.exitCode = signal === 'SIGINT' ? 130 : 143;
          reject(new Unexpected(`ended by ${signal}`));
        });
      }
    });
    this.interrupted.catch(() => undefined); // whoever waits for it sees it; before and after there is nobody who would
  }

  /** Home, state and sockets, made here, as the environment names them. */
  places(name: string): Environment {
    const at = (kind: string): string => {
      const directory = join(this.directory, name, kind);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return directory;
    };
    return { HOME: at('home'), TMPDIR: at('tmp'), XDG_RUNTIME_DIR: at('run'), XDG_STATE_HOME: at('state'), XDG_CONFIG_HOME: at('config') };
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  onClose(end: () => Promise<void>): void {
    this.#endings.push(end);
  }

  #adopt<T extends ChildProcess>(child: T): T {
    if (this.#isClosed) child.kill('SIGKILL');
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** Runs a program to its end. */
  run(file: string, args: readonly string[], { env = this.env, input = '', limitMs = RUN_LIMIT_MS }: RunOptions = {}): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = this.#adopt(spawn(file, args, { env, cwd: this.directory, stdio: 'pipe' }));
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
      const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
      child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
      child.stdin.on('error', () => child.stdin.destroy()); // it may end without reading
      child.stdin.end(input);
      child.once('error', (error) => {
        clearTimeout(limit);
        reject(new Unexpected(`${file} cannot be run: ${error.message}`));
      });
      child.once('close', (code, signal) => {
        clearTimeout(limit);
        const said = Buffer.concat(stderr).toString();
        resolve({ code: code ?? 1, stdout: Buffer.concat(stdout).toString(), stderr: signal === null ? said : `${said}\nended by ${signal}` });
      });
    });
  }

  /** Starts a server and waits until it accepts on its socket; returns its pid. */
  async serve(file: string, args: readonly string[], socket: string, env: Environment = this.env): Promise<number> {
    const child = this.#adopt(spawn(file, args, { env, cwd: this.directory, stdio: ['ignore', 'ignore', 'pipe'] }));
    let said = '';
    let failure: string | null = null;
    child.stderr.on('data', (chunk: Buffer) => void (said = `${said}${chunk.toString()}`.slice(-2000)));
    child.once('error', (error) => void (failure = error.message));
    child.once('exit', (code) => void (failure ??= `ended with status ${code}`));
    await waitUntil(async () => failure !== null || await accepts(socket), LISTEN_LIMIT_MS);
    if (failure !== null || child.pid === undefined || !await accepts(socket)) throw new Unexpected(`${file} ${args[0] ?? ''} does not serve: ${failure ?? ''} ${said}`);
    return child.pid;
  }

  /** Starts a module that speaks by messages; see processes/control.ts. */
  forked(module: string, args: readonly string[]): ChildProcess {
    return this.#adopt(fork(module, args, { env: { ...this.env }, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of this.#endings.splice(0).reverse()) await end();
    await Promise.all([...this.#children].map(({ pid }) => (pid === undefined ? undefined : endProcess(pid))));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}
