/**
 * A hook as a process. It gets no shell, no input, nowhere to write to, a made environment without anything of the
 * daemon's, and ten seconds; then it ends with all that it started in its process group. nice(1) stands between: the
 * daemon waits for the kernel to load a program, and one on a dead network disk must hold up itself and nobody else.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { RunHook } from '../core/hook.ts';
import type { Clock } from '../core/ports.ts';

export type RunHookDeps = {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly home: string;
  /** Where programs find the user's buses and sockets; null: nowhere. */
  readonly runtimeDir: string | null;
  /** Path of nice(1), which starts the program; null: it is started as it is. */
  readonly nice: string | null;
};

export const DEADLINE_MS = 10_000;
/** Where bare names of what a hook runs itself are looked for. */
const PATH = '/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin';
/** A hook is never worth more than a request. */
const NICENESS = '10';
/** What nice(1) ends with where it could not start the program, as shells do. */
const NOT_STARTED: ReadonlyMap<number, string> = new Map([[126, 'may not be executed'], [127, 'is not there']]);

export function createRunHook({ clock, home, runtimeDir, nice }: RunHookDeps): RunHook {
  const common = { PATH, HOME: home, LC_ALL: 'C.UTF-8', ...(runtimeDir === null ? {} : { XDG_RUNTIME_DIR: runtimeDir }) };
  return async (argv, variables, signal) => {
    if (signal.aborted) return 'was not started: the daemon stops';
    const [program = '', ...args] = nice === null ? argv : [nice, '-n', NICENESS, ...argv];
    let child: ChildProcess;
    try {
      child = spawn(program, args, { cwd: '/', env: { ...common, ...variables }, stdio: 'ignore', detached: true, shell: false });
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause)) throw cause;
      return `could not be started (${String(cause.code)})`; // some refusals of the kernel are thrown, such as E2BIG
    }
    const over = new AbortController();
    let why: string | null = null;
    const end = (reason: string): void => {
      why ??= reason;
      killGroup(child.pid);
    };
    const stop = (): void => end('was ended: the daemon stops');
    signal.addEventListener('abort', stop, { once: true });
    // Aborted: it ended in time.
    clock.sleep(DEADLINE_MS, over.signal).then(() => end(`took longer than ${DEADLINE_MS / 1000} s`), () => undefined);
    const ended = await new Promise<string | null>((resolve) => {
      child.once('error', (cause) => resolve(`could not be started (${'code' in cause ? String(cause.code) : 'unknown'})`));
      child.once('exit', (code, killed) => {
        // What it left behind in its group ends with it.
        killGroup(child.pid);
        resolve(code === 0 ? null : code === null ? `ended with the signal ${killed}` : (nice === null ? undefined : NOT_STARTED.get(code)) ?? `ended with status ${code}`);
      });
    });
    over.abort();
    signal.removeEventListener('abort', stop);
    return why ?? ended;
  };
}

/** It leads a group of its own (setsid), whose number stays taken while anybody is left in it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (cause) {
    // ESRCH: nobody is left.
    if (!(cause instanceof Error && 'code' in cause && (cause.code === 'ESRCH' || cause.code === 'EPERM'))) throw cause;
  }
}
