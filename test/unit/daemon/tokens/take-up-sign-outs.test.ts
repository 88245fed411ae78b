import { describe, expect, it } from 'vitest';
import { takeUpSignOuts } from '../../../../daemon/tokens/take-up-sign-outs.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { profileName, someGrant, someProfile, someToken } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { settle } from '../../../support/fake-clock.ts';

const [WORK, HOME] = [profileName('work'), profileName('home')];
const PROFILES = [someProfile({ name: WORK }), someProfile({ name: HOME })];
const work = someGrant({ profile: WORK });
const home = someGrant({ profile: HOME, state: { kind: 'active', refreshToken: new Secret('rt-home-EXAMPLE'), tokens: [someToken({ value: new Secret('at-home-EXAMPLE') })] } });

/** What is on the disk when the next daemon reads it. */
async function after(kept: readonly ('refresh_token' | 'access_token')[]): Promise<EngineRig> {
  const crashed = await engineRig([work, home], PROFILES);
  const tombstones = await crashed.revocations.prepare(work, PROFILES[0] ?? null);
  const next = await engineRig([work, home], PROFILES);
  for (const tombstone of tombstones) if (kept.includes(tombstone.tokenKind)) await next.vault.saveRevocation(tombstone);
  return next;
}
const takeUp = (rig: EngineRig): Promise<void> => takeUpSignOuts({ ...rig, config: { current: () => ({ profiles: new Map(PROFILES.map((each) => [each.name, each])) }) as never } });

describe('[RV-01] a sign-out that a crash cut short', () => {
  it.each([['with all its tombstones', ['refresh_token', 'access_token']], ['with the first of them', ['refresh_token']], ['with the last alone', ['access_token']]] as const)('%s is brought to its end: nothing is given out, and all its tokens die', async (_, kept) => {
    const rig = await after(kept);
    await takeUp(rig);
    expect(rig.book.get(WORK)).toBeNull();
    expect(rig.vault.stored.has(WORK)).toBe(false);
    await settle();
    expect(new Set(rig.issuer.revoked)).toEqual(new Set(['rt-1-EXAMPLE', 'at-1-EXAMPLE']));
    expect(rig.revocations.count).toBe(0);
    expect(rig.book.get(HOME)).not.toBeNull();
  });

  it('gives nothing out either while the issuer does not hear of it', async () => {
    const rig = await after(['refresh_token', 'access_token']);
    rig.issuer.onRevoke = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'server', cause: 'http_503', timedOut: false });
    await takeUp(rig);
    expect(rig.book.get(WORK)).toBeNull();
    expect(rig.revocations.pendingOf(WORK)).toBeGreaterThan(0);
  });

  it('is none where the tokens that have to die are others', async () => {
    const rig = await engineRig([work, home], PROFILES);
    await rig.revocations.seal(await rig.revocations.prepare(someGrant({ profile: WORK, state: { kind: 'active', refreshToken: new Secret('rt-other-EXAMPLE'), tokens: [] } }), null));
    await takeUp(rig);
    expect(rig.book.get(WORK)).not.toBeNull();
    expect(rig.book.get(HOME)).not.toBeNull();
  });
});
