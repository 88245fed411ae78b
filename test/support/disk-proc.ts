/** What the kernel knows of a process: memory, descriptors, threads, children, and how often it woke. Linux only. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export function residentKb(pid: number): number {
  return number(pid, /VmRSS:\s+(\d+)/);
}

/** Descriptors by what they are. */
export function descriptors(pid: number): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${fd}`);
    if (kind !== null) kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

export function descriptorCount(pid: number): number {
  return Object.values(descriptors(pid)).reduce((sum, each) => sum + each, 0);
}

/** Without those by which it knows the processes that asked: at most 64 processes, two each, until others come. */
export function descriptorsBesideCallers(pid: number): number {
  const callers = /^\/proc\/\d+\/(stat|environ)$/;
  return Object.entries(descriptors(pid)).reduce((sum, [kind, count]) => sum + (callers.test(kind) ? 0 : count), 0);
}

export function threads(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

export function children(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ')).filter((child) => child !== '');
}

/** Of the main thread, while nobody asks anything: each timer that is left is one more. */
export async function wakesPerSecond(pid: number, seconds: number): Promise<number> {
  const before = number(pid, /^voluntary_ctxt_switches:\s+(\d+)/m);
  await sleep(seconds * 1000);
  return (number(pid, /^voluntary_ctxt_switches:\s+(\d+)/m) - before) / seconds;
}

/** Least squares: what y grows for each x. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x0, y0] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0);
  const under = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

function number(pid: number, pattern: RegExp): number {
  return Number(pattern.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function kindOf(path: string): string | null {
  try {
    return readlinkSync(path).replace(/:.*/, '').replace(/ \(deleted\)$/, '');
  } catch {
    return null; // closed since
  }
}
