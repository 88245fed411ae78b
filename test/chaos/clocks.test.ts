/**
 * Clocks that jump by hours either way, at rest, with a refresh on the wire, and while the daemon is not there. The
 * process is real; the clocks that it reads are its own, or those of a time namespace.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Held } from '../support/fault-shim.ts';
import { isFull, publish, replayable } from './campaign.ts';
import { Ledger } from '../support/ledger.ts';
import { Laptop, startShimmed } from './rig.ts';
import type { Issuer } from './rig.ts';
import { useStage } from './stage.ts';

replayable('clocks');

const HOUR = 3_600_000;
const LIFE_S = 3_600;
/** By how much, of the time of day and of the clock that counts suspend; `outlives`: by both the token still lives. */
const JUMPS = [
  { name: 'set ahead by twelve hours', wallMs: 12 * HOUR, bootMs: 0, outlives: false },
  { name: 'set back by twelve hours', wallMs: -12 * HOUR, bootMs: 0, outlives: true },
  { name: 'twelve hours of suspend', wallMs: 12 * HOUR, bootMs: 12 * HOUR, outlives: false },
  { name: 'twelve hours of suspend, and the time of day stood still', wallMs: 0, bootMs: 12 * HOUR, outlives: false },
  { name: 'six hours of suspend, and set back by twelve', wallMs: -6 * HOUR, bootMs: 6 * HOUR, outlives: false },
  { name: 'set ahead by five minutes', wallMs: HOUR / 12, bootMs: 0, outlives: true },
] as const;
type Jump = { readonly name: string; readonly wallMs: number; readonly bootMs: number; readonly outlives: boolean };
const MOMENTS = ['at rest', 'with a refresh on the wire', 'between two starts'] as const;
/** The daemon looks every ten seconds, and promises thirty. */
const NOTICED_MS = 30_000;

const figures = { 'jumps by its own clocks': 0, 'jumps in a time namespace': 0, 'noticed suspends': 0, 'sign-ins needed': 0, 'dead tokens given out': 0 };
const stage = useStage();
let issuer: Issuer;
let laptop: Laptop;
let ledger: Ledger;
beforeAll(async () => {
  // The issuer's clock stands where it was: what it says of the time of its ID tokens must hold all the same.
  issuer = await startShimmed({ lifetimes: { accessTokenS: LIFE_S, idTokenS: 30 * 86_400 } });
  ledger = new Ledger(issuer.issuer);
  laptop = new Laptop(stage.build, stage.person, issuer.issuer.url, { hasOwnClock: true });
  await laptop.start();
  expect(await laptop.signIn()).toMatchObject({ state: 'complete' });
});
afterAll(async () => {
  await laptop.remove();
  await issuer.close();
});

/** The clock of the boot never goes back while a process lives. */
let bootMs = 0;
const setClock = (wallMs: number, moreBootMs = 0): void => {
  bootMs += moreBootMs;
  laptop.setClock({ wallMs, bootMs });
};

async function fresh(): Promise<string> {
  const reply = await laptop.token({ force: true });
  expect(reply.status, reply.text).toBe(200);
  return String(reply.body.access_token);
}

/** What holds after any jump: a token that lives by every clock, then another one, and nobody was robbed. */
async function judge(before: string, outlives: boolean): Promise<void> {
  const served = await laptop.token();
  expect(served.status, served.text).toBe(200);
  expect(served.body.access_token === before, 'the token that was there is served').toBe(outlives);
  expect((await issuer.issuer.introspect(String(served.body.access_token))).active).toBe(true);
  expect(await fresh()).not.toBe(before);
  expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
}

async function jump(to: Jump, moment: (typeof MOMENTS)[number]): Promise<void> {
  setClock(0);
  let before = await fresh();
  if (moment === 'with a refresh on the wire') {
    const held = new Held();
    issuer.shim.next('token', { kind: 'hold', held });
    const reply = laptop.token({ force: true });
    await held.arrived;
    setClock(to.wallMs, to.bootMs);
    await sleep(50);
    held.release();
    const { status, body, text } = await reply;
    expect(status, text).toBe(200);
    before = String(body.access_token);
    // It came after the jump, so it lives by every clock.
    return judge(before, true);
  }
  if (moment === 'between two starts') await laptop.kill();
  setClock(to.wallMs, to.bootMs);
  if (moment === 'between two starts') expect(await laptop.start()).not.toBeNull();
  return judge(before, to.outlives);
}

describe('clocks that jump', () => {
  it.each(JUMPS)('$name: nothing dead is given out, and nothing is lost', async (to) => {
    const turn = JUMPS.indexOf(to) % MOMENTS.length;
    for (const moment of MOMENTS.filter((_, n) => isFull || n === turn)) {
      await jump(to, moment).catch((cause: unknown) => { throw new Error(`${to.name}, ${moment}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }); });
      figures['jumps by its own clocks'] += 1;
    }
    setClock(0);
    expect((await laptop.token()).status).toBe(200);
  }, 60_000);

  // In real time: at full size only. The fake clock of watch-time.test.ts does it in npm test.
  if (isFull) it('a suspend is noticed within thirty seconds', async () => {
    setClock(0);
    await fresh();
    await sleep(11_000); // it has looked since
    const said = laptop.running?.stderr().length ?? 0;
    setClock(HOUR, HOUR);
    const from = performance.now();
    while (!/\bresumed\b/.test(laptop.running?.stderr().slice(said) ?? '')) {
      expect(performance.now() - from).toBeLessThan(NOTICED_MS);
      await sleep(100);
    }
    figures['noticed suspends'] += 1;
  }, 60_000);

  const hasNamespaces = spawnSync('unshare', ['--time', '--boottime', '60', 'true']).status === 0;
  if (!hasNamespaces) console.warn('not run: unshare(1) makes no time namespace here (Linux 5.6, util-linux, and root)');
  it.skipIf(!hasNamespaces).each([['ten minutes ahead', 600, true], ['a day ahead', 86_400, false]] as const)('a start whose clock of the boot is %s', async (_name, seconds, outlives) => {
    setClock(0);
    const before = await fresh();
    await laptop.kill();
    laptop.through = ['unshare', '--time', '--boottime', String(seconds), '--'];
    expect(await laptop.start()).not.toBeNull();
    await judge(before, outlives);
    figures['jumps in a time namespace'] += 1;
  }, 60_000);

  it('is published', () => publish('clocks', { ...figures, 'second uses of a token': ledger.reuses(), 'reuse alarms': ledger.alarms() }));
});
