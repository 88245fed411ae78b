import { afterEach, describe, expect, it } from 'vitest';
import type { Grant, Profile } from '../../../../daemon/core/domain.ts';
import type { IssuerOutcome, Transient } from '../../../../daemon/core/ports.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, someGrant, someProfile, someServer, someToken, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { settle } from '../../../support/fake-clock.ts';
import { refusal, tokenSet } from '../../../support/fakes.ts';

const expired = someToken({ expiresAt: (T0 + 1_000) as EpochMs });
const profile = (name: string, issuer = 'https://issuer.example'): Profile => someProfile({ name: profileName(name), issuer });
const stale = (name: string, issuer = 'https://issuer.example'): Grant => someGrant({
  profile: profileName(name), issuer, server: someServer({ issuer }), rotates: true,
  state: { kind: 'active', refreshToken: new Secret(`rt-${name}-EXAMPLE`), tokens: [expired] },
});
const failing = (over: Partial<Transient>): Transient => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false, ...over });
const good: IssuerOutcome = { kind: 'tokens', tokens: tokenSet(2) };
const [a, b, elsewhere] = [profile('a'), profile('b'), profile('c', 'https://other.example')];

let engine: EngineRig | null = null;
const rig = async (): Promise<EngineRig> => (engine = await engineRig([stale('a'), stale('b'), stale('c', 'https://other.example')], [a, b, elsewhere]));
afterEach(() => engine?.stop.abort());

