/** kill -9 with the key of the vault where it is in use: under a passphrase, and in a real keychain. */
import { describe, expect, it } from 'vitest';
import { keyringObstacle, startKeyring } from '../support/keyring.ts';
import { publish, replayable, runs, scale } from './campaign.ts';
import { SCENES } from './kill-scenes.ts';
import { drawPlans, Lane, newTally, rehearsals } from './kill.ts';
import type { KeyPlace } from './rig.ts';
import { useStage } from './stage.ts';

replayable('vaults');

const RUNS = runs(1, 60);
const PLAYED = scale(['first sign-in', 'refresh'], SCENES.map(({ name }) => name));
const figures: Record<string, string> = {};

const stage = useStage();
async function play(name: string, key: KeyPlace): Promise<void> {
  const tally = newTally();
  const lane = new Lane(stage.build, stage.person, tally, undefined, key);
  try {
    for (const plan of rehearsals(PLAYED)) await lane.play(plan);
    for (const plan of drawPlans(RUNS, tally, PLAYED)) await lane.play(plan);
    await lane.close();
  } catch (cause) {
    await lane.drop();
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  expect(tally).toMatchObject({ reuses: 0, alarms: 0 });
  expect(tally.kills).toBeGreaterThan(0);
  figures[name] = `${tally.kills} kills, ${tally.lostAnswers} answers lost, ${tally.unsentIntents} intents not sent, ${tally.signInsNeeded} sign-ins`;
  publish('vaults', figures);
}

describe('other places of the key', () => {
  it(`[TK-04] a passphrase, ${RUNS} kills`, () => play('passphrase', 'passphrase'), 60_000 + RUNS * 10_000);

  const obstacle = keyringObstacle();
  if (obstacle !== null) console.warn(`not run: ${obstacle}`);
  it.skipIf(obstacle !== null)(`[TK-04] the keychain, ${RUNS} kills`, async () => {
    const keyring = await startKeyring();
    try {
      await play('keychain', { bus: keyring.env['DBUS_SESSION_BUS_ADDRESS'] ?? '' });
    } finally {
      await keyring.stop();
    }
  }, 60_000 + RUNS * 10_000);
});
