/**
 * The embedded issuer is what most other tests measure with, so what it claims about itself is proved here,
 * with a client by hand: rotation, reuse detection, PKCE, audiences, and that no minted secret is missed.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import { authorize, fetchMetadata, peekJwt, pollRawDevice, postForm, rawLogin, rawRefresh, startRawDevice } from '../support/raw-client.ts';
import type { RawServer } from '../support/raw-client.ts';

const open: EmbeddedIssuer[] = [];
afterEach(async () => {
  const issuers = open.splice(0);
  for (const issuer of issuers) await issuer.close();
  expect(issuers.flatMap((issuer) => issuer.mistakes)).toEqual([]);
});

async function start(options: IssuerOptions = {}): Promise<{ readonly issuer: EmbeddedIssuer; readonly server: RawServer }> {
  const issuer = await startIssuer(options);
  open.push(issuer);
  return { issuer, server: await fetchMetadata(issuer.url) };
}

describe('embedded issuer', () => {
  it('signs anybody in with PKCE and issues an ID token, an access token and, for offline_access, a refresh token', async () => {
    const { issuer, server } = await start();
    const tokens = await rawLogin(server, { login: 'ada' });
    expect(tokens.status).toBe(200);
    const claims = peekJwt(tokens.id_token ?? '');
    expect(claims).toMatchObject({ iss: issuer.url, sub: 'ada', aud: 'valetkey', email: 'ada@example.test', name: 'ada (EXAMPLE)' });
    expect(claims['auth_time']).toBeTypeOf('number');
    expect(tokens.refresh_token).toBeTypeOf('string');
    expect(await issuer.introspect(tokens.access_token ?? '')).toMatchObject({ active: true, sub: 'ada' });

    const without = await rawLogin(server, { login: 'ada', scope: 'openid' });
    expect(without.access_token).toBeTypeOf('string');
    expect(without.refresh_token).toBeUndefined();
  });

  it('refuses a request without a challenge and a code without its verifier', async () => {
    const { server } = await start();
    const bare = new URL(server['authorization_endpoint'] ?? '');
    bare.search = new URLSearchParams({ client_id: 'valetkey', response_type: 'code', redirect_uri: 'http://127.0.0.1:1/callback', scope: 'openid' }).toString();
    const answer = await fetch(bare, { redirect: 'manual' });
    expect(new URL(answer.headers.get('location') ?? '').searchParams.get('error')).toBe('invalid_request');

    const { redirect, redirectUri } = await authorize(server, { login: 'ada' });
    const redeemed = await postForm(server['token_endpoint'] ?? '', {
      grant_type: 'authorization_code', code: redirect.searchParams.get('code') ?? '', redirect_uri: redirectUri, client_id: 'valetkey',
      code_verifier: 'x'.repeat(43),
    });
    expect(redeemed).toMatchObject({ status: 400, error: 'invalid_grant' });
  });

  it('takes any port on both loopback literals, and no other path or host name', async () => {
    const { server } = await start();
    for (const redirectUri of ['http://127.0.0.1:49152/callback', 'http://[::1]:5/callback']) {
      const { redirect } = await authorize(server, { login: 'ada', redirectUri });
      expect(redirect.searchParams.get('code')).not.toBeNull();
    }
    for (const redirectUri of ['http://127.0.0.1:49152/other', 'http://localhost:49152/callback']) {
      const { redirect } = await authorize(server, { login: 'ada', redirectUri });
      expect(redirect.pathname).toBe('/auth');
    }
  });

  it('rotates the refresh token, and a second use of the old one revokes the whole grant', async () => {
    const { issuer, server } = await start();
    const first = await rawLogin(server, { login: 'ada' });
    const second = await rawRefresh(server, first.refresh_token ?? '');
    expect(second.status).toBe(200);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(issuer.count('token', 'refresh_token')).toBe(1);
    expect(issuer.events.filter((event) => event.name === 'grant.revoked')).toHaveLength(0);

    expect(await rawRefresh(server, first.refresh_token ?? '')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(issuer.events.filter((event) => event.name === 'grant.revoked')).toHaveLength(1);
    expect(await rawRefresh(server, second.refresh_token ?? '')).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect((await issuer.introspect(second.access_token ?? '')).active).toBe(false);
    expect(issuer.count('token', 'refresh_token')).toBe(3);
  });

  it('keeps the refresh token where rotation is off', async () => {
    const { server } = await start({ rotateRefreshTokens: false });
    const first = await rawLogin(server, { login: 'ada' });
    const second = await rawRefresh(server, first.refresh_token ?? '');
    expect(second.refresh_token).toBe(first.refresh_token);
  });

  it('issues tokens for the one resource that was asked for, opaque or as a JWT', async () => {
    const resource = 'http://127.0.0.1:9/api';
    for (const accessTokenFormat of ['opaque', 'jwt'] as const) {
      const { issuer, server } = await start({ accessTokenFormat });
      const tokens = await rawLogin(server, { login: 'ada', scope: 'openid offline_access read', params: { resource } });
      const token = tokens.access_token ?? '';
      const facts = accessTokenFormat === 'jwt' ? peekJwt(token) : await issuer.introspect(token);
      expect(facts).toMatchObject({ aud: resource, scope: 'read' });
      expect(issuer.minted).toContainEqual({ kind: 'access_token', value: token });
    }
  });

  it('connects a device after its code was approved, and says no when it was refused', async () => {
    const { server } = await start();
    const device = await startRawDevice(server);
    expect(await pollRawDevice(server, device.device_code ?? '')).toMatchObject({ error: 'authorization_pending' });
    const page = await approveDevice(device.verification_uri ?? '', device.user_code ?? '', 'ada');
    expect(page.body).toContain('Device connected');
    expect(await pollRawDevice(server, device.device_code ?? '')).toMatchObject({ status: 200, token_type: 'Bearer' });

    const complete = await startRawDevice(server);
    await approveDevice(complete.verification_uri_complete ?? '', '', 'ada');
    expect((await pollRawDevice(server, complete.device_code ?? '')).status).toBe(200);

    const refused = await startRawDevice(server);
    await approveDevice(refused.verification_uri ?? '', refused.user_code ?? '', 'ada', { deny: true });
    expect(await pollRawDevice(server, refused.device_code ?? '')).toMatchObject({ error: 'access_denied' });
  });

  it('reports a refusal to the client', async () => {
    const { server } = await start();
    const { redirect, state } = await authorize(server, { login: 'ada', deny: true });
    expect(Object.fromEntries(redirect.searchParams)).toMatchObject({ error: 'access_denied', state, iss: server.issuer });
  });

  it('sends iss unless told otherwise, and then promises none', async () => {
    const { server } = await start();
    expect(server['authorization_response_iss_parameter_supported']).toBe(true);
    expect((await authorize(server, { login: 'ada' })).redirect.searchParams.get('iss')).toBe(server.issuer);
    const plain = await start({ issParameter: false });
    expect(plain.server['authorization_response_iss_parameter_supported']).toBeUndefined();
    const { redirect } = await authorize(plain.server, { login: 'ada' });
    expect(redirect.searchParams.has('iss')).toBe(false);
    expect(redirect.searchParams.has('code')).toBe(true);
  });

  it('lives under a path, found by both well-known rules', async () => {
    const { issuer, server } = await start({ path: '/realms/a' });
    expect(issuer.url).toBe(`${issuer.origin}/realms/a`);
    expect(server.issuer).toBe(issuer.url);
    const inserted = await (await fetch(`${issuer.origin}/.well-known/oauth-authorization-server/realms/a`)).json();
    expect(inserted).toEqual(server);
    expect((await fetch(`${issuer.origin}/.well-known/openid-configuration`)).status).toBe(404);
    expect((await rawLogin(server, { login: 'ada' })).status).toBe(200);
    expect(issuer.count('token', 'authorization_code')).toBe(1);
  });

  it('authenticates confidential clients, by header and by body, and refuses a wrong secret', async () => {
    const { issuer, server } = await start();
    const tokenRequest = async (clientId: string): Promise<Record<string, string>> => {
      const { redirect, verifier, redirectUri } = await authorize(server, { login: 'ada', clientId });
      return { grant_type: 'authorization_code', code: redirect.searchParams.get('code') ?? '', code_verifier: verifier, redirect_uri: redirectUri };
    };
    const basic = (secret: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`confidential-basic:${secret}`).toString('base64')}` });
    const endpoint = server['token_endpoint'] ?? '';
    expect(await postForm(endpoint, await tokenRequest('confidential-basic'), basic('wrong-EXAMPLE'))).toMatchObject({ error: 'invalid_client' });
    expect((await postForm(endpoint, await tokenRequest('confidential-basic'), basic('basic-client-secret-EXAMPLE'))).status).toBe(200);
    const posted = { ...await tokenRequest('confidential-post'), client_id: 'confidential-post', client_secret: 'post-client-secret-EXAMPLE' };
    expect((await postForm(endpoint, posted)).status).toBe(200);
    expect(issuer.minted.filter((m) => m.kind === 'client_secret').map((m) => m.value)).toContain('basic-client-secret-EXAMPLE');
  });

  it('changes how long access tokens live while it runs', async () => {
    const { issuer, server } = await start({ lifetimes: { accessTokenS: 61 } });
    const first = await rawLogin(server, { login: 'ada' });
    expect(first.expires_in).toBe(61);
    issuer.setLifetimes({ accessTokenS: 600 });
    expect((await rawRefresh(server, first.refresh_token ?? '')).expires_in).toBe(600);
  });

  it('ends grants as an administrator would', async () => {
    const { issuer, server } = await start();
    const ada = await rawLogin(server, { login: 'ada' });
    const bob = await rawLogin(server, { login: 'bob' });
    expect(await issuer.revokeGrantsOf('ada')).toBe(1);
    expect((await rawRefresh(server, ada.refresh_token ?? '')).error).toBe('invalid_grant');
    expect((await rawRefresh(server, bob.refresh_token ?? '')).status).toBe(200);
  });

  it('signs in as strongly and as long ago as told', async () => {
    const { server } = await start({ acrValues: ['low', 'high'], signIn: () => ({ acr: 'low', amr: ['pwd'], authTime: 1_700_000_000 }) });
    const tokens = await rawLogin(server, { login: 'ada', params: { acr_values: 'high', claims: JSON.stringify({ id_token: { amr: null } }) } });
    expect(peekJwt(tokens.id_token ?? '')).toMatchObject({ acr: 'low', amr: ['pwd'], auth_time: 1_700_000_000 });
  });

  it('lists every secret that it minted or was shown', async () => {
    const { issuer, server } = await start();
    const pushed = await postForm(server['pushed_authorization_request_endpoint'] ?? '', {
      client_id: 'valetkey', response_type: 'code', redirect_uri: 'http://127.0.0.1:1/callback', scope: 'openid', state: 'pushed-state-EXAMPLE',
      nonce: 'pushed-nonce-EXAMPLE', code_challenge: 'A'.repeat(43), code_challenge_method: 'S256',
    });
    const { redirect, verifier, state, nonce, redirectUri } = await authorize(server, { login: 'ada' });
    const code = redirect.searchParams.get('code') ?? '';
    const tokens = await postForm(server['token_endpoint'] ?? '', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri, client_id: 'valetkey' });
    const rotated = await rawRefresh(server, tokens.refresh_token ?? '');
    const device = await startRawDevice(server);
    await approveDevice(device.verification_uri ?? '', device.user_code ?? '', 'ada');
    const fromDevice = await pollRawDevice(server, device.device_code ?? '');

    const values = new Set(issuer.minted.map((m) => m.value));
    const shown = [
      pushed.request_uri, 'pushed-state-EXAMPLE', 'pushed-nonce-EXAMPLE', 'A'.repeat(43), state, nonce, verifier, code,
      ...[tokens, rotated, fromDevice].flatMap((t) => [t.access_token, t.refresh_token, t.id_token]),
      device.device_code, device.user_code, (device.user_code ?? '').replaceAll('-', ''),
    ];
    expect(shown.filter((value) => value === undefined || !values.has(value))).toEqual([]);
  });

  it('lists secrets of an answer that never arrived', async () => {
    const { issuer, server } = await start();
    const tokens = await rawLogin(server, { login: 'ada' });
    const before = issuer.minted.length;
    const aborted = new AbortController();
    issuer.onEvent((event) => {
      if (event.name === 'refresh_token.consumed') aborted.abort();
    });
    const lost = fetch(server['token_endpoint'] ?? '', {
      method: 'POST', signal: aborted.signal,
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '', client_id: 'valetkey' }),
    });
    await expect(lost).rejects.toThrow();
    await expect.poll(() => issuer.minted.slice(before).map((m) => m.kind)).toEqual(expect.arrayContaining(['refresh_token', 'access_token']));
  });

  it('lists a refresh token that was stored and then never answered', async () => {
    const resource = 'http://127.0.0.1:9/api';
    const { issuer, server } = await start({ resources: [resource] });
    const tokens = await rawLogin(server, { login: 'ada', scope: 'openid offline_access read', params: { resource } });
    // oidc-provider rotates before it looks at the resource, and then refuses.
    expect(await rawRefresh(server, tokens.refresh_token ?? '', { resource: 'http://127.0.0.1:9/other' })).toMatchObject({ status: 400, error: 'invalid_target' });
    expect(issuer.minted.filter((m) => m.kind === 'refresh_token')).toHaveLength(2);
  });

  it('prints nothing', async () => {
    const script = `import { startIssuer } from ${JSON.stringify(new URL('../../dist/demo/issuer.js', import.meta.url).href)}; await (await startIssuer()).close();`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
  });
});
