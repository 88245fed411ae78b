/** Workloads beside the grants (WL-05): as the daemon has them now, and who took their tokens, from the log. */
import type { WorkloadView } from '../../shared/workload-schemas.ts';
import { idleWords, readPast } from './inventory.ts';
import type { CallerUse } from './inventory.ts';
import type { Line } from './log-files.ts';

export type WorkloadEntry = Omit<WorkloadView, 'flags' | 'keys'> & {
  readonly keys: readonly { readonly kid: string; readonly state: string; readonly made_at: number }[];
  readonly callers: readonly CallerUse[];
  readonly refusals: number;
  /** Why somebody should look at it; empty: nothing. */
  readonly stale: readonly string[];
};

/** The daemon's own word for it goes by its own number of days. */
const UNUSED = /^not used for \d+ days$/;

export async function takeWorkloads(workloads: readonly WorkloadView[], lines: AsyncIterable<Line>, now: number, staleS: number): Promise<readonly WorkloadEntry[]> {
  const pasts = await readPast(lines);
  return workloads.toSorted((a, b) => a.profile.localeCompare(b.profile)).map(({ flags, keys, ...view }) => {
    const past = pasts.get(view.profile);
    const uses = [view.last_used_at, past?.lastUsed ?? null].filter((at) => at !== null);
    const lastUsed = uses.length === 0 ? null : Math.max(...uses);
    const idle = lastUsed !== null && now - lastUsed > staleS ? [idleWords(now - lastUsed)] : [];
    return {
      ...view, last_used_at: lastUsed,
      keys: keys.map(({ kid, state, made_at }) => ({ kid, state, made_at })),
      callers: [...past?.callers.values() ?? []].toSorted((a, b) => b.last_at - a.last_at), refusals: past?.refusals ?? 0,
      stale: [...flags.filter((flag) => !UNUSED.test(flag)), ...idle],
    };
  });
}
