/**
 * One issuer misbehaves while somebody refreshes a profile there all the time; callers with a cached token of
 * another issuer must not notice. They come at fixed times (open loop), so that a stall counts for all whom it
 * keeps waiting. Quiet and disturbed rounds take turns; in the quiet ones the same somebody asks as often, of an
 * issuer that is well, so that what differs is the issuer and not the asking.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { postToken } from '../asking.ts';
import type { HttpAnswer } from '../asking.ts';
import type { Bench, Scene } from '../bench.ts';
import { compare } from '../comparison.ts';
import type { Comparison } from '../comparison.ts';
import { oursBest } from '../contestants.ts';
import { Histogram } from '../histogram.ts';
import { Unexpected } from '../stage.ts';
import { pair, summarise } from '../statistics.ts';
import { ask } from '../subprocess.ts';

/** Two sign-ins at the issuer that misbehaves: one whose used refresh token may be tried again, and one whose may not. */
const PROFILE = 'other';
const STRICT = 'strict';
/** In no case so many that the daemon is saturated: then everybody waits for everybody. */
const RATE_MAX = 1_000;
const LOAD_SHARE = 0.25;
const CALLERS = 16;
const ASK_EVERY_MS = 50;
const ASKS_MAX = 32;
/** What a caller waits who does not say how long. */
const WAIT_S = 30;
const RECOVERY_LIMIT_MS = 90_000;

/** So that each failure is followed by another attempt, not by a sign-in. */
const GRACE = ['refresh_grace_s = 3600'];

const MODES = [
  { mode: 'hang', words: 'hangs' },
  { mode: 'drip', words: 'drips' },
  { mode: 'flood-head', words: 'sends headers without end' },
  { mode: 'flood-body', words: 'sends a body without end' },
] as const;

type Setting = { readonly setMode: (mode: string) => Promise<unknown>; readonly close: () => Promise<void> };

async function openSetting({ stage, broker, issuer }: Bench): Promise<Setting> {
  const proxy = stage.forked(fileURLToPath(new URL('../processes/faulty-proxy.js', import.meta.url)), []);
  const second = stage.forked(fileURLToPath(new URL('../processes/issuer.js', import.meta.url)), []);
  const url = String(await ask(proxy, 'listen'));
  const started = await ask(second, 'start', url);
  if (typeof started !== 'object' || started === null || !('origin' in started)) throw new Unexpected('the second issuer did not start');
  await ask(proxy, 'upstream', started.origin);
  broker.configure({ work: { issuer: issuer.url }, [PROFILE]: { issuer: url, more: GRACE }, [STRICT]: { issuer: url } }, 'raised');
  await broker.reload();
  await broker.signIn(PROFILE);
  return {
    setMode: (mode) => ask(proxy, 'mode', mode),
    async close() {
      broker.configure({ work: { issuer: issuer.url } }, 'raised');
      await broker.reload();
      for (const child of [proxy, second]) child.kill();
    },
  };
}

const refresh = (bench: Bench, profile = PROFILE): Promise<HttpAnswer> => postToken(bench.broker.socket, { profile, force: true, wait_s: WAIT_S }, (WAIT_S + 5) * 1000);

/** Until the daemon has seen that its issuer works again. */
async function recover(bench: Bench, { setMode }: Setting): Promise<void> {
  await setMode('pass');
  const limit = Date.now() + RECOVERY_LIMIT_MS;
  for (;;) {
    const { status, body } = await refresh(bench);
    if (status === 200) return;
    if (body['code'] === 'login_required') await bench.broker.signIn(PROFILE);
    else if (Date.now() > limit) throw new Unexpected(`the other issuer works again, but the daemon still says ${String(body['code'])}`);
    else await sleep(200);
  }
}

/** Asks and asks, and takes whatever comes. */
async function askUntil(until: Promise<unknown>, request: () => Promise<unknown>): Promise<void> {
  let [isOver, open] = [false, 0];
  const over = until.finally(() => void (isOver = true));
  while (!isOver) {
    if (open < ASKS_MAX) {
      open += 1;
      request().catch(() => null).finally(() => void (open -= 1)); // what it is told is measured elsewhere: here it only asks
    }
    await Promise.race([over, sleep(ASK_EVERY_MS)]);
  }
}

async function safeRate(bench: Bench): Promise<number> {
  const { name: _name, ...contestant } = oursBest(bench);
  const { perSecond } = await bench.programs.load({ ...contestant, isKept: false, callers: CALLERS, for: { seconds: 1 } });
  return Math.max(10, Math.min(RATE_MAX, Math.floor(LOAD_SHARE * perSecond)));
}

async function cachedP99(bench: Bench, rate: number): Promise<number> {
  const { name: _name, ...contestant } = oursBest(bench);
  const { buckets, maxNs } = await bench.programs.load({ ...contestant, isKept: false, callers: CALLERS, rate, for: { seconds: Math.max(1, bench.effort.seconds) } });
  return new Histogram().add(buckets, maxNs).percentile(0.99) / 1e6;
}

async function p99While(bench: Bench, rate: number, request: () => Promise<unknown>): Promise<number> {
  const measuring = cachedP99(bench, rate);
  await askUntil(measuring, request);
  return measuring;
}

async function underOne(bench: Bench, setting: Setting, rate: number, { mode, words }: (typeof MODES)[number]): Promise<readonly Comparison[]> {
  const by = oursBest(bench).name;
  bench.say(`  an issuer that ${words}`);
  await recover(bench, setting);
  await bench.broker.signIn(STRICT);
  await setting.setMode(mode);
  const told = await Promise.all([refresh(bench, STRICT), refresh(bench)]);
  if (told.some(({ status }) => status === 200)) throw new Unexpected(`an issuer that ${words} gave a token`);
  const quiet: number[] = [];
  const disturbed: number[] = [];
  for (let round = 0; round < bench.effort.rounds; round += 1) {
    await recover(bench, setting);
    quiet.push(await p99While(bench, rate, () => postToken(bench.broker.socket, { profile: PROFILE }, WAIT_S * 1000)));
    await setting.setMode(mode);
    disturbed.push(await p99While(bench, rate, () => refresh(bench)));
  }
  const shared = { by, unit: 'ms', what: `p99 of a cached token while another issuer ${words}` } as const;
  const ours = summarise(disturbed);
  return [
    compare({ ...shared, ours, other: { kind: 'floor', name: 'quiet', figure: summarise(quiet) }, ratio: pair(disturbed, quiet, 'ratio'), goal: { of: 'ratio', sign: '<=', limit: 1.1 }, notes: [`${rate} requests a second, at fixed times`] }),
    compare({ ...shared, ours, goal: { of: 'value', sign: '<=', limit: 1 } }),
    ...told.map(({ ms, body }, i) => compare({
      what: `the caller of the issuer that ${words} is told so`, by: i === 0 ? 'no grace' : 'with grace', unit: 'ms', ours: summarise([ms]),
      goal: { of: 'value', sign: '<=', limit: 10_000 }, notes: [`told: ${String(body['code'])}, ${String(body['detail'])}`],
    })),
  ];
}

export const isolationScene: Scene = {
  name: 'isolation',
  title: 'A cached token while another issuer misbehaves',
  isCharted: false,
  async run(bench) {
    const setting = await openSetting(bench);
    try {
      const rate = await safeRate(bench);
      const found: Comparison[] = [];
      for (const each of MODES) found.push(...await underOne(bench, setting, rate, each));
      await recover(bench, setting);
      return found;
    } finally {
      await setting.close();
    }
  },
};
