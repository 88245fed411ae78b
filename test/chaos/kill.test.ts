/** kill -9 at every labelled step, against a real issuer with rotation and strict reuse detection. */
import { describe, expect, it } from 'vitest';
import { isFull, onlyRun, publish, replayable, runs } from './campaign.ts';
import { drawPlans, Lane, newTally, rehearsals, unreached } from './kill.ts';
import type { KillPlan, Tally } from './kill.ts';
import { Ledger } from '../support/ledger.ts';
import { Laptop, startShimmed } from './rig.ts';
import { useStage } from './stage.ts';

const RUNS = runs(12, 1_000);
const LANES = isFull ? 3 : 2;
replayable('kill');
const stage = useStage();

/** More than these say nothing new. */
const FAILURES_MAX = 8;

/** Lanes take the next plan when they are free; after a failure one goes on with a laptop of its own. */
async function playAll(plans: readonly KillPlan[], tally: Tally): Promise<readonly string[]> {
  const left = [...plans];
  const failures: string[] = [];
  await Promise.all(Array.from({ length: Math.min(LANES, plans.length) }, async () => {
    const lane = new Lane(stage.build, stage.person, tally);
    const attempt = (work: Promise<void>): Promise<void> => work.catch(async (cause: unknown) => {
      failures.push(cause instanceof Error ? cause.message : String(cause));
      console.error(failures.at(-1));
      await lane.drop();
    });
    for (let plan = left.shift(); plan !== undefined && failures.length < FAILURES_MAX; plan = left.shift()) {
      await attempt(lane.play(plan));
      if (isFull && left.length % 50 === 0) console.log(`${left.length} runs to go, ${failures.length} failed`);
    }
    await attempt(lane.close());
  }));
  return failures;
}

describe('kill -9', () => {
  it(`[TK-04] at every labelled step, ${RUNS} runs: at most one sign-in for a lost answer, none else, never a token used twice, never a file that others can read`, async () => {
    const tally = newTally();
    expect(await playAll(rehearsals(), tally)).toEqual([]);
    expect(unreached(stage.build.labels, tally), 'labels that no scene passes').toEqual([]);
    expect(unreached([...stage.build.labels, 'nobody.passes.here'], tally)).toEqual(['nobody.passes.here']);
    const rehearsed = tally.runs;
    const plans = drawPlans(RUNS, tally);
    const failures = await playAll(onlyRun === null ? plans : plans.filter(({ run }) => run === onlyRun), tally);
    publish('kill', {
      runs: tally.runs - rehearsed, 'runs that failed': failures.length, rehearsals: rehearsed, kills: tally.kills, labels: stage.build.labels.length, 'labels killed at': tally.killedAt.size,
      'refreshes at the issuer': tally.refreshes, 'answers lost': tally.lostAnswers, 'intents whose token was not sent': tally.unsentIntents,
      'sign-ins needed': tally.signInsNeeded, 'sign-ins for another reason': tally.signInsWished, 'second uses of a token': tally.reuses, 'reuse alarms': tally.alarms,
      'start after a kill, median ms': Math.round(tally.startsMs.toSorted((a, b) => a - b)[Math.floor(tally.startsMs.length / 2)] ?? 0),
    }, Object.fromEntries([...tally.killedAt].toSorted(([a], [b]) => a.localeCompare(b))));
    expect(failures.join('\n\n')).toBe('');
    expect(tally.signInsNeeded).toBeLessThanOrEqual(tally.lostAnswers + tally.unsentIntents);
    expect(tally).toMatchObject({ reuses: 0, alarms: 0 });
    if (onlyRun === null) expect(tally.kills).toBeGreaterThanOrEqual(RUNS * 0.9);
  }, 120_000 + RUNS * 5_000);
});

describe('a disk that refuses the answer of a refresh', () => {
  it.each(['ENOSPC', 'EIO'] as const)('by %s: it is served from memory, saved at the end, and nothing is lost', async (action) => {
    const issuer = await startShimmed();
    const laptop = new Laptop(stage.build, stage.person, issuer.issuer.url);
    try {
      await laptop.start();
      expect(await laptop.signIn()).toMatchObject({ state: 'complete' });
      laptop.desk.arm({ label: 'vault.answer.written', nth: 1, action });
      const served = await laptop.token({ force: true });
      expect(served.status).toBe(200);
      expect(laptop.hits().filter((hit) => hit.action === action)).toHaveLength(1);
      expect((await laptop.token()).body).toMatchObject({ access_token: served.body.access_token, source: 'cache' });
      laptop.running?.child.kill('SIGTERM');
      expect(await laptop.running?.exited).toBe('0');
      await laptop.start();
      expect((await laptop.token()).body).toMatchObject({ access_token: served.body.access_token, source: 'cache' });
      expect((await laptop.token({ force: true })).status).toBe(200);
      expect(new Ledger(issuer.issuer).reuses()).toBe(0);
    } finally {
      await laptop.remove();
      await issuer.close();
    }
  }, 60_000);
});
