import { describe, expect, it } from 'vitest';
import type { Profile } from '../../../../daemon/core/domain.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { someGrant, someProfile, someToken, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import { settle } from '../../../support/fake-clock.ts';

const HOUR = 3_600_000;
const grantOf = (flow: 'device_code' | 'authorization_code') => someGrant({
  flow, state: { kind: 'active', refreshToken: new Secret('rt-1-EXAMPLE'), tokens: [someToken({ expiresAt: (T0 + 600_000) as EpochMs })] },
});
const rig = (flow: 'device_code' | 'authorization_code', over: Partial<Profile> = {}) => {
  const profile = someProfile(over);
  return engineRig([grantOf(flow)], [profile]).then((engine) => ({ ...engine, profile }));
};

describe('[DG-10] a device sign-in', () => {
  it('ends after eight hours without use, and its refresh token is not sent any more', async () => {
    const { clock, issuer, get, profile } = await rig('device_code');
    for (let n = 0; n < 3; n += 1) {
      await clock.advance(7 * HOUR);
      expect(await get(profile)).toMatchObject({ source: 'refresh' });
    }
    const sent = issuer.refreshes.length;
    await clock.advance(8 * HOUR + 1_000);
    await expect(get(profile)).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'session_limit' } });
    expect(issuer.refreshes.length).toBe(sent);
  });

  it('is not kept alive by anything else: neither by keep_alive_s nor by a token that lives longer', async () => {
    const { clock, issuer, ahead, get, profile } = await rig('device_code', { keepAliveS: 86_400 });
    issuer.onRefresh = async () => { throw new Error('nobody asked'); };
    void ahead.run();
    await settle();
    await clock.advance(8 * HOUR + 1_000);
    expect(issuer.refreshes).toEqual([]);
    await expect(get(profile)).rejects.toMatchObject({ facts: { reason: 'session_limit' } });
    const long = await engineRig([someGrant({ flow: 'device_code', state: { kind: 'active', refreshToken: null, tokens: [someToken({ expiresAt: (T0 + 24 * HOUR) as EpochMs })] } })], [someProfile()]);
    expect(await long.get(someProfile())).toMatchObject({ source: 'cache' });
    await long.clock.advance(8 * HOUR + 1_000);
    await expect(long.get(someProfile())).rejects.toMatchObject({ facts: { reason: 'session_limit' } });
  });

  it('counts the use by callers, and no refresh that nobody asked for', async () => {
    const { clock, issuer, ahead, get, profile } = await rig('device_code', { keepAliveS: 86_400 });
    void ahead.run();
    expect(await get(profile)).toMatchObject({ source: 'cache' });
    for (let passed = 0; passed < 8 * HOUR; passed += 30_000) await clock.advance(30_000);
    const sent = issuer.refreshes.length;
    expect(sent).toBeGreaterThan(10);
    for (let passed = 0; passed < 2 * HOUR; passed += 30_000) await clock.advance(30_000);
    expect(issuer.refreshes.length).toBeLessThan(sent + 2);
    await expect(get(profile)).rejects.toMatchObject({ facts: { reason: 'session_limit' } });
  });

  it('serves no profile that is for PKCE alone, not from the cache either', async () => {
    const { get, source, profile } = await rig('device_code', { flow: 'pkce' });
    await expect(get(profile)).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'flow' } });
    expect(source.cached(profile, { scopes: null, resource: null, minTtlMs: 0, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null })).toBeNull();
  });

  it('while one with a browser goes on (control)', async () => {
    const { clock, get, profile } = await rig('authorization_code', { flow: 'pkce' });
    expect(await get(profile)).toMatchObject({ source: 'cache' });
    await clock.advance(9 * HOUR);
    expect(await get(profile)).toMatchObject({ source: 'refresh' });
  });
});
