import { afterEach, describe, expect, it } from 'vitest';
import type { Grant, Profile } from '../../../../daemon/core/domain.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, someGrant, someProfile, someToken, someTraits, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { tokenSet } from '../../../support/fakes.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const work = (over: Partial<Profile> = {}): Profile => someProfile(over);
/** A token of one hour that has just come. */
const fresh = (name = 'work'): Grant => someGrant({
  profile: profileName(name),
  state: { kind: 'active', refreshToken: new Secret(`rt-${name}-EXAMPLE`), tokens: [someToken({ expiresAt: (T0 + HOUR) as EpochMs, life: { bootId: 'boot-1', fromMs: 1_000_000, untilMs: 1_000_000 + HOUR } })] },
});

let engine: EngineRig | null = null;
async function rig(grants: readonly Grant[], profiles: readonly Profile[], fractions?: readonly number[]): Promise<EngineRig> {
  engine = await engineRig(grants, profiles, fractions);
  engine.issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: 3_600 }) });
  void engine.ahead.run();
  return engine;
}
afterEach(() => engine?.stop.abort());

/** Somebody asks every so often. */
async function use({ get, clock }: EngineRig, profile: Profile, { every, during }: { every: number; during: number }): Promise<('cache' | 'refresh')[]> {
  const sources: ('cache' | 'refresh')[] = [];
  for (let at = 0; at < during; at += every) {
    sources.push((await get(profile)).source);
    await clock.advance(every);
  }
  return sources;
}

describe('refresh ahead of expiry', () => {
  it('comes at the preset\'s fraction of life while somebody asks, who never waits for it', async () => {
    const engine = await rig([fresh()], [work()]);
    // 0.8 of the hour, less half of the jitter.
    await use(engine, work(), { every: MINUTE, during: 44 * MINUTE });
    expect(engine.issuer.refreshes).toHaveLength(0);
    const sources = await use(engine, work(), { every: MINUTE, during: 5 * HOUR });
    expect(new Set(sources)).toEqual(new Set(['cache']));
    expect(engine.issuer.refreshes).toHaveLength(Math.floor((5 * HOUR + 44 * MINUTE) / (45 * MINUTE)));
  });

  it('does not come while nobody asks, over a night, nor does what is due count as use', async () => {
    const engine = await rig([fresh()], [work()]);
    await use(engine, work(), { every: MINUTE, during: 10 * MINUTE });
    await engine.clock.advance(12 * HOUR);
    expect(engine.issuer.refreshes).toHaveLength(0);
    await engine.get(work());
    await engine.clock.advance(30 * MINUTE); // used again, not within half of its life before it is due
    await engine.clock.advance(12 * HOUR);
    expect(engine.issuer.refreshes).toHaveLength(1);
  });

  it('comes at the next use where nobody used the token when it was due', async () => {
    const engine = await rig([fresh()], [work()]);
    await engine.get(work());
    await engine.clock.advance(55 * MINUTE);
    expect(engine.issuer.refreshes).toHaveLength(0);
    expect(await engine.get(work())).toMatchObject({ source: 'cache' });
    await engine.clock.advance(1_000);
    expect(engine.issuer.refreshes).toHaveLength(1);
  });

  it('of fifty grants of one morning is spread over a tenth of the life, and none comes twice', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `p${i}`);
    const profiles = names.map((name) => work({ name: profileName(name) }));
    const fractions = names.map((_, i) => i / 50);
    const engine = await rig(names.map(fresh), profiles, fractions);
    const at: number[] = [];
    const inner = engine.issuer.onRefresh;
    engine.issuer.onRefresh = async (n) => {
      at.push(engine.clock.now() - T0);
      return inner(n);
    };
    for (let minute = 0; minute < 49; minute += 1) {
      for (const profile of profiles) expect((await engine.get(profile)).source).toBe('cache');
      await engine.clock.advance(MINUTE);
    }
    expect(engine.issuer.refreshes).toHaveLength(50);
    expect(Math.min(...at)).toBeGreaterThanOrEqual(42 * MINUTE);
    expect(Math.max(...at) - Math.min(...at)).toBeGreaterThan(5 * MINUTE);
    const busiest = Math.max(...Array.from({ length: 60 }, (_, m) => at.filter((ms) => Math.floor(ms / MINUTE) === m).length));
    expect(busiest).toBeLessThan(15);
  });

  it('never comes while locked, and not for an issuer that ends the older token with the refresh', async () => {
    const locked = await rig([fresh()], [work()]);
    await locked.get(work());
    locked.gate.isLocked = true;
    await locked.clock.advance(2 * HOUR);
    expect(locked.issuer.refreshes).toHaveLength(0);
    locked.stop.abort();
    const lazy = work({ traits: someTraits({ refreshAt: 1 }) });
    const engine = await rig([fresh()], [lazy]);
    await use(engine, lazy, { every: MINUTE, during: 58 * MINUTE });
    expect(engine.issuer.refreshes).toHaveLength(0);
  });

  it('is tried again while the token still lives, and callers are served from it meanwhile', async () => {
    const engine = await rig([fresh()], [work()]);
    const well = engine.issuer.onRefresh;
    engine.issuer.onRefresh = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'dns', timedOut: false });
    engine.issuer.onProbe = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'dns', timedOut: false });
    await use(engine, work(), { every: MINUTE, during: 55 * MINUTE });
    expect(engine.issuer.refreshes).toHaveLength(1);
    engine.issuer.onRefresh = well;
    engine.issuer.onProbe = async () => ({ kind: 'reached' });
    expect(await engine.get(work())).toMatchObject({ source: 'cache' });
    await engine.clock.advance(20_000);
    expect(engine.issuer.refreshes).toHaveLength(2);
  });

  it('is over with the night that the machine slept through: one refresh when somebody asks', async () => {
    const engine = await rig([fresh()], [work()]);
    await use(engine, work(), { every: MINUTE, during: 20 * MINUTE });
    await engine.clock.suspend(9 * HOUR);
    await engine.clock.advance(5 * MINUTE);
    expect(engine.issuer.refreshes).toHaveLength(0);
    expect(await engine.get(work())).toMatchObject({ source: 'refresh' });
    expect(engine.issuer.refreshes).toHaveLength(1);
  });
});