describe('an issuer that cannot be reached', () => {
  it('is knocked at once for all its grants, and no other issuer is held back', async () => {
    const { get, issuer } = await rig();
    issuer.onRefresh = async () => (issuer.refreshes.at(-1)?.includes('-c-') === true ? good : failing({}));
    await expect(get(a)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    for (let i = 0; i < 1_000; i += 1) await expect(get(b)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toEqual(['rt-a-EXAMPLE']);
    expect(await get(elsewhere)).toMatchObject({ source: 'refresh' });
  });

  it('is said to have been so since when, and when it makes sense to ask again', async () => {
    const { get, issuer, clock, circuits } = await rig();
    issuer.onRefresh = async () => failing({ cause: 'dns' });
    issuer.onProbe = async () => failing({ cause: 'dns' });
    await expect(get(a)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    await clock.advance(3_600_000);
    await expect(get(a)).rejects.toMatchObject({
      message: 'https://issuer.example has not been reached since 2026-11-23T00:00:00Z (dns); the next try waits', facts: { sinceMs: T0, retryAfterS: 1 },
    });
    expect(circuits.outages()).toMatchObject([{ issuer: 'https://issuer.example', since: T0, cause: 'dns' }]);
  });

  it('is looked for by a probe without a secret, once for five hundred callers, and the refresh token stays at home', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({});
    issuer.onProbe = async () => failing({});
    await expect(get(a)).rejects.toThrow();
    for (let minute = 0; minute < 10; minute += 1) {
      await clock.advance(60_000);
      const asked = await Promise.allSettled(Array.from({ length: 500 }, (_, i) => get(i % 2 === 0 ? a : b)));
      expect(asked.every(({ status }) => status === 'rejected')).toBe(true);
    }
    expect(issuer.probes).toBe(10);
    expect(issuer.refreshes).toHaveLength(1);
  });

  it('serves again within 5 s of the network\'s return, however long it was gone, and callers who wait for the probe get a token', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({});
    issuer.onProbe = async () => failing({});
    await expect(get(a)).rejects.toThrow();
    // Somebody asks every 100 ms for an hour.
    for (let i = 0; i < 36_000; i += 1) {
      await clock.advance(100);
      if (i % 40 === 0) await expect(get(a)).rejects.toThrow();
    }
    issuer.onProbe = async () => ({ kind: 'reached' });
    issuer.onRefresh = async () => good;
    let back: unknown = null;
    for (let i = 0; i < 50 && back === null; i += 1) {
      back = await get(a).catch(() => null);
      await clock.advance(100);
    }
    expect(back).toMatchObject({ source: 'refresh' });
    expect(await get(b)).toMatchObject({ source: 'refresh' });
  }, 60_000);

  it('pauses no longer after a probe that hung for 5 s: that was the pause', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({});
    issuer.onProbe = async () => {
      await clock.sleep(5_000, new AbortController().signal);
      return failing({ cause: 'timeout', timedOut: true });
    };
    // Somebody asks every 50 ms; the network returns just after a probe has begun.
    let back: unknown = null;
    const ask = async (): Promise<void> => {
      void get(a).then((served) => { back ??= served; }, () => undefined);
      await clock.advance(50);
    };
    while (issuer.probes < 10) await ask();
    issuer.onProbe = async () => ({ kind: 'reached' });
    issuer.onRefresh = async () => good;
    for (let i = 0; i < 108 && back === null; i += 1) await ask();
    expect(back).toMatchObject({ source: 'refresh' });
  });

  it('is not held back for long by the error with which it returns', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({});
    issuer.onProbe = async () => failing({});
    for (let i = 0; i < 30; i += 1) {
      await expect(get(a)).rejects.toThrow();
      await clock.advance(4_000);
    }
    issuer.onProbe = async () => failing({ reach: 'server', cause: 'http_503' });
    await expect(get(a)).rejects.toMatchObject({ message: expect.stringContaining('http_503') });
    issuer.onProbe = async () => ({ kind: 'reached' });
    issuer.onRefresh = async () => good;
    await clock.advance(2_000);
    expect(await get(a)).toMatchObject({ source: 'refresh' });
  });

  it('is probed at once when the machine wakes up', async () => {
    const { get, issuer, circuits } = await rig();
    issuer.onRefresh = async () => failing({});
    await expect(get(a)).rejects.toThrow();
    issuer.onRefresh = async () => good;
    circuits.wake();
    expect(await get(a)).toMatchObject({ source: 'refresh' });
  });

  it('takes the sign-in of one grant with a lost answer, and not those of the others', async () => {
    const { get, issuer } = await rig();
    issuer.onRefresh = async () => failing({ answerLost: true, cause: 'timeout', timedOut: true });
    issuer.onProbe = async () => failing({ cause: 'timeout' });
    await expect(get(a)).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
    await expect(get(b)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toEqual(['rt-a-EXAMPLE']);
  });

  it('that answers a probe and no refresh takes one sign-in in ten seconds, once it is known for it', async () => {
    const many = Array.from({ length: 60 }, (_, n) => profile(`many-${n}`));
    engine = await engineRig(many.map(({ name }) => stale(name)), many);
    const { get, issuer, clock } = engine;
    issuer.onProbe = async () => ({ kind: 'reached' });
    issuer.onRefresh = () => new Promise(() => undefined); // it hangs at the token endpoint alone
    const told: Promise<unknown>[] = [];
    const sentAfter: number[] = [];
    for (const each of many) {
      told.push(get(each).catch((cause: unknown) => cause));
      await settle();
      sentAfter.push(issuer.refreshes.length);
      await clock.advance(1_000);
    }
    // Until then nobody knew, but that nothing was answered.
    expect(sentAfter[9]).toBe(2);
    expect((sentAfter.at(-1) ?? 0) - 2).toBeLessThanOrEqual(50 / 9.5);
    expect((sentAfter.at(-1) ?? 0) - 2).toBeGreaterThan(2);
    await clock.advance(10_000);
    for (const each of await Promise.all(told)) expect(each).toMatchObject({ code: 'issuer_unreachable' });
  });

  it('that lost one answer is tried by one refresh, and is well again when that is answered', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({ answerLost: true, cause: 'reset' });
    issuer.onProbe = async () => ({ kind: 'reached' });
    await expect(get(a)).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
    await clock.advance(5_000);
    issuer.onRefresh = async () => good;
    expect(await get(b)).toMatchObject({ source: 'refresh' });
    expect(engine?.circuits.outages()).toEqual([]);
  });

  it('that a logout overtook during the probe is sent nothing', async () => {
    const { get, issuer, clock, book } = await rig();
    issuer.onRefresh = async () => failing({});
    await expect(get(a)).rejects.toThrow();
    await clock.advance(10_000);
    let reached: () => void = () => undefined;
    issuer.onProbe = () => new Promise((resolve) => { reached = () => resolve({ kind: 'reached' }); });
    const waiting = expect(get(a)).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'signed_out' } });
    await settle();
    await book.take(profileName('a'), async () => undefined);
    reached();
    await waiting;
    expect(issuer.refreshes).toHaveLength(1);
  });
});

