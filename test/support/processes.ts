/** Real processes for tests of callers: started in a directory of their own, and ended by their ids. */
import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readStat } from '../../daemon/callers/proc.ts';
import { firstLine, kill } from './built-platform.ts';

export type Running = ChildProcess & { readonly pid: number };

export class Processes {
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-processes-')));
  readonly #children: ChildProcess[] = [];
  readonly #strays = new Map<number, string | null>();

  async start(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<Running> {
    const child = spawn(command, args, { stdio: 'pipe', cwd: this.dir, ...options });
    this.#children.push(child);
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error('no pid');
    return Object.assign(child, { pid: child.pid });
  }

  /** Starts a program that prints the pid of a process below it, which waits. */
  async startAbove(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<number> {
    return this.stray(await firstLine(await this.start(command, args, options)));
  }

  /** A process that is not a child of the test's. */
  stray(pid: string | number): number {
    const id = pidOf(pid);
    this.#strays.set(id, startTimeOf(id));
    return id;
  }

  file(name: string, text: string): string {
    const path = join(this.dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** A program under another name. */
  copy(program: string, name: string): string {
    const path = join(this.dir, name);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(realpathSync(program), path);
    return path;
  }

  async end(): Promise<void> {
    for (const [pid, startTime] of this.#strays) {
      if (startTime !== null && startTimeOf(pid) === startTime) process.kill(pid, 'SIGKILL');
    }
    this.#strays.clear();
    for (const child of this.#children.splice(0)) await kill(child);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** To kill(2), 0 is the process group of the tests, and a negative number another. */
export function pidOf(said: string | number): number {
  const pid = Number(said);
  if (!Number.isSafeInteger(pid) || pid <= 0) throw new Error(`no pid: ${said}`);
  return pid;
}

/** Null where it has ended. Who ended long ago may have left its number to somebody else. */
function startTimeOf(pid: number): string | null {
  return readStat(pid)?.startTime ?? null;
}
