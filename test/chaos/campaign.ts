/**
 * What every part of the proof by destruction shares: how large it runs, from which seed, and where its figures
 * go. `npm run chaos` runs the very same tests at full size; a failure names the command that replays it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** One file a part; scripts/chaos.mjs prints them and writes them into docs/reliability.md. */
const FIGURES = join(ROOT, 'dist/chaos');

export const isFull = process.env['VALETKEY_CHAOS'] === 'full';
export const seed = Number(process.env['VALETKEY_CHAOS_SEED'] ?? 20_261_123);
/** Only this run of the part; null: all. */
export const onlyRun = process.env['VALETKEY_CHAOS_RUN'] === undefined ? null : Number(process.env['VALETKEY_CHAOS_RUN']);

export function size(inCi: number, full: number): number {
  return isFull ? Number(process.env['VALETKEY_CHAOS_RUNS'] ?? full) : inCi;
}

export function replay(part: string, run: number): string {
  return `npm run chaos -- --seed ${seed} --only ${part} --run ${run}${isFull ? '' : ' --size ci'}`;
}

/** Figures of a part: label -> number or short text. */
export type Figures = Readonly<Record<string, number | string>>;

export function publish(part: string, figures: Figures, more: unknown = null): void {
  mkdirSync(FIGURES, { recursive: true });
  writeFileSync(join(FIGURES, `${part}.json`), `${JSON.stringify({ part, seed, size: isFull ? 'full' : 'ci', figures, more }, null, 2)}\n`);
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
