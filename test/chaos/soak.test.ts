import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { run } from './soak.ts';

it('stays flat in memory and leaves no descriptor, thread, child or timer after callers of every kind', async (test) => {
  if (process.platform !== 'linux') return test.skip('what a process holds is read from /proc, on Linux');
  const figures = await run({ seed: seedOf(), size: sizeOf(5_000), report: (line) => console.log(line) });
  expect(figures).toMatchObject({ requests: expect.any(Number) });
}, 7_200_000);
