/**
 * The Issuer port against a certified authorization server of another author: every call on its good path,
 * and the server's own verdicts.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import type { AuthorizationServer, Profile } from '../../daemon/core/domain.ts';
import type { ClientAt } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { scopes, someTraits } from '../support/builders.ts';
import { atOnce, NO_STEP_UP, REDIRECT_URI, authorize, clientOf, discovered, makeIssuer, profileAt, signIn, tokensOf, wantOf } from '../support/issuer-under-test.ts';
import type { UnderTest } from '../support/issuer-under-test.ts';

const RESOURCE = 'https://api.example/v1';
const OTHER_RESOURCE = 'https://other.example/';
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type World = UnderTest & { readonly as: EmbeddedIssuer; readonly profile: Profile; readonly server: AuthorizationServer; readonly client: ClientAt };

async function start(options: IssuerOptions = {}, over: Partial<Profile> = {}): Promise<World> {
  const as = await startIssuer(options);
  const under = makeIssuer();
  closing.push(() => under.issuer.close(), () => as.close());
  const profile = profileAt(as.url, over);
  const server = await discovered(under.issuer, profile);
  return { ...under, as, profile, server, client: clientOf(profile, server) };
}

const lastTo = (as: EmbeddedIssuer, endpoint: string): Readonly<Record<string, unknown>> => as.requests.findLast((each) => each.endpoint === endpoint)?.params ?? {};

describe('issuer at oidc-provider', () => {
  it('discovers what the server says of itself', async () => {
    const { as, server } = await start();
    expect(server).toMatchObject({
      issuer: as.url, authorizationEndpoint: `${as.url}/auth`, tokenEndpoint: `${as.url}/token`, revocationEndpoint: `${as.url}/token/revocation`,
      deviceAuthorizationEndpoint: `${as.url}/device/auth`, pushedAuthorizationRequestEndpoint: `${as.url}/request`, jwksUri: `${as.url}/jwks`,
      issParameterSupported: true, isOpenIdProvider: true, requirePushedAuthorizationRequests: false, idTokenSigningAlgs: ['ES256'],
    });
    expect(server.scopesSupported).toContain('offline_access');
  });

  it.each(['oidc', 'oauth'] as const)('finds an issuer with a path, %s first', async (metadata) => {
    const as = await startIssuer({ path: '/realms/a' });
    const { issuer } = makeIssuer();
    closing.push(() => issuer.close(), () => as.close());
    const server = await discovered(issuer, profileAt(as.url, { traits: someTraits({ metadata }) }));
    expect(server.tokenEndpoint).toBe(`${as.url}/token`);
    expect(as.count('discovery')).toBe(1);
  });

  it('signs in, and knows from the verified ID token who it was', async () => {
    const { issuer, profile, client, as } = await start({ signIn: () => ({ acr: 'urn:gold', amr: ['pwd', 'otp'] }), acrValues: ['urn:gold'] }, { scopes: scopes('openid profile email read') });
    const tokens = tokensOf(await signIn(issuer, client, profile));
    expect(tokens).toMatchObject({ tokenType: 'Bearer', expiresInS: 3600, identity: { sub: 'ada', name: 'ada (EXAMPLE)', email: 'ada@example.test', aud: ['valetkey'] } });
    expect(tokens.scope).toEqual(scopes('openid profile email read offline_access'));
    expect(tokens.refreshToken).not.toBeNull();
    expect(await as.introspect(tokens.accessToken.reveal())).toMatchObject({ active: true, sub: 'ada' });
  });

  it('[AZ-01] sends a fresh challenge by S256 in each of 1,000 requests, of a verifier of 32 random bytes', async () => {
    const { issuer, profile, client, server } = await start({ par: 'none' });
    const seen: { readonly challenge: string; readonly method: string; readonly verifier: string; readonly state: string }[] = [];
    for (let i = 0; i < 1_000; i += 1) {
      const request = issuer.newAuthorizationRequest(REDIRECT_URI);
      const made = await issuer.authorizationUrl(client, profile, request, wantOf(profile), NO_STEP_UP, null);
      if (made.kind !== 'url') throw new Error('no URL');
      const query = new URL(made.url).searchParams;
      seen.push({
        challenge: query.get('code_challenge') ?? '', method: query.get('code_challenge_method') ?? '', verifier: request.verifier.reveal(), state: query.get('state') ?? '',
      });
    }
    expect(server.pushedAuthorizationRequestEndpoint).toBeNull();
    for (const key of ['challenge', 'verifier', 'state'] as const) expect(new Set(seen.map((each) => each[key])).size).toBe(1_000);
    expect(new Set(seen.map((each) => each.method))).toEqual(new Set(['S256']));
    expect(seen.every((each) => /^[A-Za-z0-9_-]{43}$/.test(each.verifier) && /^[A-Za-z0-9_-]{43}$/.test(each.challenge))).toBe(true);
    // The server demands PKCE, and the verifier fits the challenge.
    tokensOf(await signIn(issuer, client, profile));
  });

  it('[AZ-07] asks for a code whatever the server could give and the preset names', async () => {
    const { issuer, profile, client, as } = await start({ par: 'none', clients: [{ id: 'valetkey', metadata: { response_types: ['code', 'code id_token', 'id_token'], grant_types: ['authorization_code', 'refresh_token', 'implicit'] } }] });
    const traits = { ...profile.traits, authorizationParams: { response_type: 'code id_token', response_mode: 'form_post', code_challenge_method: 'none', state: 'mine', prompt: 'consent' } };
    const { callback } = await authorize(issuer, client, { ...profile, traits });
    expect(callback.has('code')).toBe(true);
    expect(callback.has('id_token')).toBe(false);
    const asked = as.requests.find((each) => each.endpoint === 'authorization')?.params;
    expect(asked).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', prompt: 'consent' });
    expect(asked).not.toHaveProperty('response_mode');
  });

  it.each(['offered', 'required'] as const)('[AZ-08] pushes the request where PAR is %s, and its request_uri works once', async (par) => {
    const { issuer, profile, client, as } = await start({ par });
    const { request, callback, url } = await authorize(issuer, client, profile);
    expect([...url.searchParams.keys()].toSorted()).toEqual(['client_id', 'request_uri']);
    expect(lastTo(as, 'par')).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', redirect_uri: REDIRECT_URI });
    tokensOf(await issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP));
    const replay = await fetch(url, { redirect: 'manual' });
    expect(replay.status).toBe(400);
  });

  it('says what the server said of a pushed request it refuses', async () => {
    const { issuer, profile, client } = await start({}, { clientId: 'nobody' });
    const request = issuer.newAuthorizationRequest(REDIRECT_URI);
    expect(await issuer.authorizationUrl(client, profile, request, wantOf(profile), NO_STEP_UP, null)).toMatchObject({ kind: 'rejected', code: 'issuer_refused', oauthError: 'invalid_client' });
  });

  it('carries hint, class and age of a sign-in', async () => {
    const { issuer, profile, client } = await start({ par: 'none' });
    const made = await issuer.authorizationUrl(client, profile, issuer.newAuthorizationRequest(REDIRECT_URI), wantOf(profile), { ...NO_STEP_UP, acrValues: ['a', 'b'], maxAgeS: 300 }, 'ada@example.test');
    expect(made).toMatchObject({ expiresInS: null });
    expect(made.kind === 'url' ? Object.fromEntries(new URL(made.url).searchParams) : made).toMatchObject({ login_hint: 'ada@example.test', acr_values: 'a b', max_age: '300' });
  });

  it('refuses a step-up that no ID token could prove, before anybody is sent anywhere', async () => {
    const { issuer, profile, client } = await start({}, { scopes: scopes('read') });
    const made = await issuer.authorizationUrl(client, profile, issuer.newAuthorizationRequest(REDIRECT_URI), wantOf(profile), { ...NO_STEP_UP, acrValues: ['a'], maxAgeS: null }, null);
    expect(made).toMatchObject({ kind: 'rejected', code: 'stepup_unmet' });
  });

  it('signs in without OpenID, and then nobody is known', async () => {
    const { issuer, profile, client } = await start({ clients: [{ id: 'valetkey', metadata: { require_auth_time: false } }] }, { scopes: scopes('read') });
    const tokens = tokensOf(await signIn(issuer, client, profile));
    expect(tokens.identity).toBeNull();
    expect(tokens.refreshToken).not.toBeNull();
  });

  it('reports a refusal by the person', async () => {
    const { issuer, profile, client, as } = await start();
    const { request, callback } = await authorize(issuer, client, profile, 'ada', NO_STEP_UP, true);
    expect(await issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP)).toMatchObject({ kind: 'rejected', code: 'access_denied', oauthError: 'access_denied' });
    expect(as.count('token')).toBe(0);
  });

  it('refreshes, and reports the reuse of a spent refresh token as the server does', async () => {
    const { issuer, profile, client, as } = await start();
    const first = tokensOf(await signIn(issuer, client, profile));
    const spent = first.refreshToken ?? new Secret('');
    const second = tokensOf(await issuer.refresh(client, profile, spent, { scopes: [], resource: null }, first.identity, atOnce));
    expect([first.withheld, second.withheld]).toEqual([null, null]);
    expect(second.refreshToken?.sameAs(spent)).toBe(false);
    expect(second.identity).toMatchObject({ sub: 'ada', authTime: first.identity?.authTime });
    expect(lastTo(as, 'token')).not.toHaveProperty('scope');
    expect(await issuer.refresh(client, profile, spent, { scopes: [], resource: null }, first.identity, atOnce)).toMatchObject({ kind: 'rejected', code: 'issuer_refused', oauthError: 'invalid_grant' });
  });

  it('asks for fewer scopes at a refresh, and reports that more are not granted', async () => {
    const { issuer, profile, client } = await start({}, { scopes: scopes('openid read write') });
    const first = tokensOf(await signIn(issuer, client, profile));
    const narrow = tokensOf(await issuer.refresh(client, profile, first.refreshToken ?? new Secret(''), { scopes: scopes('read'), resource: null }, first.identity, atOnce));
    expect(narrow.scope).toEqual(['read']);
    const more = await issuer.refresh(client, profile, narrow.refreshToken ?? new Secret(''), { scopes: scopes('admin'), resource: null }, first.identity, atOnce);
    expect(more).toMatchObject({ kind: 'rejected', oauthError: 'invalid_scope' });
  });

  it('[AU-01] names one resource on every request, and a token is for one resource', async () => {
    const { issuer, profile, client, as } = await start({ accessTokenFormat: 'jwt', resources: [RESOURCE, OTHER_RESOURCE] }, { resource: RESOURCE });
    const first = tokensOf(await signIn(issuer, client, profile));
    expect(lastTo(as, 'par')['resource']).toBe(RESOURCE);
    expect(lastTo(as, 'token')['resource']).toBe(RESOURCE);
    const audience = (token: Secret): unknown => JSON.parse(Buffer.from(token.reveal().split('.')[1] ?? '', 'base64url').toString()).aud;
    expect(audience(first.accessToken)).toBe(RESOURCE);
    const again = tokensOf(await issuer.refresh(client, profile, first.refreshToken ?? new Secret(''), wantOf({ ...profile, scopes: [] }), first.identity, atOnce));
    expect(lastTo(as, 'token')['resource']).toBe(RESOURCE);
    expect(audience(again.accessToken)).toBe(RESOURCE);
    const beside = await issuer.refresh(client, profile, again.refreshToken ?? new Secret(''), { scopes: [], resource: OTHER_RESOURCE }, first.identity, atOnce);
    expect(beside).toMatchObject({ kind: 'rejected', oauthError: 'invalid_target' });
    const other = tokensOf(await signIn(issuer, client, { ...profile, resource: OTHER_RESOURCE }));
    expect(audience(other.accessToken)).toBe(OTHER_RESOURCE);
  });

  it('revokes, and what is dead already is revoked as well', async () => {
    const { issuer, profile, client, as } = await start();
    const { accessToken, refreshToken } = tokensOf(await signIn(issuer, client, profile));
    expect(await issuer.revoke(client, refreshToken ?? new Secret(''), 'refresh_token')).toEqual({ kind: 'revoked' });
    expect(await issuer.revoke(client, accessToken, 'access_token')).toEqual({ kind: 'revoked' });
    expect(await as.introspect(refreshToken?.reveal() ?? '')).toEqual({ active: false });
    expect(await as.introspect(accessToken.reveal())).toEqual({ active: false });
    expect(await issuer.revoke(client, accessToken, 'access_token')).toEqual({ kind: 'revoked' });
    expect(await issuer.revoke({ ...client, server: { ...client.server, revocationEndpoint: null } }, accessToken, 'access_token')).toEqual({ kind: 'unsupported' });
  });

  it('runs a device flow poll by poll', async () => {
    const { issuer, profile, client, as } = await start();
    const started = await issuer.startDevice(client, profile, wantOf(profile));
    if (started.kind !== 'device') throw new Error(JSON.stringify(started));
    // oidc-provider sends no interval; RFC 8628 then says 5 s.
    expect(started).toMatchObject({ intervalS: 5, expiresInS: 600, verificationUri: `${as.url}/device` });
    const poll = () => issuer.pollDevice(client, profile, started, wantOf(profile), new AbortController().signal);
    expect(await poll()).toEqual({ kind: 'pending', slowDown: false });
    await approveDevice(started.verificationUri, started.userCode, 'ada');
    const outcome = await poll();
    expect(outcome).toMatchObject({ kind: 'tokens', tokens: { identity: { sub: 'ada' } } });
    expect(await poll()).toMatchObject({ kind: 'rejected', oauthError: 'invalid_grant' });
  });

  it('reports a device flow that was refused', async () => {
    const { issuer, profile, client } = await start();
    const started = await issuer.startDevice(client, profile, wantOf(profile));
    if (started.kind !== 'device') throw new Error(JSON.stringify(started));
    await approveDevice(started.verificationUri, started.userCode, 'ada', { deny: true });
    const outcome = await issuer.pollDevice(client, profile, started, wantOf(profile), new AbortController().signal);
    expect(outcome).toMatchObject({ kind: 'rejected', code: 'access_denied', oauthError: 'access_denied' });
  });

  it.each(['client_secret_basic', 'client_secret_post'] as const)('authenticates by %s', async (clientAuth) => {
    const clientId = clientAuth === 'client_secret_basic' ? 'confidential-basic' : 'confidential-post';
    const { issuer, profile, client } = await start({}, { clientId, clientAuth });
    const clientSecret = new Secret(clientAuth === 'client_secret_basic' ? 'basic-client-secret-EXAMPLE' : 'post-client-secret-EXAMPLE');
    tokensOf(await signIn(issuer, { ...client, clientSecret }, profile));
    const wrong = await issuer.refresh({ ...client, clientSecret: new Secret('wrong-EXAMPLE') }, profile, new Secret('rt-EXAMPLE'), { scopes: [], resource: null }, null, atOnce);
    expect(wrong).toMatchObject({ kind: 'rejected', oauthError: 'invalid_client' });
    const without = await issuer.refresh(client, profile, new Secret('rt-EXAMPLE'), { scopes: [], resource: null }, null, atOnce);
    expect(without).toMatchObject({ kind: 'rejected', code: 'client_secret_required', oauthError: null });
  });

  it('leaves no secret in its log', async () => {
    const { issuer, profile, client, as, log } = await start();
    const tokens = tokensOf(await signIn(issuer, client, profile));
    await issuer.refresh(client, profile, tokens.refreshToken ?? new Secret(''), { scopes: [], resource: null }, tokens.identity, atOnce);
    const text = JSON.stringify(log);
    expect(text).toContain('/token');
    expect(as.minted.filter(({ value }) => text.includes(value))).toEqual([]);
  });
});
