import { describe, expect, it } from 'vitest';
import { pollDeviceFlow, startDeviceFlow } from '../../../../daemon/flows/device-code.ts';
import { nextPauseS } from '../../../../daemon/flows/device-schedule.ts';
import { isTrustedVerificationUri } from '../../../../daemon/flows/verification-host.ts';
import { Consent } from '../../../../daemon/flows/consent.ts';
import { StartLimit } from '../../../../daemon/flows/start-limit.ts';
import type { PollOutcome } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { BrokerError } from '../../../../daemon/core/errors.ts';
import { someCaller, someOrigin, someProfile, someServer, someTraits, T0 } from '../../../support/builders.ts';
import { FakeIssuer, fakeRandom, refusal, tokenSet } from '../../../support/fakes.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const pending: PollOutcome = { kind: 'pending', slowDown: false };
const slow: PollOutcome = { kind: 'pending', slowDown: true };
const timedOut: PollOutcome = { kind: 'transient', answerLost: true, retryAfterMs: null, cause: 'timeout', reach: 'network', timedOut: true };
const done: PollOutcome = { kind: 'tokens', tokens: tokenSet(1) };

function rig(answers: readonly PollOutcome[]) {
  const clock = new FakeClock(T0);
  const issuer = new FakeIssuer();
  issuer.pollClock = () => clock.boottimeMs();
  issuer.onPoll = async (n) => answers[n - 1] ?? pending;
  const profile = someProfile();
  const client = { server: someServer(), clientId: 'client-EXAMPLE', clientAuth: 'none' as const, clientSecret: null, connection: profile };
  const flow = { issuer, clock, profile, client, want: { scopes: profile.scopes, resource: null }, discard: async () => undefined };
  const abort = new AbortController();
  const start = clock.boottimeMs();
  const run = async () => pollDeviceFlow(flow, await startDeviceFlow(flow), abort.signal);
  const gaps = () => issuer.polls.map((at, i) => (at - (issuer.polls[i - 1] ?? start)) / 1000);
  return { clock, issuer, flow, abort, run, gaps };
}

describe('device polling', () => {
  it('[DG-01] waits at least the interval before each poll', async () => {
    const { run, clock, gaps } = rig([pending, pending, done]);
    const result = run();
    await clock.advance(20_000);
    await result;
    expect(gaps()).toEqual([5, 5, 5]);
  });

  it('[DG-02] slow_down adds five seconds for this and all later polls', async () => {
    const { run, clock, gaps } = rig([pending, slow, slow, pending, done]);
    const result = run();
    await clock.advance(60_000);
    await result;
    expect(gaps()).toEqual([5, 5, 10, 15, 15]);
  });

  it('[DG-03] a time-out doubles the pause, up to a minute, and does not end the flow', async () => {
    const { run, clock, gaps } = rig([timedOut, timedOut, timedOut, timedOut, timedOut, done]);
    const result = run();
    await clock.advance(300_000);
    await result;
    expect(gaps()).toEqual([5, 10, 20, 40, 60, 60]);
  });

  it('honours Retry-After where it is longer', () => {
    expect(nextPauseS(5, { ...timedOut, kind: 'transient', retryAfterMs: 90_000, answerLost: false, cause: 'http_503', reach: 'server', timedOut: false })).toBe(90);
  });

  it('[DG-04] stops at once when told to, in the middle of a pause', async () => {
    const { run, clock, issuer, abort } = rig([]);
    const result = run();
    await clock.advance(7_000);
    abort.abort(new Error('cancelled'));
    await expect(result).rejects.toThrow('cancelled');
    await clock.advance(3_600_000);
    expect(issuer.polls).toHaveLength(1);
    expect(clock.sleepers).toBe(0);
  });

  it.each(['access_denied', 'expired_token', 'invalid_grant', 'invalid_client', 'something_new'])('[DG-04] stops at %s', async (oauthError) => {
    const { run, clock, issuer } = rig([pending, refusal(oauthError)]);
    const result = run();
    const ended = expect(result).rejects.toMatchObject({ code: { access_denied: 'access_denied', expired_token: 'flow_timeout' }[oauthError] ?? 'issuer_refused' });
    await clock.advance(3_600_000);
    await ended;
    expect(issuer.polls).toHaveLength(2);
  });

  it('[DG-04] asks no more after the code is over by the wall clock, as after a suspend that timers slept through', async () => {
    const { run, clock, issuer } = rig([]);
    const ended = expect(run()).rejects.toMatchObject({ code: 'flow_timeout' });
    await clock.advance(6_000);
    clock.jump(3_600_000);
    await clock.advance(10_000);
    await ended;
    expect(issuer.polls).toHaveLength(1);
  });
});

