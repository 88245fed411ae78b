/** Two hundred clients, in every manner in which clients ask, and one token that no longer serves: one refresh, one token for all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildLauncher, launcherRoom } from '../e2e/token-programs.ts';
import { publish, replayable, runs } from './campaign.ts';
import { CALLERS, Crowd } from './herd-crowd.ts';
import type { Manner } from './herd-crowd.ts';
import { Ledger } from '../support/ledger.ts';
import { Laptop, startShimmed } from './rig.ts';
import type { Issuer } from './rig.ts';
import { useStage } from './stage.ts';

replayable('herd');

const ROUNDS = runs(2, 100);
/** A round in which the token has really expired takes its life; in the others more life is asked for than it has left. */
const EXPIRES_EVERY = 10;
const SHORT_LIFE_S = 1;

const room = launcherRoom();
const launcher = buildLauncher(room, 'valetkey', { kind: 'release' });
const MANNERS: readonly Manner[] = ['http', 'frames', 'frames, a connection each', ...(launcher === null ? [] : ['launcher' as const])];
const figures: Record<string, number> = { 'callers a round': CALLERS };

const stage = useStage();
let issuer: Issuer;
let laptop: Laptop;
beforeAll(async () => {
  issuer = await startShimmed();
  // One process plays all of them, more often than any program asks.
  laptop = new Laptop(stage.build, stage.person, issuer.issuer.url, { top: '[limits]\nrequests_per_second = 10000\nburst = 100000' });
  await laptop.start();
  expect(await laptop.signIn()).toMatchObject({ state: 'complete' });
});
afterAll(async () => {
  await laptop.remove();
  await issuer.close();
  room.remove();
});

describe('the herd', () => {
  it.each(MANNERS)(`[TK-03] ${CALLERS} clients, ${ROUNDS} rounds, by %s: one refresh a round, and the same token for all`, async (manner) => {
    const ledger = new Ledger(issuer.issuer);
    const crowd = new Crowd(manner, { socket: laptop.socket, env: laptop.env, launcher: launcher ?? '' });
    try {
      let before = '';
      for (let round = 0; round < ROUNDS; round += 1) {
        const isExpiry = round % EXPIRES_EVERY === 1;
        // More each round, so that what is there never suffices.
        const lifeS = 1_000 + 100 * round + 10 * MANNERS.indexOf(manner);
        if (isExpiry || round === 0) {
          issuer.issuer.setLifetimes({ accessTokenS: isExpiry ? SHORT_LIFE_S : lifeS });
          expect((await laptop.token({ force: true, min_ttl_s: 0 })).status).toBe(200);
        }
        if (isExpiry) {
          await sleep(SHORT_LIFE_S * 1000 + 50);
          figures['rounds after a real expiry'] = (figures['rounds after a real expiry'] ?? 0) + 1;
        }
        issuer.issuer.setLifetimes({ accessTokenS: lifeS + 100 });
        ledger.mark();
        const answers = await crowd.ask({ profile: 'work', min_ttl_s: isExpiry ? 0 : lifeS + 50 });
        const distinct = [...new Set(answers)];
        expect(distinct, `round ${round}`).toHaveLength(1);
        expect(answers).toHaveLength(CALLERS);
        expect(distinct[0]).toMatch(/^[\w-]{20,}$/);
        expect(distinct[0]).not.toBe(before);
        expect([ledger.asked(), ledger.consumed()], `round ${round}`).toEqual([1, 1]);
        before = distinct[0] ?? '';
      }
      figures[`rounds by ${manner}, each one refresh and one token`] = ROUNDS;
      expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
      publish('herd', { ...figures, 'second uses of a token': ledger.reuses(), 'reuse alarms': ledger.alarms() });
    } finally {
      await crowd.leave();
    }
  }, 60_000 + ROUNDS * 4_000);
});
