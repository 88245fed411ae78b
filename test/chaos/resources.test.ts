/** Descriptors that run out, and a keychain that freezes. */
import { expect, it } from 'vitest';
import { publish, replayable, runs } from './campaign.ts';
import { runDescriptors, runKeychain } from './resources.ts';

replayable('resources');

it.concurrent('goes on, and loses no refresh, when callers take all its descriptors', async (test) => {
  const figures = await runDescriptors(runs(1, 20));
  if (figures === null) return test.skip('see the reason above');
  expect(figures['rounds']).toBeGreaterThan(0);
  publish('descriptors', figures);
}, 1_800_000);

it.concurrent('[ST-01] says that the keychain is frozen, serves what is in memory, ends when told, and is well when it goes on', async (test) => {
  const figures = await runKeychain(runs(1, 6));
  if (figures === null) return test.skip('see the reason above');
  expect(figures['freezes']).toBeGreaterThan(0);
  publish('keychain', figures);
}, 1_800_000);
