import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { run } from './soak.ts';

it('stays flat in memory and leaves no descriptor, thread, child or timer after callers of every kind', async (test) => {
  const figures = await run({ seed: seedOf(), size: sizeOf(5_000), report: (line) => console.log(line) });
  if (figures === null) return test.skip('see the reason above');
  expect(figures).toMatchObject({ requests: expect.any(Number) });
}, 7_200_000);
