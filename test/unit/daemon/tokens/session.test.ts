/** The limits of a person's session, by a clock that stands until it is told. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Grant, Profile } from '../../../../daemon/core/domain.ts';
import type { TokenBounds } from '../../../../daemon/core/grant.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { instantOf, momentOf } from '../../../../daemon/core/time.ts';
import { withAct } from '../../../../daemon/tokens/session.ts';
import { decodeGrant, encodeGrant } from '../../../../daemon/vault/records.ts';
import { instant, someGrant, someProfile, someToken, someTraits, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { tokenSet } from '../../../support/fakes.ts';

const S = 1_000;
const HOUR = 3_600 * S;
const DAY = 24 * HOUR;
const LIMIT = { code: 'login_required', facts: { reason: 'session_limit' } };
const NO_BOUNDS: TokenBounds = { rule: 'r', key: 'r', beyond: null, maxTokenLifeS: null, maxRemainingS: null, flows: null, maxAgeS: null, amr: [], maxSessionS: null, maxIdleS: null };
const fresh = (over: Partial<Grant> = {}): Grant => someGrant({ state: { kind: 'active', refreshToken: new Secret('rt-EXAMPLE'), tokens: [] }, ...over });

let engine: EngineRig | null = null;
async function rig(grant: Grant, profile: Profile): Promise<EngineRig> {
  engine = await engineRig([grant], [profile]);
  engine.issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: 300 }) });
  return engine;
}
afterEach(() => engine?.stop.abort());

describe('[SU-03] a session', () => {
  it.each([
    ['low', 'overall', 30 * DAY], ['normal', 'overall', 30 * DAY],
    ['high', 'inactive', HOUR], ['high', 'overall', DAY],
    ['privileged', 'inactive', 900 * S], ['privileged', 'overall', 12 * HOUR],
  ] as const)('of a %s profile has its %s limit: at the limit a refresh goes, a second later it is refused, though the refresh token is good', async (tier, kind, limitMs) => {
    const profile = someProfile({ tier });
    const { clock, issuer, source, book, get } = await rig(fresh(), profile);
    const act = () => source.amend(profile, (grant) => withAct(profile, grant, null, instantOf(clock)));
    // Where it is the overall limit that is looked at, somebody takes part now and then.
    const stepMs = kind === 'overall' && limitMs <= DAY ? 600 * S : limitMs;
    for (let at = 0; at < limitMs; at += stepMs) {
      await clock.advance(stepMs);
      if (stepMs < limitMs) await act();
    }
    expect(await get(profile, { minTtlMs: 0 })).toMatchObject({ source: 'refresh' });
    await clock.advance(S);
    // Neither the token that lies in the cache, nor another one.
    await expect(get(profile, { minTtlMs: 0 })).rejects.toMatchObject(LIMIT);
    await expect(get(profile, { notBeforeMs: clock.boottimeMs() })).rejects.toMatchObject(LIMIT);
    expect(source.cached(profile, { scopes: null, resource: null, minTtlMs: 0, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null })).toBeNull();
    expect(issuer.refreshes).toHaveLength(1);
    expect(book.get(profile.name)?.state).toMatchObject({ kind: 'active' });
    // No act opens what is over; a sign-in does, and both limits start anew.
    expect(await act()).toBeNull();
    await expect(get(profile)).rejects.toMatchObject(LIMIT);
    const moment = momentOf(instantOf(clock));
    await book.commit(fresh({ generation: book.nextGeneration(profile.name), session: { startedAt: moment, lastActAt: moment } }), null);
    await clock.advance(stepMs);
    expect(await get(profile, { minTtlMs: 0 })).toMatchObject({ source: 'refresh' });
  });

  it('[SU-04] is not kept open by refreshes ahead, nor by programs that take tokens', async () => {
    const profile = someProfile({ tier: 'high', keepAliveS: 86_400, traits: someTraits({ refreshAt: 0.5 }) });
    const { clock, issuer, ahead, get } = await rig(fresh({ state: { kind: 'active', refreshToken: new Secret('rt-EXAMPLE'), tokens: [someToken()] } }), profile);
    void ahead.run();
    for (let at = 0; at < HOUR; at += 60 * S) {
      await get(profile, { minTtlMs: 0 });
      await clock.advance(60 * S);
    }
    const sent = issuer.refreshes.length;
    expect(sent).toBeGreaterThan(10);
    await clock.advance(S);
    await expect(get(profile, { minTtlMs: 0 })).rejects.toMatchObject(LIMIT);
    await clock.advance(6 * HOUR);
    expect(issuer.refreshes).toHaveLength(sent);
  });

  it('is as short as a rule says, and no longer than the tier', async () => {
    const profile = someProfile({ tier: 'high' });
    const { clock, get } = await rig(fresh(), profile);
    await clock.advance(600 * S);
    await expect(get(profile, { bounds: { ...NO_BOUNDS, maxIdleS: 599 } })).rejects.toMatchObject(LIMIT);
    await expect(get(profile, { bounds: { ...NO_BOUNDS, maxSessionS: 599 } })).rejects.toMatchObject(LIMIT);
    expect(await get(profile, { bounds: { ...NO_BOUNDS, maxIdleS: 600, maxSessionS: 600 } })).toMatchObject({ source: 'refresh' });
    await clock.advance(HOUR);
    await expect(get(profile, { bounds: { ...NO_BOUNDS, maxIdleS: 999_999, maxSessionS: 999_999 } })).rejects.toMatchObject(LIMIT);
  });

  it('is the same after a restart, and one of an earlier build counts from its sign-in', async () => {
    const profile = someProfile({ tier: 'high' });
    const grant = fresh();
    const kept = decodeGrant(encodeGrant(grant));
    expect(kept?.session).toEqual(grant.session);
    const legacy = decodeGrant(Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(encodeGrant(grant)).toString()) as object, session: undefined })));
    expect(legacy?.session).toEqual({ startedAt: { at: T0, boot: null }, lastActAt: { at: T0, boot: null } });
    for (const stored of [kept, legacy]) {
      const { clock, get, stop } = await rig(stored ?? grant, profile);
      await clock.advance(HOUR + S);
      await expect(get(profile)).rejects.toMatchObject(LIMIT);
      stop.abort();
    }
  });

  it('is not made longer by setting the clock back, nor by a boot after which it says less', async () => {
    const profile = someProfile({ tier: 'high' });
    const { clock, get } = await rig(fresh(), profile);
    await clock.advance(HOUR + S);
    clock.jump(-2 * HOUR);
    await expect(get(profile)).rejects.toMatchObject(LIMIT);
    clock.bootId = 'boot-2';
    await expect(get(profile)).rejects.toMatchObject(LIMIT);
    clock.jump(HOUR);
    expect(clock.now() - T0).toBe(S);
    expect(await get(profile)).toMatchObject({ source: 'refresh' }); // all that is left is the time of day
  });

  it('has no limit where no person takes part', async () => {
    const profile = someProfile({ tier: 'privileged' });
    const { clock, get } = await rig(fresh({ session: null }), profile);
    await clock.advance(40 * DAY);
    expect(await get(profile)).toMatchObject({ source: 'refresh' });
  });

  it('keeps an act that comes while a refresh is on the wire, and the answer of the refresh', async () => {
    const profile = someProfile({ tier: 'high' });
    const { clock, source, issuer, book, get, vault } = await rig(fresh(), profile);
    let land: () => void = () => undefined;
    issuer.onRefresh = (n) => new Promise((resolve) => { land = () => resolve({ kind: 'tokens', tokens: tokenSet(n + 1) }); });
    const getting = get(profile);
    await expect.poll(() => issuer.refreshes.length).toBe(1);
    await clock.advance(S);
    const noted = source.amend(profile, (grant) => withAct(profile, grant, null, instantOf(clock)));
    land();
    expect((await getting).source).toBe('refresh');
    expect(await noted).toMatchObject({ generation: 3, session: { lastActAt: { at: T0 + S } } });
    expect(vault.stored.get(profile.name)?.grant).toMatchObject({ generation: 3, session: { lastActAt: { at: T0 + S } }, state: { tokens: [{}] } });
    expect(issuer.revoked).toEqual([]);
    expect(book.get(profile.name)?.generation).toBe(3);
  });

  it('leaves a grant alone whose refresh was not answered: its intent must stay', async () => {
    const profile = someProfile({ tier: 'high' });
    const { clock, source, book, vault } = await rig(fresh(), profile);
    book.markUnanswered(profile.name, instant());
    expect(await source.amend(profile, (grant) => withAct(profile, grant, null, instantOf(clock)))).toBeNull();
    expect(vault.steps).not.toContain('save');
    expect(book.unanswered(profile.name)).not.toBeNull();
  });
});
