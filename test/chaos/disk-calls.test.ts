/** Any one call to the disk fails, in every way in which one can. */
import { expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { run } from './disk-calls.ts';

replayable('disk-calls');

it('[TK-04] loses nothing untold and uses no token twice when any one call to the disk fails', async (test) => {
  const figures = await run(runs(3, Infinity));
  if (figures === null) return test.skip('see the reason above');
  expect(figures['struck']).toBeGreaterThan(0);
  publish('disk-calls', figures);
}, 7_200_000);
