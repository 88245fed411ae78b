/** How long an answer takes: at best, with everything on one processor, and at worst, among many callers. */
import type { Bench, Scene } from '../bench.ts';
import { NO_LINES } from '../bench.ts';
import { compare, unmeasured } from '../comparison.ts';
import type { Comparison, Goal, Unit } from '../comparison.ts';
import { bareLine, BARE_LINE, ours, oursBest, OURS_HTTP, OURS_LINE } from '../contestants.ts';
import { percentiles, tailNote, takeTurns } from '../contest.ts';
import type { Outcome } from '../contest.ts';
import type { LoadPlan } from '../programs.ts';
import { pair, summarise } from '../statistics.ts';

const WARM_S = 0.2;
const CPU = 0;
const MANY = 256;
/** Each asks less often than the default limit of a process allows. */
const PROCESSES = 64;
const REQUESTS_OF_A_PROCESS = 200;

type About = { readonly what: string; readonly unit: Unit; readonly fraction: number; readonly goal: Goal };

const scaled = (values: readonly number[], unit: Unit): readonly number[] => (unit === 'us' ? values.map((ms) => ms * 1000) : values);

function line({ what, unit, fraction, goal }: About, by: string, outcomes: ReadonlyMap<string, Outcome>): Comparison {
  const [own, floor] = [outcomes.get(by), outcomes.get(BARE_LINE)];
  if (floor === undefined) throw new Error('the floor was not measured');
  const theirs = scaled(percentiles(floor, fraction), unit);
  const other = { kind: 'floor', name: BARE_LINE, figure: summarise(theirs) } as const;
  if (own === undefined) return unmeasured({ what, by, unit, goal, other }, NO_LINES);
  const mine = scaled(percentiles(own, fraction), unit);
  return compare({
    what, by, unit, goal: by === OURS_HTTP ? null : goal, ours: summarise(mine), other, ratio: pair(mine, theirs, 'ratio'), notes: [`${by}: ${tailNote(own)}`],
  });
}

async function compete(bench: Bench, about: About, plan: Pick<LoadPlan, 'callers' | 'isKept' | 'cpu'>): Promise<readonly Comparison[]> {
  const { rounds, seconds } = bench.effort;
  const outcomes = await takeTurns(bench.programs, [...ours(bench), bareLine(bench)], { ...plan, warmS: WARM_S, for: { seconds } }, rounds);
  return [line(about, OURS_LINE, outcomes), line(about, OURS_HTTP, outcomes)];
}

/** All threads of a process, now and later ones. */
async function pin(bench: Bench, pid: number, mask: string): Promise<void> {
  await bench.stage.run('taskset', ['-a', '-p', mask, String(pid)]);
}

export const oneCpuScene: Scene = {
  name: 'one-cpu',
  title: 'One caller, everything on one processor',
  isCharted: false,
  async run(bench) {
    const { broker, bare, stage } = bench;
    const before = /: ([0-9a-f]+)/.exec((await stage.run('taskset', ['-p', String(broker.pid)])).stdout)?.[1];
    if (before === undefined) throw new Error('taskset does not work here');
    const pids = [broker.pid, bare.linePid];
    try {
      for (const pid of pids) await pin(bench, pid, (1 << CPU).toString(16));
      const most = (limit: number): Goal => ({ of: 'value', sign: '<=', limit });
      return [
        ...await compete(bench, { what: 'p50 on one processor, a connection a request', unit: 'us', fraction: 0.5, goal: most(60) }, { callers: 1, isKept: false, cpu: CPU }),
        ...await compete(bench, { what: 'p50 on one processor, kept', unit: 'us', fraction: 0.5, goal: most(20) }, { callers: 1, isKept: true, cpu: CPU }),
      ];
    } finally {
      for (const pid of pids) await pin(bench, pid, before);
    }
  },
};

const MANY_GOAL: Goal = { of: 'value', sign: '<=', limit: 30 };

async function withDefaultLimits(bench: Bench): Promise<Comparison> {
  const { broker, programs, issuer, effort } = bench;
  const contestant = oursBest(bench);
  const what = `p99, ${MANY} callers in ${PROCESSES} processes, default limits`;
  broker.configure({ work: { issuer: issuer.url } }, 'default');
  try {
    await broker.reload();
    const requests = PROCESSES * REQUESTS_OF_A_PROCESS;
    const outcomes = await takeTurns(programs, [contestant], { callers: MANY, processes: PROCESSES, isKept: false, for: { requests } }, effort.rounds);
    const own = outcomes.get(contestant.name);
    if (own === undefined) throw new Error('nothing was measured');
    return compare({ what, by: contestant.name, unit: 'ms', ours: summarise(percentiles(own, 0.99)), notes: [`${contestant.name}: ${tailNote(own)}`] });
  } finally {
    broker.configure({ work: { issuer: issuer.url } }, 'raised');
    await broker.reload();
  }
}

export const manyScene: Scene = {
  name: 'many',
  title: 'Many callers at once',
  isCharted: false,
  run: async (bench) => [
    ...await compete(bench, { what: `p99, ${MANY} callers, a connection a request`, unit: 'ms', fraction: 0.99, goal: MANY_GOAL }, { callers: MANY, isKept: false }),
    await withDefaultLimits(bench),
  ],
};
