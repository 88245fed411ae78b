import { expect, it } from 'vitest';
import { seedOf, sizeOf } from '../support/disk-run.ts';
import { runDescriptors, runKeychain } from './resources.ts';

const options = { seed: seedOf(), size: sizeOf(1), report: (line: string) => console.log(line) };

it('goes on, and loses no refresh, when callers take all its descriptors', async (test) => {
  const figures = await runDescriptors(options);
  if (figures === null) return test.skip('see the reason above');
  expect(figures['rounds']).toBeGreaterThan(0);
}, 600_000);

it('[ST-01] says that the keychain is frozen, serves what is in memory, ends when told, and is well when it goes on', async (test) => {
  const figures = await runKeychain(options);
  if (figures === null) return test.skip('see the reason above');
  expect(figures['freezes']).toBeGreaterThan(0);
}, 600_000);
