import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { run } from './disk-scenes.ts';

it('[TK-04] serves what it has, says what is wrong and loses nothing when its disk is full, read-only or gone', async (test) => {
  const figures = await run({ seed: seedOf(), size: sizeOf(9), report: (line) => console.log(line) });
  if (figures === null) return test.skip('see the reason above');
  expect(figures['scenes']).toBeGreaterThan(0);
}, 600_000);
