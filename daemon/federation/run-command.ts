/**
 * An assertion from a program's output, asked at each request. No shell, nothing of the daemon's environment, no
 * input; a program that is late or says too much ends with all that it started. What it writes is a secret: neither
 * output reaches a log or an error.
 */
import { spawn } from 'node:child_process';
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { ASSERTION_MAX } from './read-file.ts';

const DEADLINE_MS = 10_000;
/** Where bare names are looked for. */
const PATH = '/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin';

/** @param home - for programs that keep their own sign-in there. Throws assertion_unavailable. */
export async function runAssertionCommand(argv: readonly string[], home: string, clock: Pick<Clock, 'sleep'>): Promise<string> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { cwd: '/', env: { PATH, HOME: home, LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'ignore'], shell: false, detached: true });
  const over = new AbortController();
  let why: string | null = null;
  const end = (reason: string): void => {
    why ??= reason;
    killGroup(child.pid);
    child.stdout.destroy(); // what it left behind may hold the pipe open
  };
  // Aborted: it ended in time.
  clock.sleep(DEADLINE_MS, over.signal).then(() => end(`took longer than ${DEADLINE_MS / 1000} s`), () => undefined);
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > ASSERTION_MAX) end(`wrote more than ${ASSERTION_MAX} bytes`);
    else chunks.push(chunk);
  });
  const status = await new Promise<string | null>((resolve) => {
    child.once('error', (cause) => resolve(`could not be started (${'code' in cause ? String(cause.code) : 'unknown'})`));
    child.once('close', (code, signal) => resolve(code === 0 ? null : `ended with ${code === null ? `the signal ${signal}` : `status ${code}`}`));
  });
  over.abort();
  const failed = why ?? status;
  if (failed !== null) throw new BrokerError('assertion_unavailable', `the command ${program} ${failed}`);
  return Buffer.concat(chunks).toString('latin1').trim();
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
