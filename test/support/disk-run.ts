/**
 * What the parts of the proof by destruction have in common: chance that can be repeated, and a failure that
 * says how. A part exports `run`, which a test calls at a bounded size and a runner at its full one.
 */
export type RunOptions = {
  /** The same seed does the same things in the same order; what the kernel and the issuer add is not chosen. */
  readonly seed: number;
  /** How many cases; Infinity: every one that there is. */
  readonly size: number;
  readonly report: (line: string) => void;
};

/** What was counted, by name. Null: it cannot be done on this machine, and the reason was reported. */
export type Figures = Readonly<Record<string, number>> | null;

/** Chance of its own, so that a failure can be had again (mulberry32). */
export function chance(seed: number): { fraction(): number; pick<T>(from: readonly T[]): T; shuffle<T>(from: readonly T[]): readonly T[] } {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    fraction,
    pick: (from) => from[Math.floor(fraction() * from.length)] as typeof from[number],
    shuffle(from) {
      const left = [...from];
      return Array.from({ length: left.length }, () => left.splice(Math.floor(fraction() * left.length), 1)[0] as typeof from[number]);
    },
  };
}

/** Of a test: CHAOS_SEED repeats a run, CHAOS_SIZE makes it larger ("all": every case). */
export function seedOf(env: Readonly<Record<string, string | undefined>> = process.env): number {
  const given = Number(env['CHAOS_SEED']);
  return Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 999_999);
}

export function sizeOf(bounded: number, env: Readonly<Record<string, string | undefined>> = process.env): number {
  const given = env['CHAOS_SIZE'];
  return given === undefined || given === '' ? bounded : given === 'all' ? Infinity : Number(given);
}

/** Adds to what went wrong how to see it again. */
export async function replayable<T>(file: string, { seed, size }: RunOptions, what: () => string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const sized = Number.isFinite(size) ? String(size) : 'all';
    throw new Error(`${what()}: ${cause instanceof Error ? cause.message : String(cause)}\nReplay: CHAOS_SEED=${seed} CHAOS_SIZE=${sized} npx vitest run ${file}`, { cause });
  }
}

export function must(holds: boolean, what: string, facts?: unknown): asserts holds {
  if (!holds) throw new Error(facts === undefined ? what : `${what}: ${JSON.stringify(facts)}`);
}
