import { execFile } from 'node:child_process';

const DEADLINE_MS = 5_000;

/** What it prints; null where it fails or is late. It gets this environment and nothing else. */
export function runProgram(path: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string | null> {
  return new Promise((done) => {
    execFile(path, [...args], { env: { ...env }, cwd: '/', timeout: DEADLINE_MS, killSignal: 'SIGKILL', maxBuffer: 65_536 }, (error, stdout) => done(error === null ? stdout : null));
  });
}
