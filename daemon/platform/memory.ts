import type { Native } from './native.ts';

const MALLOPT = 'int mallopt(int, int)';
/** malloc.h */
const M_ARENA_MAX = -8;
const ARENAS = 2;

/**
 * glibc gives each thread an arena of its own, which keeps what was freed in it: those of Node's eight helper
 * threads come to 3 MB. One for this thread and one for all of them is enough (mallopt(3)). Other C libraries
 * have no arenas, and no such function.
 * @returns whether the C library has it
 */
export function shareArenas(native: Native): boolean {
  if (native.platform !== 'linux') return false;
  try {
    return native.call(MALLOPT, M_ARENA_MAX, ARENAS) === 1;
  } catch {
    return false;
  }
}

/** V8 doubles it in a burst, to 32 MB, and keeps it; throughput is no better for that. */
const YOUNG_STAYS = '--semi-space-growth-factor=1';
/** Whoever started the daemon asks at once, and what is first needed for that is loaded by then; a burst that comes sooner is none. */
const START_MS = 1_000;

/**
 * Keeps V8's young generation at the 2 MB that it begins with. Not by a flag of the process, and not before the
 * start is over: what Node and the bundle have compiled ahead is only taken under the flags of V8 that it was
 * compiled under, and to compile all of it again takes as long as an empty Node process.
 */
export function boundYoungGeneration(afterMs: number = START_MS): void {
  setTimeout(() => process.getBuiltinModule('node:v8').setFlagsFromString(YOUNG_STAYS), afterMs).unref();
}