describe('[DG-06] the device page', () => {
  const profile = someProfile({ traits: someTraits({ deviceVerificationHosts: ['www.issuer-pages.example'] }) });
  it.each([
    ['https://issuer.example/device', true],
    ['https://www.issuer-pages.example/device', true],
    ['https://login.evil.example/device', false],
    ['https://issuer.example.evil.example/', false],
    ['https://issuer.example:8443/device', false],
    ['http://issuer.example/device', false],
    ['https://user@issuer.example/device', false],
    ['javascript:alert(1)', false],
    ['not a url', false],
  ])('%s: %s', (uri, trusted) => {
    expect(isTrustedVerificationUri(uri, profile)).toBe(trusted);
  });
  it('elsewhere ends the flow before any code is shown', async () => {
    const { run, issuer } = rig([]);
    issuer.startDevice = async () => ({
      kind: 'device', deviceCode: new Secret('device-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE'), userCode: 'ABCD-EFGH', verificationUri: 'https://login.evil.example',
      verificationUriComplete: null, expiresInS: 600, intervalS: 5,
    });
    await expect(run()).rejects.toMatchObject({ code: 'verification_host_untrusted' });
    expect(issuer.polls).toEqual([]);
  });
});

describe('consent at the terminal', () => {
  const rigConsent = () => {
    const clock = new FakeClock(T0);
    return { clock, consent: new Consent({ clock, random: { token: (n) => 'kWvBxQzRtPsDfGhJkLmNpQrS'.repeat(3).slice(0, n), fraction: fakeRandom().fraction } }) };
  };
  const challengeOf = (error: BrokerError) => {
    const { challenge } = error.facts;
    if (challenge === undefined) throw new Error('no challenge');
    return { challenge: challenge.id, code: challenge.code };
  };
  it('[DG-08] is given by the asking process at its own terminal, once, within a minute', async () => {
    const { clock, consent } = rigConsent();
    const caller = someCaller();
    const ask = () => challengeOf(consent.demand('key', caller, someProfile(), ['api'], 'laptop'));
    expect(consent.isGiven(ask(), 'key', caller)).toBe(true);
    const used = ask();
    expect(consent.isGiven(used, 'key', caller)).toBe(true);
    expect(consent.isGiven(used, 'key', caller)).toBe(false);
    expect(consent.isGiven({ ...ask(), code: 'nope' }, 'key', caller)).toBe(false);
    expect(consent.isGiven(ask(), 'other', caller)).toBe(false);
    expect(consent.isGiven(ask(), 'key', someCaller({ pid: 1 }))).toBe(false);
    expect(consent.isGiven(ask(), 'key', someCaller({ startTime: '101' }))).toBe(false);
    expect(consent.isGiven(ask(), 'key', someCaller({ terminal: { device: 1, foreground: true } }))).toBe(false);
    expect(consent.isGiven(ask(), 'key', someCaller({ terminal: { device: 34816, foreground: false } }))).toBe(false);
    const late = ask();
    await clock.advance(60_001);
    expect(consent.isGiven(late, 'key', caller)).toBe(false);
  });
  it.each([
    ['an agent has', { agent: 'claude-code', class: 'agent' as const }, 'that claude-code has started'],
    ['is in a container', { container: true }, 'runs in a container'],
    ['is on another machine', { forwarded: true }, 'is on another machine'],
  ])('[DG-08] is not given at the terminal that %s', (_what, origin, why) => {
    const { consent } = rigConsent();
    const given = challengeOf(consent.demand('key', someCaller(), someProfile(), [], 'laptop'));
    const caller = someCaller({ origin: someOrigin(origin) });
    const refused = consent.demand('key', caller, someProfile(), [], 'laptop');
    expect([refused.message, refused.facts.challenge]).toEqual([expect.stringContaining(why) as string, undefined]);
    expect(consent.isGiven(given, 'key', caller)).toBe(false);
  });

  it('gets no challenge without a terminal in the foreground', () => {
    const { consent } = rigConsent();
    expect(consent.demand('key', someCaller({ terminal: null }), someProfile(), [], 'laptop').facts.challenge).toBeUndefined();
  });
});

describe('how often a sign-in may be started', () => {
  it('[DG-08] three device logins in ten minutes, for one issuer, client and resource', async () => {
    const clock = new FakeClock(T0);
    const starts = new StartLimit(clock);
    for (let i = 0; i < 3; i += 1) starts.count(someProfile(), 'device_code');
    expect(() => starts.count(someProfile(), 'device_code')).toThrow(/within ten minutes/);
    starts.count(someProfile({ issuer: 'https://other.example' }), 'device_code');
    starts.count(someProfile(), 'authorization_code');
    await clock.advance(600_001);
    starts.count(someProfile(), 'device_code');
  });
  it('and a loop of browser logins ends too', () => {
    const starts = new StartLimit(new FakeClock(T0));
    expect(() => { for (let i = 0; i < 1_000; i += 1) starts.count(someProfile(), 'authorization_code'); }).toThrow(/within ten minutes/);
  });
});
