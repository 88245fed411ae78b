/** A cached token for a whole process, as a script gets it: from before it is started until after it ended. */
import { existsSync, writeFileSync } from 'node:fs';
import { TOKEN_LINE } from '../asking.ts';
import type { Bench, Scene } from '../bench.ts';
import { NO_OIDC_AGENT } from '../bench.ts';
import { CLI, LAUNCHER } from '../broker.ts';
import { compare, unmeasured } from '../comparison.ts';
import type { Comparison, Goal } from '../comparison.ts';
import type { Command } from '../programs.ts';
import { pair, summarise } from '../statistics.ts';

const WHAT = 'a cached token, whole process';
const AT_ONCE_WHAT = '100 of them at once';
const AT_ONCE = 100;
const LAUNCHER_NAME = 'C launcher';
const ENTRY_NAME = 'Node entry';
const NO_LAUNCHER = 'the launcher is not built here';
const OIDC_TOKEN = 'oidc-token';

type Contestant = { readonly name: string; readonly command: Command };
type Against = { readonly name: string; readonly kind: 'peer' | 'floor'; readonly goal: Goal | null };

function environment({ broker, peers }: Bench): Readonly<Record<string, string>> {
  // One environment for all of them: it is part of what a process has to take in.
  return { ...peers.oidcAgent?.env, ...Object.assign({}, ...peers.others.map(({ env }) => env)), ...broker.env };
}

async function measure(bench: Bench, contestants: readonly Contestant[], times: number, atOnce: number): Promise<ReadonlyMap<string, readonly number[]>> {
  const env = environment(bench);
  // What is measured has to work, and to be in every cache.
  for (const { command } of contestants) await bench.programs.processes([command], 2, { env });
  const series = await bench.programs.processes(contestants.map(({ command }) => command), times, { env, atOnce });
  return new Map(contestants.map(({ name }, i) => [name, series[i] ?? []]));
}

function lines(what: string, by: string, measured: ReadonlyMap<string, readonly number[]>, against: readonly Against[]): readonly Comparison[] {
  const ours = measured.get(by);
  return against.flatMap(({ name, kind, goal }) => {
    const theirs = measured.get(name);
    const figure = ours === undefined ? null : summarise(ours);
    const other = theirs === undefined ? null : { kind, name, figure: summarise(theirs) };
    if (ours === undefined || theirs === undefined) return goal === null ? [] : unmeasured({ what, by, unit: 'ms', goal, ours: figure, other }, ours === undefined ? NO_LAUNCHER : NO_OIDC_AGENT);
    return compare({
      what, by, unit: 'ms', goal, ours: figure, other,
      ratio: pair(ours, theirs, 'ratio'), difference: pair(ours, theirs, 'difference'),
    });
  });
}

const token = (...program: readonly string[]): Command => ({ words: [...program, 'token', 'work'] });

export const processScene: Scene = {
  name: 'process',
  title: 'A cached token for a whole process',
  isCharted: true,
  async run(bench) {
    const { node, stage, programs, peers, bare, effort } = bench;
    const empty = stage.path('empty.mjs');
    writeFileSync(empty, '');
    const launcher: readonly Contestant[] = existsSync(LAUNCHER) ? [{ name: LAUNCHER_NAME, command: token(LAUNCHER) }] : [];
    const oidc: readonly Contestant[] = peers.oidcAgent === null ? [] : [{ name: OIDC_TOKEN, command: peers.oidcAgent.command }];
    const measured = await measure(bench, [
      ...launcher,
      { name: ENTRY_NAME, command: token(node, CLI) },
      { name: 'C floor', command: { words: [programs.floor, bare.line, TOKEN_LINE] } },
      { name: 'empty Node', command: { words: [node, '-e', '0'] } },
      { name: 'empty .mjs', command: { words: [node, empty] } },
      ...oidc,
      ...peers.others,
    ], effort.times, 1);
    const others = peers.others.map(({ name }): Against => ({ name, kind: 'peer', goal: null }));
    const atOnce = await measure(bench, [...launcher, ...oidc], Math.max(3, Math.round(effort.times / 5)), AT_ONCE);
    return [
      ...lines(WHAT, LAUNCHER_NAME, measured, [
        { name: OIDC_TOKEN, kind: 'peer', goal: { of: 'ratio', sign: '<=', limit: 0.4 } },
        { name: 'C floor', kind: 'floor', goal: { of: 'ratio', sign: '<=', limit: 2 } },
        ...others,
      ]),
      ...lines(WHAT, ENTRY_NAME, measured, [
        { name: 'empty Node', kind: 'floor', goal: { of: 'difference', sign: '<=', limit: 8 } },
        { name: 'empty .mjs', kind: 'floor', goal: null },
        { name: OIDC_TOKEN, kind: 'peer', goal: null },
        { name: 'C floor', kind: 'floor', goal: null },
        ...others,
      ]),
      ...lines(AT_ONCE_WHAT, LAUNCHER_NAME, atOnce, [{ name: OIDC_TOKEN, kind: 'peer', goal: { of: 'ratio', sign: '<=', limit: 0.8 } }]),
    ];
  },
};
