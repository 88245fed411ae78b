/** kill -9 in the middle of refreshes, against authorization servers that treat a replaced refresh token in other ways. */
import { describe, expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { SHAPES, STRICT } from './kill-shapes.ts';
import type { Shape } from './kill-shapes.ts';
import { drawPlans, Lane, newTally, rehearsals } from './kill.ts';
import type { Tally } from './kill.ts';
import { useStage } from './stage.ts';

const RUNS = runs(1, 60);
const SCENES = ['refresh', 'recovery of a lost answer'];
const LANES = 2;

replayable('shapes');
const stage = useStage();
async function playOn(shape: Shape, passed: Tally['passed']): Promise<Tally> {
  const tally: Tally = { ...newTally(), passed };
  const lane = new Lane(stage.build, stage.person, tally, shape);
  try {
    // The seed's first plans go through every label once; where there are few runs, each shape gets others.
    const skipped = RUNS * SHAPES.indexOf(shape);
    for (const plan of drawPlans(skipped + RUNS, tally, SCENES).slice(skipped)) await lane.play(plan);
    await lane.close();
  } catch (cause) {
    await lane.drop();
    throw new Error(`${shape.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return tally;
}

describe('other issuers', () => {
  it(`[TK-05] ${SHAPES.length - 1} ways to treat a replaced refresh token, ${RUNS} kills each: a sign-in only where the answer cannot be asked for again`, async () => {
    const known = newTally();
    const first = new Lane(stage.build, stage.person, known);
    for (const plan of rehearsals(SCENES)) await first.play(plan);
    await first.close();
    const left = SHAPES.filter((shape) => shape !== STRICT);
    const figures: Record<string, string> = {};
    await Promise.all(Array.from({ length: LANES }, async () => {
      for (let shape = left.shift(); shape !== undefined; shape = left.shift()) {
        const tally = await playOn(shape, known.passed);
        expect(tally.alarms, shape.name).toBe(0);
        if (shape.losesNothing) expect(tally.signInsNeeded, shape.name).toBe(0);
        figures[shape.name] = `${tally.kills} kills, ${tally.lostAnswers} answers lost, ${tally.signInsNeeded} sign-ins`;
      }
    }));
    publish('shapes', Object.fromEntries(Object.entries(figures).toSorted()));
  }, 120_000 + RUNS * 30_000);
});
