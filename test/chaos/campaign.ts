/**
 * What every part of the proof by destruction shares: how large it runs, from which seed, where its figures go, and
 * the command that replays it, which stands below every failure. `npm run chaos` runs the very same tests at full size.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** One file a table; scripts/chaos.mjs prints them and writes them into docs/reliability.md. */
const FIGURES = join(ROOT, 'dist/chaos');

/** `full`, or how many runs a part shall have; else as large as in `npm test`. */
const asked = process.env['VALETKEY_CHAOS_SIZE'] ?? 'ci';
const count = Number.isInteger(Number(asked)) ? Number(asked) : null;

export const isFull = asked === 'full';
export const seed = Number(process.env['VALETKEY_CHAOS_SEED'] ?? 20_261_123);
/** Only this run of the part; null: all. */
export const onlyRun = process.env['VALETKEY_CHAOS_RUN'] === undefined ? null : Number(process.env['VALETKEY_CHAOS_RUN']);

/** How many runs a part has. */
export function runs(inCi: number, full: number): number {
  return count ?? scale(inCi, full);
}

/** What else differs by size: a number of runs that somebody asks for does not change it. */
export function scale<T = number>(inCi: T, full: T): T {
  return isFull ? full : inCi;
}

export function replay(part: string, run: number | null = null): string {
  return `npm run chaos -- --seed ${seed} --size ${asked} --only ${part}${run === null ? '' : ` --run=${run}`}`;
}

/** Once in each test file: the test that fails says how to see it again. */
export function replayable(part: string): void {
  beforeEach(({ onTestFailed }) => { onTestFailed(() => console.error(`To see it again: ${replay(part)}`)); });
}

/** Of a table: label -> number or short text. */
export type Figures = Readonly<Record<string, number | string>>;

/** @param table - the name of the part, or of one of several tables of it */
export function publish(table: string, figures: Figures, more: unknown = null): void {
  if (onlyRun !== null) return;
  const named = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name.replaceAll('_', ' '), value]));
  mkdirSync(FIGURES, { recursive: true });
  writeFileSync(join(FIGURES, `${table}.json`), `${JSON.stringify({ table, seed, size: asked, figures: named, more }, null, 2)}\n`);
}

/** Its own stream for each run, so that one run replays without those before it. */
export function seeded(run: number, salt = 0): () => number {
  let state = (Math.imul(seed ^ salt, 0x9e3779b1) ^ Math.imul(run + 1, 0x85ebca6b)) >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(random: () => number, all: readonly T[]): T {
  const found = all[Math.floor(random() * all.length)];
  if (found === undefined) throw new Error('there is nothing to pick from');
  return found;
}

export function shuffled<T>(random: () => number, all: readonly T[]): readonly T[] {
  return all.map((each) => [random(), each] as const).toSorted(([a], [b]) => a - b).map(([, each]) => each);
}

/** Says where it was when something went wrong. */
export async function during<T>(where: () => string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new Error(`${where()}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export function must(holds: boolean, what: string, facts?: unknown): asserts holds {
  if (!holds) throw new Error(facts === undefined ? what : `${what}: ${JSON.stringify(facts)}`);
}