describe('an issuer that answers with errors', () => {
  it('holds back its other grants only when it does so again and again, and then one refresh at a time tries', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => failing({ reach: 'server', cause: 'http_503' });
    await expect(get(a)).rejects.toMatchObject({ facts: { hint: expect.stringContaining('The issuer is ill') } });
    await expect(get(b)).rejects.toThrow();
    expect(issuer.refreshes).toHaveLength(2);
    await clock.advance(1_000);
    await expect(get(a)).rejects.toThrow();
    await expect(get(b)).rejects.toMatchObject({ message: expect.stringContaining('has answered with errors since'), facts: { hint: expect.stringContaining('The issuer is ill') } });
    expect(issuer.refreshes).toHaveLength(3);
    await clock.advance(40_000);
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const trial = get(a);
    await settle();
    await expect(get(b)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toHaveLength(4);
    answer(good);
    expect(await trial).toMatchObject({ source: 'refresh' });
    issuer.onRefresh = async () => good;
    expect(await get(b)).toMatchObject({ source: 'refresh' });
  });

  it('says 429 to one grant and not to all of them', async () => {
    const { get, issuer, clock } = await rig();
    issuer.onRefresh = async () => (issuer.refreshes.at(-1)?.includes('-a-') === true ? failing({ reach: 'server', cause: 'http_429', retryAfterMs: 60_000 }) : good);
    for (let i = 0; i < 5; i += 1) {
      await expect(get(a)).rejects.toMatchObject({ facts: { retryAfterS: expect.any(Number) } });
      await clock.advance(1_000);
    }
    expect(await get(b)).toMatchObject({ source: 'refresh' });
    expect(issuer.refreshes.filter((sent) => sent.includes('-a-'))).toHaveLength(1);
  });

  it('has answered where it refuses one grant', async () => {
    const { get, issuer, circuits } = await rig();
    issuer.onRefresh = async () => refusal('invalid_grant');
    await expect(get(a)).rejects.toMatchObject({ code: 'login_required' });
    expect(circuits.outages()).toEqual([]);
  });
});

describe('an issuer that hangs', () => {
  it('is named to whoever waits after 10 s, and its answer is kept though it comes much later', async () => {
    const { get, issuer, clock, book, source } = await rig();
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const waiting = expect(get(a)).rejects.toMatchObject({ code: 'issuer_unreachable', message: expect.stringContaining('did not answer') });
    await settle();
    await clock.advance(10_000);
    await waiting;
    // Who comes later is not kept waiting either, and nothing more is sent.
    await expect(get(a)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    issuer.onProbe = async () => failing({ cause: 'timeout' });
    await expect(get(b)).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toEqual(['rt-a-EXAMPLE']);
    await clock.advance(35_000);
    answer(good);
    await source.settle(new BrokerError('shutting_down', 'the test is over'));
    expect(book.get(profileName('a'))?.generation).toBe(2);
    expect(await get(a)).toMatchObject({ source: 'cache' });
    issuer.onRefresh = async () => good;
    expect(await get(b)).toMatchObject({ source: 'refresh' });
  });

  it('leaves no timer behind when it answers after all', async () => {
    const { get, issuer, clock } = await rig();
    const before = clock.sleepers;
    issuer.onRefresh = async () => good;
    await get(a);
    await settle();
    expect(clock.sleepers).toBe(before);
  });
});
