import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { run } from './disk-calls.ts';

it('[TK-04] loses nothing untold and uses no token twice when any one call to the disk fails', async (test) => {
  const figures = await run({ seed: seedOf(), size: sizeOf(8), report: (line) => console.log(line) });
  if (figures === null) return test.skip('see the reason above');
  expect(figures['struck']).toBeGreaterThan(0);
}, 7_200_000);
