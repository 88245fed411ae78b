/** Discovery that a sign-in does not wait for, and the probe that risks no token. */
import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { Profile } from '../../daemon/core/domain.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { boundMs } from '../support/bound.ts';
import { someServer, someTraits } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { clientOf, discovered, makeIssuer, profileAt, wantOf } from '../support/issuer-under-test.ts';
import type { UnderTest } from '../support/issuer-under-test.ts';
import { httpAnswer, startWireServer } from '../support/wire-server.ts';
import type { Serve, WireServer } from '../support/wire-server.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type World = UnderTest & { readonly shim: HostileIssuer; readonly profile: Profile; readonly asked: () => number };

async function start(): Promise<World> {
  const shim = await startHostileIssuer();
  const under = makeIssuer({ timeoutMs: 1_000 });
  closing.push(() => under.issuer.close(), () => shim.close());
  return { ...under, shim, profile: profileAt(shim.url), asked: () => shim.requestsTo('discovery').length };
}

const events = ({ log }: World): readonly string[] => log.lines.map(({ event }) => event);

describe('discovery', () => {
  it('is served for ten minutes as it is, and then for a day while a newer one is fetched', async () => {
    const world = await start();
    const { issuer, profile, clock, shim, asked } = world;
    const before = await discovered(issuer, profile);
    clock.aheadMs += 10 * MINUTE_MS - 5_000;
    expect(await discovered(issuer, profile)).toEqual(before);
    expect(asked()).toBe(1);
    clock.aheadMs += 10_000;
    shim.fault('discovery', faults.withMembers({ device_authorization_endpoint: undefined }));
    expect(await discovered(issuer, profile)).toEqual(before);
    await expect.poll(async () => (await discovered(issuer, profile)).deviceAuthorizationEndpoint).toBeNull();
    expect(asked()).toBe(2);
    clock.aheadMs += DAY_MS;
    shim.fault('discovery', faults.status(503));
    // Older than a day it is not served, whatever the issuer says.
    expect(await issuer.discover(profile)).toMatchObject({ kind: 'transient', cause: 'http_503' });
    expect(await discovered(issuer, profile)).toEqual(before);
    expect(asked()).toBe(4);
  });

  it('does not make a sign-in wait for an issuer that hangs, and asks it once at a time', async () => {
    const { issuer, profile, clock, shim, asked } = await start();
    await discovered(issuer, profile);
    clock.aheadMs += 20 * MINUTE_MS;
    shim.fault('discovery', faults.hang());
    const began = performance.now();
    for (let i = 0; i < 20; i += 1) await discovered(issuer, profile);
    expect(performance.now() - began).toBeLessThan(boundMs(900));
    await expect.poll(asked).toBe(2);
  });

  it.each<[string, Parameters<HostileIssuer['fault']>[1], string]>([
    ['cannot now', faults.status(503), 'http_503'],
    ['is a captive portal', faults.html(), 'metadata'],
    ['names another issuer', faults.withMembers({ issuer: 'https://evil.example' }), 'https://evil.example'],
  ])('keeps what it has, and says so, where the issuer %s', async (_name, fault, why) => {
    const world = await start();
    const { issuer, profile, clock, shim, log } = world;
    const before = await discovered(issuer, profile);
    clock.aheadMs += 20 * MINUTE_MS;
    shim.fault('discovery', fault, 3);
    expect(await discovered(issuer, profile)).toEqual(before);
    await expect.poll(() => events(world)).toContain('discovery_not_renewed');
    expect(JSON.stringify(log.lines.find(({ event }) => event === 'discovery_not_renewed')?.fields)).toContain(why);
    expect(await discovered(issuer, profile)).toEqual(before);
  });

  it('asks the issuer where a fresh answer is wanted, and keeps that one for the next', async () => {
    const { issuer, profile, shim, asked } = await start();
    await discovered(issuer, profile);
    shim.fault('discovery', faults.withMembers({ issuer: 'https://evil.example' }));
    expect(await issuer.discover(profile, { fresh: true })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    expect(await issuer.discover(profile)).toMatchObject({ kind: 'server' });
    shim.fault('discovery', faults.withMembers({ device_authorization_endpoint: undefined }));
    expect(await issuer.discover(profile, { fresh: true })).toMatchObject({ server: { deviceAuthorizationEndpoint: null } });
    expect(await issuer.discover(profile)).toMatchObject({ server: { deviceAuthorizationEndpoint: null } });
    expect(asked()).toBe(3);
  });

  it('is asked for once by many who wait, and keeps no failure', async () => {
    const { issuer, profile, shim, asked } = await start();
    shim.fault('discovery', faults.delay(100, faults.status(503)));
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => issuer.discover(profile)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'transient'));
    expect(asked()).toBe(1);
    await discovered(issuer, profile);
  });

  it('serves nobody what was found by other means: another CA, proxy, rule or order', async () => {
    const { issuer, profile, shim, asked } = await start();
    await discovered(issuer, profile);
    // What is not allowed to this profile is not served to it because it was to another.
    expect(await issuer.discover({ ...profile, allowLoopbackHttp: false })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    expect(await issuer.discover({ ...profile, proxy: `http://127.0.0.1:${new URL(shim.url).port}` })).toMatchObject({ kind: 'transient', cause: 'proxy' });
    const before = asked();
    shim.fault('discovery', faults.withMembers({ code_challenge_methods_supported: [] }));
    expect(await issuer.discover({ ...profile, traits: someTraits({ pkce: 'asserted' }) })).toMatchObject({ kind: 'server' });
    expect(await issuer.discover({ ...profile, traits: someTraits({ metadata: 'oauth' }) })).toMatchObject({ kind: 'server' });
    expect(asked()).toBe(before + 2);
    // The client is none of it.
    expect(await issuer.discover({ ...profile, clientId: 'another' })).toMatchObject({ kind: 'server' });
    expect(asked()).toBe(before + 2);
  });

  it('behind somebody\'s back ends with the daemon, and says nothing then', async () => {
    const world = await start();
    const { issuer, profile, clock, shim, asked } = world;
    await discovered(issuer, profile);
    clock.aheadMs += 20 * MINUTE_MS;
    shim.fault('discovery', faults.hang());
    await discovered(issuer, profile);
    await expect.poll(asked).toBe(2);
    const began = performance.now();
    await issuer.close();
    expect(performance.now() - began).toBeLessThan(boundMs(500));
    expect(events(world)).not.toContain('discovery_not_renewed');
  });
});

