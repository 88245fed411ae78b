/**
 * Contestants that take turns under the same load, round by round, and in another order each time: what the
 * machine does besides hits all of them, and a comparison pairs what was measured in the same round.
 */
import { Histogram } from './histogram.ts';
import type { Load, LoadPlan, Programs } from './programs.ts';

export type Contestant = { readonly name: string } & Pick<LoadPlan, 'socket' | 'dialect' | 'data' | 'path'>;

export type Outcome = { readonly loads: readonly Load[]; readonly latencies: Histogram };

/** Above this share of one processor the generator may have been what was measured. */
const GENERATOR_MAX = 0.9;

export async function takeTurns(programs: Programs, contestants: readonly Contestant[], plan: Omit<LoadPlan, keyof Contestant>, rounds: number): Promise<ReadonlyMap<string, Outcome>> {
  const loads = new Map(contestants.map(({ name }): [string, Load[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const contestant = contestants[(round + turn) % contestants.length];
      if (contestant === undefined) continue;
      const { name, ...where } = contestant;
      loads.get(name)?.push(await programs.load({ ...plan, ...where }));
    }
  }
  return new Map([...loads].map(([name, each]) => [name, {
    loads: each,
    latencies: each.reduce((sum, { buckets, maxNs }) => sum.add(buckets, maxNs), new Histogram()),
  }]));
}

export function rates({ loads }: Outcome): readonly number[] {
  return loads.map(({ perSecond }) => perSecond);
}

/** A percentile of each round, in milliseconds. */
export function percentiles({ loads }: Outcome, fraction: number): readonly number[] {
  return loads.map(({ buckets, maxNs }) => new Histogram().add(buckets, maxNs).percentile(fraction) / 1e6);
}

export function tailNote({ latencies }: Outcome): string {
  const at = (fraction: number): string => (latencies.percentile(fraction) / 1e6).toFixed(2);
  return `p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, max ${at(1)} ms of ${latencies.total.toLocaleString('en-US')} requests`;
}

export function generatorNotes(outcome: Outcome): readonly string[] {
  const share = Math.max(...outcome.loads.map(({ generatorShare }) => generatorShare));
  return share > GENERATOR_MAX ? [`the load generator used ${Math.round(100 * share)} % of a processor and may have been the bottleneck`] : [];
}
