/** A disk that is full, read-only or gone, at each step of a refresh. */
import { expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { run } from './disk-scenes.ts';

replayable('disk-scenes');

it('[TK-04] serves what it has, says what is wrong and loses nothing when its disk is full, read-only or gone', async (test) => {
  const figures = await run(runs(3, Infinity));
  if (figures === null) return test.skip('see the reason above');
  expect(figures['scenes']).toBeGreaterThan(0);
  publish('disk-scenes', figures);
}, 1_800_000);
