/** The hostile issuer does what it says, seen by a plain client: a fault that does not bite proves nothing. */
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import type { IssuerOptions } from '../../demo/issuer.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { authorize, fetchMetadata, peekJwt, rawLogin, rawRefresh, startRawDevice } from '../support/raw-client.ts';
import type { RawServer } from '../support/raw-client.ts';

const open: HostileIssuer[] = [];
afterEach(async () => {
  const shims = open.splice(0);
  for (const shim of shims) await shim.close();
  expect(shims.flatMap((shim) => shim.issuer.mistakes)).toEqual([]);
});

async function start(options: IssuerOptions = {}): Promise<{ readonly shim: HostileIssuer; readonly server: RawServer }> {
  const shim = await startHostileIssuer(options);
  open.push(shim);
  return { shim, server: await fetchMetadata(shim.url) };
}

const post = (server: RawServer, init: RequestInit = {}): Promise<Response> =>
  fetch(server['token_endpoint'] ?? '', { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'none-EXAMPLE', client_id: 'valetkey' }), redirect: 'manual', ...init });

describe('hostile issuer', () => {
  it('without faults is an issuer under its own origin', async () => {
    const { shim, server } = await start();
    expect(shim.url).not.toBe(shim.issuer.origin);
    expect(server.issuer).toBe(shim.url);
    for (const [name, value] of Object.entries(server)) if (/_(endpoint|uri)$/.test(name)) expect(value).toMatch(`${shim.url}/`);
    const tokens = await rawLogin(server, { login: 'ada' });
    expect(peekJwt(tokens.id_token ?? '')['iss']).toBe(shim.url);
    expect((await rawRefresh(server, tokens.refresh_token ?? '')).status).toBe(200);
    const device = await startRawDevice(server);
    expect((await approveDevice(device.verification_uri ?? '', device.user_code ?? '', 'ada')).body).toContain('Device connected');
    expect(shim.requestsTo('token').map((r) => r.params['grant_type'])).toEqual(['authorization_code', 'refresh_token']);
  });

  it('answers with the status, the headers and the body that were laid down, as often as said, in order', async () => {
    const { shim, server } = await start();
    const date = new Date(Date.now() + 60_000);
    shim.fault('token', faults.status(503, 7));
    shim.fault('token', faults.status(429, date), 2);
    shim.fault('token', faults.slowDown());
    shim.fault('token', faults.html());
    shim.fault('token', faults.malformed());
    shim.fault('token', faults.redirect(307, 'http://127.0.0.1:9/elsewhere'));
    const seen: (readonly [number, string | null])[] = [];
    for (let i = 0; i < 8; i++) {
      const answer = await post(server);
      seen.push([answer.status, answer.headers.get('retry-after') ?? answer.headers.get('location') ?? answer.headers.get('content-type')]);
    }
    expect(seen).toEqual([
      [503, '7'], [429, date.toUTCString()], [429, date.toUTCString()], [400, 'application/json'], [200, 'text/html'], [200, 'application/json'],
      [307, 'http://127.0.0.1:9/elsewhere'], [400, 'application/json; charset=utf-8'],
    ]);
    expect(shim.issuer.count('token')).toBe(1);
  });

  it('waits, drips, hangs and hangs up', async () => {
    const { shim, server } = await start();
    shim.fault('token', faults.delay(120, faults.status(500)));
    const began = performance.now();
    expect((await post(server)).status).toBe(500);
    expect(performance.now() - began).toBeGreaterThanOrEqual(115);

    shim.fault('token', faults.drip(8, 5));
    const dripped = await post(server);
    expect(await dripped.json()).toMatchObject({ error: 'invalid_grant' });

    shim.fault('token', faults.hang());
    await expect(post(server, { signal: AbortSignal.timeout(100) })).rejects.toThrow();
    shim.fault('token', faults.dropBefore());
    await expect(post(server)).rejects.toThrow();
    shim.fault('token', faults.truncated());
    await expect(post(server).then((answer) => answer.text())).rejects.toThrow();
  });

  it('loses an answer after the issuer has spent the refresh token', async () => {
    const { shim, server } = await start();
    const tokens = await rawLogin(server, { login: 'ada' });
    shim.fault('token', faults.lostAnswer());
    await expect(rawRefresh(server, tokens.refresh_token ?? '')).rejects.toThrow();
    expect(shim.issuer.events.map((event) => event.name)).toContain('refresh_token.consumed');
    expect(await rawRefresh(server, tokens.refresh_token ?? '')).toMatchObject({ error: 'invalid_grant' });
    expect(shim.issuer.events.map((event) => event.name)).toContain('grant.revoked');
  });

  it('does not reach the issuer where it drops a request before passing it on', async () => {
    const { shim, server } = await start();
    const tokens = await rawLogin(server, { login: 'ada' });
    shim.fault('token', faults.dropBefore());
    await expect(rawRefresh(server, tokens.refresh_token ?? '')).rejects.toThrow();
    expect((await rawRefresh(server, tokens.refresh_token ?? '')).status).toBe(200);
  });

  it('sends a request twice, which the issuer takes for a stolen token', async () => {
    const { shim, server } = await start();
    const tokens = await rawLogin(server, { login: 'ada' });
    shim.fault('token', faults.duplicate());
    expect((await rawRefresh(server, tokens.refresh_token ?? '')).status).toBe(200);
    expect(shim.issuer.events.filter((event) => event.name === 'grant.revoked')).toHaveLength(1);
  });

  it('sends bodies without end, plain and packed', async () => {
    const { shim, server } = await start();
    shim.fault('token', faults.huge(4 * 1024 * 1024));
    expect((await (await post(server)).text()).length).toBeGreaterThan(4 * 1024 * 1024);
    shim.fault('token', faults.gzipBomb(8 * 1024 * 1024));
    const packed = await post(server);
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect((await packed.text()).length).toBeGreaterThan(8 * 1024 * 1024);
    // A client that gives up in the middle must not hold the shim.
    shim.fault('token', faults.huge());
    await (await post(server)).body?.cancel();
  });

  it('changes metadata, answers and the authorization response', async () => {
    const { shim, server } = await start();
    shim.fault('discovery', faults.withMembers({ code_challenge_methods_supported: undefined, issuer: 'https://other.example' }));
    const stripped = await fetchMetadata(shim.url);
    expect(stripped.issuer).toBe('https://other.example');
    expect(stripped).not.toHaveProperty('code_challenge_methods_supported');

    shim.fault('authorization', faults.wrongIss('https://other.example'));
    expect((await authorize(server, { login: 'ada' })).redirect.searchParams.get('iss')).toBe('https://other.example');
    shim.fault('authorization', faults.withoutIss());
    const without = (await authorize(server, { login: 'ada' })).redirect.searchParams;
    expect([without.has('iss'), without.has('code')]).toEqual([false, true]);
    expect((await authorize(server, { login: 'ada' })).redirect.searchParams.get('iss')).toBe(shim.url);

    shim.fault('device', faults.withMembers({ verification_uri: 'https://login.evil.example' }));
    expect((await startRawDevice(server)).verification_uri).toBe('https://login.evil.example');

    shim.fault('token', faults.withMembers({ token_type: 'MAC', expires_in: undefined, scope: 'openid admin' }));
    const odd = await rawLogin(server, { login: 'ada' });
    expect(odd).toMatchObject({ token_type: 'MAC', scope: 'openid admin' });
    expect(odd).not.toHaveProperty('expires_in');
  });

  it('swaps the ID token for another that is signed as well', async () => {
    const { shim, server } = await start();
    shim.fault('token', faults.editIdToken(shim.issuer, (claims) => ({ ...claims, sub: 'mallory', nonce: 'wrong-nonce-EXAMPLE' })));
    const tokens = await rawLogin(server, { login: 'ada' });
    expect(peekJwt(tokens.id_token ?? '')).toMatchObject({ sub: 'mallory', nonce: 'wrong-nonce-EXAMPLE', iss: shim.url });
    await jwtVerify(tokens.id_token ?? '', createRemoteJWKSet(new URL(server['jwks_uri'] ?? '')), { issuer: shim.url });
  });

  it('takes a fault back', async () => {
    const { shim, server } = await start();
    const outage = shim.fault('token', faults.status(503), Infinity);
    await post(server);
    await post(server);
    expect(outage.hits).toBe(2);
    outage.cancel();
    expect((await post(server)).status).toBe(400);
  });
});