describe('where nobody knows whether the older token lives on', () => {
  const unsure = (over: Partial<Profile> = {}): Profile => work({ traits: someTraits({ refreshAt: null }), ...over });

  it('comes late, a minute after the last use, also where that is when it is due', async () => {
    const engine = await rig([fresh()], [unsure()]);
    await use(engine, unsure(), { every: 5 * MINUTE, during: 50 * MINUTE });
    expect(engine.issuer.refreshes).toHaveLength(0);
    await engine.clock.advance(5 * MINUTE);
    // 0.95 of the hour, less half of the jitter: due since a minute.
    expect(engine.issuer.refreshes).toHaveLength(1);
    engine.stop.abort();
    const asked = await rig([fresh()], [unsure()]);
    await asked.clock.advance(56 * MINUTE);
    expect(await asked.get(unsure())).toMatchObject({ source: 'cache' });
    await asked.clock.advance(MINUTE - 1);
    expect(asked.issuer.refreshes).toHaveLength(0);
    await asked.clock.advance(1);
    expect(asked.issuer.refreshes).toHaveLength(1);
  });

  it('waits for those who hold another token of the same sign-in', async () => {
    const profile = work({ traits: someTraits({ refreshAt: null, resourceStyle: 'scope_prefix' }) });
    const held = fresh();
    if (held.state.kind !== 'active') throw new Error('it is active');
    const [token] = held.state.tokens;
    if (token === undefined) throw new Error('it has a token');
    const resource = 'https://api.example.com';
    const engine = await rig([{ ...held, state: { ...held.state, tokens: [token, { ...token, resource, byDefault: true }] } }], [profile]);
    await engine.clock.advance(40 * MINUTE);
    await engine.get(profile); // due in a quarter of an hour, and still in use then
    await engine.clock.advance(13 * MINUTE);
    await engine.get(profile, { resource });
    await engine.clock.advance(30_000);
    await engine.get(profile, { resource });
    await engine.clock.advance(MINUTE - 1);
    expect(engine.issuer.refreshes).toHaveLength(0);
    await engine.clock.advance(1);
    expect(engine.issuer.refreshes).toHaveLength(1);
  });

  it('[TK-10] does not let the sign-in end at an idle limit for it', async () => {
    const profile = unsure({ keepAliveS: 3_600 });
    const engine = await rig([{ ...fresh(), refreshTokenExpiresAt: (T0 + 15 * MINUTE) as EpochMs }], [profile]);
    await use(engine, profile, { every: 20_000, during: 14 * MINUTE });
    expect(engine.issuer.refreshes).toHaveLength(1);
  });
});

describe('keep_alive_s', () => {
  it('keeps an idle sign-in fresh until its limit, from the start of the daemon or the last use', async () => {
    const profile = work({ keepAliveS: 8 * 3_600 });
    const engine = await rig([fresh()], [profile]);
    await engine.clock.advance(8 * HOUR);
    const kept = engine.issuer.refreshes.length;
    expect(kept).toBeGreaterThanOrEqual(10);
    expect(await engine.get(profile)).toMatchObject({ source: 'cache' });
    await engine.clock.advance(20 * HOUR);
    const later = engine.issuer.refreshes.length - kept;
    expect(later).toBeGreaterThanOrEqual(10);
    expect(later).toBeLessThanOrEqual(12);
  });

  it('[TK-10] comes before the idle limit that the issuer names, though the access token lives longer', async () => {
    const profile = work({ keepAliveS: 4 * 3_600 });
    const engine = await rig([fresh()], [profile]);
    engine.issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: 3_600, refreshTokenExpiresInS: 900 }) });
    await engine.clock.advance(46 * MINUTE);
    expect(engine.issuer.refreshes).toHaveLength(1);
    await engine.clock.advance(HOUR);
    // Every 12 of 15 minutes.
    expect(engine.issuer.refreshes.length).toBeGreaterThanOrEqual(5);
  });
});
