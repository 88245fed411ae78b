/**
 * Runs a program as if it had been called in place of this one: the same terminal, process group and streams. What ends
 * or stops the one does so to the other.
 *
 * The kernel sends what is typed (Ctrl-C, Ctrl-\, Ctrl-Z) and a new window size to every process of the terminal's
 * foreground group, so the program has it already: a second Ctrl-C would mean "at once" to many. Node does not tell who
 * sent a signal; while this group has the terminal those four are taken for the terminal's, else they are passed on.
 * All other signals come to one process, and are passed on always.
 */
import { spawn } from 'node:child_process';
import type { StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { notExecutable, notFound } from './find-program.ts';

export type Ended = { readonly code: number } | { readonly signal: NodeJS.Signals };

export type Started = {
  /** Absolute. */
  readonly file: string;
  /** As the program sees it; the first is the word that it was called by. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
};

const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH'];
/** SIGUSR1 would start Node's debugger, beside a token. */
const PASSED_ON: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCONT'];

/** Node closes all other descriptors for what it starts; those of `<(command)` stand among the words. At most as many as a process has by default. */
const NAMED_DESCRIPTOR = /^\/dev\/fd\/([1-9]\d{0,3})$/;
const DESCRIPTORS_MAX = 1024;

function streamsFor(words: readonly string[]): StdioOptions {
  const named = words.map((word) => Number(NAMED_DESCRIPTOR.exec(word)?.[1] ?? 0)).filter((descriptor) => descriptor > 2 && descriptor < DESCRIPTORS_MAX);
  const streams: ('inherit' | 'ignore' | number)[] = Array.from({ length: Math.max(2, ...named) + 1 }, (_, descriptor) => (descriptor < 3 ? 'inherit' : 'ignore'));
  for (const descriptor of named) streams[descriptor] = descriptor;
  return streams;
}

/** Whether this process is in the foreground group of its terminal (proc_pid_stat(5): pgrp, tpgid). */
function hasTerminal(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true; // no /proc: the best guess
  }
}

/**
 * Resolves when it has ended.
 * @throws ValetkeyError command_not_found, command_not_executable
 */
export function runChild({ file, argv, env }: Started): Promise<Ended> {
  const [word = file, ...words] = argv;
  return new Promise((resolve, reject) => {
    const handlers = new Map<NodeJS.Signals, () => void>();
    const on = (signal: NodeJS.Signals, handler: () => void): void => {
      handlers.set(signal, handler);
      process.on(signal, handler);
    };
    const forget = (): void => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    };
    // Those of the CLI would end it, and leave the program alone.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(signal);
    let pass: (signal: NodeJS.Signals) => void = () => undefined;
    for (const signal of FROM_TERMINAL) on(signal, () => { if (!hasTerminal()) pass(signal); });
    for (const signal of PASSED_ON) on(signal, () => pass(signal));
    on('SIGTSTP', function stop() {
      if (!hasTerminal()) pass('SIGTSTP');
      // By the kernel's own rule for it, which stops no group that nobody could start again; this returns at SIGCONT.
      process.off('SIGTSTP', stop);
      process.kill(process.pid, 'SIGTSTP');
      process.on('SIGTSTP', stop);
    });
    const child = spawn(file, words, { argv0: word, env: { ...env }, stdio: streamsFor(words) });
    pass = (signal) => void child.kill(signal);
    child.once('error', (cause: NodeJS.ErrnoException) => {
      forget();
      // Of a script, what its first line names may be missing.
      reject(cause.code === 'ENOENT' ? notFound(file) : notExecutable(file, `cannot be started (${cause.code ?? cause.message})`));
    });
    child.once('exit', (code, signal) => {
      forget();
      resolve(signal === null ? { code: code ?? 1 } : { signal });
    });
  });
}

/**
 * The exit status of shells for it. Who was interrupted ends by the same signal: a shell that runs a script stops it only
 * then, and tells 130 all the same.
 */
export function statusOf(ended: Ended, die: (signal: 'SIGINT') => void): number {
  if ('code' in ended) return ended.code;
  if (ended.signal === 'SIGINT') die('SIGINT');
  return 128 + constants.signals[ended.signal];
}