describe('the probe', () => {
  const at = async (serve: Serve): Promise<{ readonly server: WireServer; readonly origin: string }> => {
    const server = await startWireServer({ serve });
    closing.push(() => server.close());
    return { server, origin: `http://127.0.0.1:${server.port}` };
  };
  const under = () => {
    const made = makeIssuer();
    closing.unshift(() => made.issuer.close());
    return made;
  };
  const connection = { caPem: null, proxy: null, allowLoopbackHttp: true };
  const say = (answer: Buffer): Serve => (socket) => socket.end(answer);

  it.each([200, 204, 301, 400, 401, 404, 405, 429])('takes %i for reached', async (status) => {
    const { origin } = await at(say(httpAnswer(status)));
    expect(await under().issuer.probe(someServer({ issuer: origin, tokenEndpoint: `${origin}/token` }), connection)).toEqual({ kind: 'reached' });
  });

  it('takes an answer for reached whose body is broken or huge', async () => {
    const { origin } = await at(say(httpAnswer(200, Buffer.alloc(2_000_000))));
    expect(await under().issuer.probe(someServer({ issuer: origin, tokenEndpoint: `${origin}/token` }), connection)).toEqual({ kind: 'reached' });
  });

  it.each<[string, Serve, object]>([
    ['503', say(httpAnswer(503)), { cause: 'http_503', reach: 'server', answerLost: false }],
    ['a hang-up', (socket) => socket.end(), { cause: 'reset', reach: 'network' }],
  ])('takes %s for what it is', async (_name, serve, expected) => {
    const { origin } = await at(serve);
    expect(await under().issuer.probe(someServer({ issuer: origin, tokenEndpoint: `${origin}/token` }), connection)).toMatchObject({ kind: 'transient', ...expected });
  });

  it('asks where tokens come from, for a document if there is one, and carries nothing', async () => {
    const { server, origin } = await at(say(httpAnswer(200)));
    const { issuer } = under();
    const places = [
      { issuer: `${origin}/realms/a`, jwksUri: `${origin}/keys`, isOpenIdProvider: true },
      { issuer: origin, jwksUri: null, isOpenIdProvider: false },
      { issuer: 'https://issuer.example', jwksUri: `${origin}/keys` },
      { issuer: 'https://issuer.example', jwksUri: null },
    ];
    for (const place of places) await issuer.probe(someServer({ ...place, tokenEndpoint: `${origin}/token` }), connection);
    expect(server.requests.map((request) => request.split(' HTTP/')[0])).toEqual([
      'GET /realms/a/.well-known/openid-configuration', 'GET /.well-known/oauth-authorization-server', 'GET /keys', 'GET /',
    ]);
    for (const request of server.requests) expect(request).not.toMatch(/authorization:|cookie|token|secret|client_id/i);
  });

  it('has five seconds at most, and less where a request has less', async () => {
    const { origin } = await at(() => {});
    const { issuer } = makeIssuer({ timeoutMs: 30_000 });
    closing.unshift(() => issuer.close());
    const began = performance.now();
    expect(await issuer.probe(someServer({ issuer: origin, tokenEndpoint: `${origin}/token` }), connection)).toMatchObject({ kind: 'transient', cause: 'timeout', reach: 'network', timedOut: true });
    expect(performance.now() - began).toBeLessThan(boundMs(8_000));
  }, 15_000);

  it('learns the issuer\'s clock like any other answer', async () => {
    const { origin } = await at(say(httpAnswer(404, '', { date: new Date(Date.now() + 3_600_000).toUTCString() })));
    const { issuer } = under();
    await issuer.probe(someServer({ issuer: origin, tokenEndpoint: `${origin}/token` }), connection);
    expect(issuer.skews()).toEqual([{ issuer: origin, skewMs: expect.closeTo(3_600_000, -4), at: expect.any(Number) }]);
  });
});

describe('a signal that outlives many requests', () => {
  it('is left without listeners by each of them, however it ends', async () => {
    const shim = await startHostileIssuer();
    const { issuer } = makeIssuer({ timeoutMs: 200 });
    closing.push(() => issuer.close(), () => shim.close());
    const profile = profileAt(shim.url);
    const client = clientOf(profile, await discovered(issuer, profile));
    const { signal } = new AbortController();
    const device = { deviceCode: new Secret('device-code-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE') };
    for (const fault of [faults.oauthError('authorization_pending'), faults.dropBefore(), faults.hang(), faults.status(503)]) {
      shim.fault('token', fault);
      await issuer.pollDevice(client, profile, device, wantOf(profile), signal);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    }
  });
});
