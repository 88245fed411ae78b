/** Programs of the system, by absolute paths and without a shell: what they print, and how they end. */
import { spawn } from 'node:child_process';

export type Ended = { readonly status: number | null; readonly stdout: string; readonly stderr: string };
export type Runner = (file: string, args: readonly string[]) => Promise<Ended>;

/** systemctl start waits for the daemon: see TimeoutStartSec= of the unit. */
const WAIT_MS = 150_000;
const OUTPUT_MAX = 1024 * 1024;
/** What systemctl, journalctl and launchctl need to find the manager of this user. */
const PASSED_ON = ['HOME', 'LANG', 'LC_ALL', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'] as const;

function environment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
  return { ...Object.fromEntries(kept), PATH: '/usr/bin:/bin', SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0' };
}

export function createRunner(env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Runner {
  return (file, args) => new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'], signal, timeout: WAIT_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout = (stdout + text).slice(-OUTPUT_MAX); });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr = (stderr + text).slice(-OUTPUT_MAX); });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Line by line, until it ends or is cancelled. @returns its exit status */
export function follow(file: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>, onLine: (line: string) => void, signal: AbortSignal): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: environment(env), stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
    const end = (): void => void child.kill();
    signal.addEventListener('abort', end, { once: true });
    child.once('error', reject);
    child.once('close', (status) => {
      signal.removeEventListener('abort', end);
      if (rest !== '') onLine(rest);
      resolve(status);
    });
  });
}
