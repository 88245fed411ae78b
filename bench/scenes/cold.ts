/**
 * A token that is not in the cache: refresh at the issuer, rotation, and the new generation on the disk before
 * anybody is answered. Its budget is the issuer's own time, measured in the issuer for these very requests, the
 * same writes and syncs by a program that does nothing else, times 1.2, and 3 ms.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Scene } from '../bench.ts';
import { NO_OIDC_AGENT } from '../bench.ts';
import { compare, unmeasured } from '../comparison.ts';
import { oursBest, OURS_LINE } from '../contestants.ts';
import { Histogram } from '../histogram.ts';
import type { Load } from '../programs.ts';
import { pair, quantile, summarise } from '../statistics.ts';
import { ask } from '../subprocess.ts';

const WHAT = 'a cold token with rotation, durable';
const FLOOR_FACTOR = 1.2;
const ALLOWANCE_MS = 3;
/** See daemon/vault/grant-files.ts. */
const RESERVE_MIN = 16 * 1024;
/** Small, and more rounds of them: a disk changes its mind quicker than a processor. */
const BATCH = 8;
const ROUNDS_FACTOR = 2;
/** Each of its refreshes takes a third of a second. */
const BATCH_OF_OIDC_AGENT = 1;

const medianMs = ({ buckets, maxNs }: Load): number => new Histogram().add(buckets, maxNs).percentile(0.5) / 1e6;

async function issuerMs({ issuer }: Bench): Promise<readonly number[]> {
  const taken = await ask(issuer.process, 'tokenMs');
  return Array.isArray(taken) ? taken.map(Number) : [];
}

async function oidcAgentMs({ peers: { oidcAgent: agent }, programs }: Bench): Promise<number | null> {
  if (agent === null) return null;
  return medianMs(await programs.load({ socket: agent.socket, dialect: 'json', data: agent.forced, isKept: false, callers: 1, for: { requests: BATCH_OF_OIDC_AGENT } }));
}

export const coldScene: Scene = {
  name: 'cold',
  title: 'A cold token',
  isCharted: false,
  async run(bench) {
    const { broker, programs, effort } = bench;
    const { name, socket, dialect } = oursBest(bench);
    const forced = { profile: 'work', force: true };
    const data = JSON.stringify(name === OURS_LINE ? { type: 'token', id: 1, protocol: 1, data: forced } : forced);
    const sealed = statSync(join(broker.grantsDirectory, 'work.jwe')).size;
    const rounds: { readonly ours: number; readonly issuer: number; readonly floor: number; readonly oidc: number | null }[] = [];
    for (let round = 0; round < ROUNDS_FACTOR * effort.rounds; round += 1) {
      const oidc = await oidcAgentMs(bench);
      await issuerMs(bench);
      const load = await programs.load({ socket, dialect, data, isKept: false, callers: 1, for: { requests: BATCH } });
      const issuer = await issuerMs(bench);
      const floor = await programs.durable(broker.grantsDirectory, Math.max(RESERVE_MIN, 2 * sealed), sealed, BATCH);
      if (issuer.length !== BATCH) throw new Error(`the issuer saw ${issuer.length} refreshes instead of ${BATCH}`);
      rounds.push({ ours: medianMs(load), issuer: quantile(issuer, 0.5), floor: quantile(floor, 0.5), oidc });
    }
    const mine = rounds.map(({ ours }) => ours);
    const budget = rounds.map(({ issuer, floor }) => issuer + FLOOR_FACTOR * floor + ALLOWANCE_MS);
    const theirs = rounds.flatMap(({ oidc }) => oidc ?? []);
    const note = `the issuer itself took ${quantile(rounds.map(({ issuer }) => issuer), 0.5).toFixed(2)} ms, the durable writes alone ${quantile(rounds.map(({ floor }) => floor), 0.5).toFixed(2)} ms`;
    return [
      compare({
        what: WHAT, by: name, unit: 'ms', ours: summarise(mine), other: { kind: 'floor', name: 'budget', figure: summarise(budget) },
        ratio: pair(mine, budget, 'ratio'), goal: { of: 'ratio', sign: '<=', limit: 1 }, notes: [note],
      }),
      theirs.length !== mine.length ? unmeasured({ what: WHAT, by: name, unit: 'ms' }, NO_OIDC_AGENT) : compare({
        what: WHAT, by: name, unit: 'ms', ours: summarise(mine), other: { kind: 'peer', name: 'oidc-agent', figure: summarise(theirs) }, ratio: pair(mine, theirs, 'ratio'),
      }),
    ];
  },
};
