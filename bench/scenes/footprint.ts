/** What the daemon costs by being there: its start and its memory. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Bench, Scene } from '../bench.ts';
import { Broker, residentMb } from '../broker.ts';
import { compare } from '../comparison.ts';
import { oursBest, OURS_HTTP, OURS_LINE } from '../contestants.ts';
import { endProcess } from '../stage.ts';
import { pair, summarise } from '../statistics.ts';

const BARE = fileURLToPath(new URL('../processes/bare.js', import.meta.url));
/** A process is idle when V8 has given back what the start left behind, which it does after eight quiet seconds. */
const IDLE_MS = 12_000;
const SETTLE_MS = 1_500;
const BATCH = 50_000;
const CALLERS = 8;

/** A daemon of its own, which nobody has asked anything yet, and the words that start it. */
async function preparedBroker({ stage, node, issuer }: Bench, place: string): Promise<{ readonly broker: Broker; readonly words: readonly string[] }> {
  const broker = new Broker(stage, node, place);
  broker.configure({ work: { issuer: issuer.url } }, 'raised');
  await broker.start();
  await broker.unlock();
  const words = broker.commandLine;
  await broker.stop();
  return { broker, words };
}

export const startScene: Scene = {
  name: 'start',
  title: 'The first answer after the start',
  isCharted: false,
  async run(bench) {
    const { programs, node, effort } = bench;
    const { broker, words } = await preparedBroker(bench, 'start');
    const ways = [...(bench.broker.lines === 'spoken' ? ['line' as const] : []), 'http' as const];
    const [floor = [], ...answered] = await programs.processes(
      [{ words: [node, '-e', '0'] }, ...ways.map((by) => ({ words, untilStatus: { socket: broker.socket, by } }))],
      Math.max(7, Math.round(effort.times / 4)), { env: broker.env },
    );
    return answered.map((ours, i) => compare({
      what: 'from the start to the first answer', by: ways[i] === 'line' ? OURS_LINE : OURS_HTTP, unit: 'ms', ours: summarise(ours),
      other: { kind: 'floor', name: 'empty Node', figure: summarise(floor) }, ratio: pair(ours, floor, 'ratio'),
      // The quicker way is the one that the launcher takes.
      goal: i === 0 ? { of: 'ratio', sign: '<=', limit: 1.6 } : null,
    }));
  },
};

function withChildren(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((word) => word !== '').map(Number);
  return [pid, ...children];
}

async function bareIdleMb({ stage, node }: Bench, round: number): Promise<number> {
  const socket = stage.path(`idle-${round}.sock`);
  const pid = await stage.serve(node, [BARE, 'idle', socket], socket);
  await sleep(IDLE_MS);
  const mb = residentMb(pid);
  await endProcess(pid);
  return mb;
}

async function ourIdleMb(broker: Broker, words: readonly string[]): Promise<number> {
  await broker.serve(words);
  await sleep(IDLE_MS);
  return broker.residentMb();
}

async function askMany(bench: Bench, broker: Broker, requests: number): Promise<void> {
  const { name: _name, ...contestant } = oursBest(bench);
  // A process of the generator has its own burst: each asks as much as that allows.
  for (let done = 0; done < requests; done += BATCH) {
    await bench.programs.load({ ...contestant, socket: broker.socket, isKept: true, callers: CALLERS, for: { requests: Math.min(BATCH, requests - done) } });
  }
}

export const memoryScene: Scene = {
  name: 'memory',
  title: 'Resident memory',
  isCharted: false,
  async run(bench) {
    const { effort, peers } = bench;
    const { broker, words } = await preparedBroker(bench, 'memory');
    const [ours, bare]: [number[], number[]] = [[], []];
    for (let round = 0; round < 3; round += 1) {
      bare.push(await bareIdleMb(bench, round));
      if (round > 0) await broker.stop();
      ours.push(await ourIdleMb(broker, words));
    }
    await broker.unlock();
    await broker.signIn('work');
    await sleep(SETTLE_MS);
    const signedIn = broker.residentMb();
    const requests = effort.millions * 1e6;
    await askMany(bench, broker, requests);
    const afterMany = broker.residentMb();
    await broker.stop();
    const floor = { kind: 'floor', name: 'bare Node', figure: summarise(bare) } as const;
    return [
      compare({ what: 'resident, idle', by: 'before any request', unit: 'MB', ours: summarise(ours), other: floor, ratio: pair(ours, bare, 'ratio'), goal: { of: 'ratio', sign: '<=', limit: 1.15 } }),
      compare({ what: 'resident, idle', by: 'after unlock and sign-in', unit: 'MB', ours: summarise([signedIn]), other: floor }),
      compare({ what: 'resident, at work', by: `after ${requests.toLocaleString('en-US')} requests`, unit: 'MB', ours: summarise([afterMany]), goal: { of: 'value', sign: '<=', limit: 65 } }),
      ...(peers.oidcAgent === null ? [] : [compare({
        what: 'resident, at work', by: 'before any request', unit: 'MB', ours: summarise(ours),
        other: { kind: 'peer', name: 'oidc-agent', figure: summarise([withChildren(peers.oidcAgent.pid).reduce((sum, pid) => sum + residentMb(pid), 0)]) },
        notes: ["oidc-agent's two processes together, after all the load before"],
      })]),
    ];
  },
};
