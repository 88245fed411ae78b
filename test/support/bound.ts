/**
 * A bound on time that tells what comes at once from what waits for something, on a machine that is busy with more
 * than these tests: wider by as much as there is more to do than processors to do it.
 */
import { availableParallelism, loadavg } from 'node:os';

/** @param ms - what an idle machine takes at most */
export function boundMs(ms: number): number {
  return ms * (2 + 2 * ((loadavg()[0] ?? 0) / availableParallelism()));
}
