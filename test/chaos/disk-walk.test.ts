import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { run } from './disk-walk.ts';

it('[TK-04] never uses a refresh token twice on any walk over a disk and an issuer that fail', async (test) => {
  const figures = await run({ seed: seedOf(), size: sizeOf(25), report: (line) => console.log(line) });
  if (figures === null) return test.skip('see the reason above');
  expect(figures['secondUses']).toBe(0);
}, 7_200_000);
