/** Hundreds of thousands of requests of every kind: memory, descriptors, threads, children and timers. */
import { expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { run } from './soak.ts';

replayable('soak');

it('stays flat in memory and leaves no descriptor, thread, child or timer after callers of every kind', async (test) => {
  const figures = await run(runs(2_000, 200_000));
  if (figures === null) return test.skip('see the reason above');
  expect(figures).toMatchObject({ requests: expect.any(Number) });
  publish('soak', figures);
}, 7_200_000);
