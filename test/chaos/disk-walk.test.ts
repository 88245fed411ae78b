/** A walk at random over a disk and an issuer that fail. */
import { expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { run } from './disk-walk.ts';

replayable('disk-walk');

it('[TK-04] never uses a refresh token twice on any walk over a disk and an issuer that fail', async (test) => {
  const figures = await run(runs(10, 600));
  if (figures === null) return test.skip('see the reason above');
  expect(figures['second_uses_of_a_token']).toBe(0);
  publish('disk-walk', figures);
}, 7_200_000);
