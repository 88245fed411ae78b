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
