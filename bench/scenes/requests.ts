/** Requests a second in the closed loop: each caller asks again as soon as it was answered. */
import type { Bench, Scene } from '../bench.ts';
import { NO_LINES, NO_OIDC_AGENT } from '../bench.ts';
import { compare, unmeasured } from '../comparison.ts';
import type { Comparison, Goal } from '../comparison.ts';
import { bareFastify, bareLine, BARE_FASTIFY, BARE_LINE, oidcAgent, OIDC_OWN, OIDC_PLAIN, ours, OURS_HTTP, OURS_LINE } from '../contestants.ts';
import { generatorNotes, rates, tailNote, takeTurns } from '../contest.ts';
import type { Contestant, Outcome } from '../contest.ts';
import { pair, summarise } from '../statistics.ts';

const WARM_S = 0.2;
const CALLERS = [1, 8, 64];
/** A process may ask 100,000 times and 10,000 a second; with kept connections that is spent in little more. */
const KEPT_S_MAX = 1;
/** From this one on the plain protocol of a C program has to be passed. */
const CURRENT_NODE = 24;

type Against = { readonly name: string; readonly kind: 'peer' | 'floor'; readonly goal: Goal | null };

function lines(what: string, by: string, outcomes: ReadonlyMap<string, Outcome>, against: readonly Against[]): readonly Comparison[] {
  const own = outcomes.get(by);
  return against.flatMap(({ name, kind, goal }): readonly Comparison[] => {
    const theirs = outcomes.get(name);
    const ours = own === undefined ? null : summarise(rates(own));
    const other = theirs === undefined ? null : { kind, name, figure: summarise(rates(theirs)) };
    if (own === undefined || theirs === undefined) return [unmeasured({ what, by, unit: '/s', goal, ours, other }, own === undefined ? NO_LINES : NO_OIDC_AGENT)];
    return [compare({
      what, by, unit: '/s', goal, ours, other,
      ratio: pair(rates(own), rates(theirs), 'ratio'), notes: [...generatorNotes(own), ...generatorNotes(theirs)],
    })];
  }).map((line, i) => (i === 0 && own !== undefined ? { ...line, notes: [`${by}: ${tailNote(own)}`, ...line.notes] } : line));
}

const atLeast = (limit: number): Goal => ({ of: 'ratio', sign: '>=', limit });

async function contest(bench: Bench, contestants: readonly Contestant[], callers: number, isKept: boolean): Promise<ReadonlyMap<string, Outcome>> {
  const { rounds, seconds } = bench.effort;
  bench.say(`  ${callersWords(callers)}, ${isKept ? 'kept connections' : 'a connection a request'}`);
  return takeTurns(bench.programs, contestants, { callers, isKept, warmS: WARM_S, for: { seconds: isKept ? Math.min(KEPT_S_MAX, seconds) : seconds } }, rounds);
}

const callersWords = (callers: number): string => (callers === 1 ? '1 caller' : `${callers} callers`);

export const requestsScene: Scene = {
  name: 'requests',
  title: 'Requests a second, a connection a request',
  isCharted: true,
  async run(bench) {
    const major = Number.parseInt(/(\d+)/.exec((await bench.stage.run(bench.node, ['--version'])).stdout)?.[1] ?? '0', 10);
    const found: Comparison[] = [];
    for (const callers of CALLERS) {
      const outcomes = await contest(bench, [...ours(bench), ...oidcAgent(bench), bareLine(bench), bareFastify(bench)], callers, false);
      const what = `requests a second, ${callersWords(callers)}`;
      found.push(
        ...lines(what, OURS_LINE, outcomes, [
          { name: OIDC_OWN, kind: 'peer', goal: atLeast(3) },
          { name: OIDC_PLAIN, kind: 'peer', goal: atLeast(major >= CURRENT_NODE ? 1 : 0.8) },
          { name: BARE_LINE, kind: 'floor', goal: null },
        ]),
        ...lines(what, OURS_HTTP, outcomes, [
          { name: OIDC_OWN, kind: 'peer', goal: null },
          { name: BARE_FASTIFY, kind: 'floor', goal: null },
        ]),
      );
    }
    return found;
  },
};

export const keptScene: Scene = {
  name: 'kept',
  title: 'Requests a second, kept connections',
  isCharted: true,
  async run(bench) {
    const found: Comparison[] = [];
    for (const callers of CALLERS) {
      const outcomes = await contest(bench, [...ours(bench), bareLine(bench), bareFastify(bench)], callers, true);
      const what = `kept connections, ${callersWords(callers)}`;
      found.push(
        ...lines(what, OURS_LINE, outcomes, [{ name: BARE_LINE, kind: 'floor', goal: atLeast(0.7) }]),
        ...lines(what, OURS_HTTP, outcomes, [{ name: BARE_FASTIFY, kind: 'floor', goal: null }]),
      );
    }
    return found;
  },
};
