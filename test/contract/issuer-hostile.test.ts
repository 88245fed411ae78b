/**
 * The Issuer port at servers that fail, lie or attack: which failures are a verdict, which are none, and what
 * is never sent.
 */
import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { IssuerOptions } from '../../demo/issuer.ts';
import type { AuthorizationServer, Profile } from '../../daemon/core/domain.ts';
import type { ClientAt, IssuerOutcome, Transient } from '../../daemon/core/ports.ts';
import { BrokerError } from '../../daemon/core/errors.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { boundMs } from '../support/bound.ts';
import { scopes, someServer, someTraits } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { Fault, HostileIssuer } from '../support/hostile-issuer.ts';
import { atOnce, NO_STEP_UP, REDIRECT_URI, authorize, clientOf, discovered, makeIssuer, profileAt, signIn, tokensOf, wantOf } from '../support/issuer-under-test.ts';
import type { UnderTest } from '../support/issuer-under-test.ts';
import { listening } from '../support/listening.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type World = UnderTest & { readonly shim: HostileIssuer; readonly profile: Profile; readonly server: AuthorizationServer; readonly client: ClientAt };
const TIMEOUT_MS = 1_000;
const FRESH = { fresh: true };

async function start(options: IssuerOptions = {}, over: Partial<Profile> = {}): Promise<World> {
  const shim = await startHostileIssuer(options);
  const under = makeIssuer({ timeoutMs: TIMEOUT_MS });
  closing.push(() => under.issuer.close(), () => shim.close());
  const profile = profileAt(shim.url, over);
  const server = await discovered(under.issuer, profile);
  return { ...under, shim, profile, server, client: clientOf(profile, server) };
}

/** A server that counts who comes, and answers everything with a token. */
async function startAttacker(): Promise<{ readonly url: string; readonly hits: string[] }> {
  const hits: string[] = [];
  const server = createServer((req, res) => {
    hits.push(`${req.method} ${req.url}`);
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"stolen-EXAMPLE","token_type":"Bearer"}');
  });
  const { port, close } = await listening(server);
  closing.push(close);
  return { url: `http://127.0.0.1:${port}`, hits };
}

const RT = new Secret('refresh-token-of-some-length-EXAMPLE');
const refresh = ({ issuer, client, profile }: World): Promise<IssuerOutcome> => issuer.refresh(client, profile, RT, { scopes: [], resource: null }, null, atOnce);
const redeem = async (world: World): Promise<IssuerOutcome> => {
  const { issuer, client, profile, server } = world;
  const request = issuer.newAuthorizationRequest(REDIRECT_URI);
  const callback = new URLSearchParams({ code: 'code-of-some-length-EXAMPLE', state: request.state.reveal(), iss: server.issuer });
  return issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP);
};
/** Of an answer that came, unless it is said that none did. */
const transient = (cause: string, over: Partial<Transient> = {}): Transient => ({ kind: 'transient', answerLost: false, retryAfterMs: null, cause, reach: 'server', timedOut: false, ...over });
const invalid = { kind: 'rejected', code: 'issuer_response_invalid', oauthError: null };
const empty = (status: number): Fault => ({ kind: 'answer', status });
const token = (members: object): Fault => faults.json({ access_token: 'at-EXAMPLE', token_type: 'Bearer', expires_in: 60, ...members });

describe('a refresh at a failing server', () => {
  it.each<[string, Fault, object]>([
    ['503 with seconds', faults.status(503, 7), transient('http_503', { retryAfterMs: 7_000 })],
    ['500', faults.status(500), transient('http_500')],
    ['408', faults.status(408), transient('http_408')],
    ['429 with X-Retry-After', { kind: 'answer', status: 429, headers: { 'x-retry-after': '3' } }, transient('http_429', { retryAfterMs: 3_000 })],
    ['429 with a verdict in its body', faults.oauthError('invalid_grant', 'slow', 429), transient('http_429')],
    ['502 with a huge page', { kind: 'answer', status: 502, headers: { 'content-type': 'text/html' }, body: 'x'.repeat(2_000_000) }, transient('http_502')],
    ['temporarily_unavailable', faults.oauthError('temporarily_unavailable'), transient('temporarily_unavailable')],
    ['connection closed before the answer', faults.dropBefore(), transient('reset', { answerLost: true, reach: 'network' })],
    ['answer lost after the issuer worked', faults.lostAnswer(), transient('reset', { answerLost: true, reach: 'network' })],
    ['a refusal cut in the middle', faults.truncated(), transient('reset')],
    ['no answer at all', faults.hang(), transient('timeout', { answerLost: true, reach: 'network', timedOut: true })],
    ['200 with a web page', faults.html(), transient('unreadable_answer', { answerLost: true })],
    ['200 with broken JSON', faults.malformed(), transient('unreadable_answer', { answerLost: true })],
    ['200 with another JSON', faults.json({ hello: 'world' }), transient('unreadable_answer', { answerLost: true })],
    ['200 with a list', faults.json([1]), transient('unreadable_answer', { answerLost: true })],
    ['200 with nothing', empty(200), transient('unreadable_answer', { answerLost: true })],
    ['204', empty(204), transient('unreadable_answer', { answerLost: true })],
    ['a token of another type', token({ token_type: 'mac' }), transient('unreadable_answer', { answerLost: true })],
    ['a token without type', token({ token_type: null }), transient('unreadable_answer', { answerLost: true })],
    ['a token that breaks out of a header', token({ access_token: 'at\r\nx-evil: 1' }), transient('unreadable_answer', { answerLost: true })],
    ['a body without end', faults.huge(), transient('unreadable_answer', { answerLost: true })],
    ['a gzip bomb', faults.gzipBomb(), transient('unreadable_answer', { answerLost: true })],
    ['gzip that is none', { kind: 'answer', status: 200, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: 'no gzip' }, transient('unreadable', { answerLost: true })],
    ['empty 400', empty(400), invalid],
    ['404 with a web page', faults.html(404), invalid],
    ['302', faults.redirect(302, 'https://evil.example/'), invalid],
    ['invalid_grant', faults.oauthError('invalid_grant', 'it was revoked'), { kind: 'rejected', code: 'issuer_refused', oauthError: 'invalid_grant', description: 'it was revoked' }],
    ['invalid_grant with 401', faults.oauthError('invalid_grant', 'x', 401), { kind: 'rejected', oauthError: 'invalid_grant' }],
    ['invalid_client with a challenge', { kind: 'answer', status: 401, headers: { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="x"' }, body: '{"error":"invalid_client"}' }, { kind: 'rejected', code: 'issuer_refused', oauthError: 'invalid_client' }],
    ['an error with status 200, as GitHub sends it', faults.json({ error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' }), { kind: 'rejected', code: 'issuer_refused', oauthError: 'bad_refresh_token' }],
    ['the end of a Google session', faults.json({ error: 'invalid_grant', error_description: 'reauth related error', error_subtype: 'invalid_rapt' }, 400), { oauthError: 'invalid_grant', subError: 'invalid_rapt', description: 'reauth related error (invalid_rapt)' }],
    ['what Entra says of a resource', faults.json({ error: 'invalid_grant', error_description: 'AADSTS65001: no consent', suberror: 'consent\u001b[31m_required' }, 400), { oauthError: 'invalid_grant', subError: 'consent_required', tokens: null }],
    ['a verdict that says no more', faults.json({ error: 'invalid_grant', suberror: '' }, 400), { oauthError: 'invalid_grant', subError: null, description: 'it gives no reason' }],
  ])('%s', async (_name, fault, expected) => {
    const world = await start();
    world.shim.fault('token', fault);
    expect(await refresh(world)).toMatchObject(expected);
    expect(world.shim.requestsTo('token')).toHaveLength(1);
  });

  it.each<[string, object, string | null]>([
    ['another type', { token_type: 'mac' }, 'another type than Bearer'],
    ['the type DPoP', { token_type: 'DPoP' }, 'another type than Bearer'],
    ['a type that every object has', { token_type: 'constructor' }, 'another type than Bearer'],
    ['no type', { token_type: undefined }, 'another type than Bearer'],
    ['a type that is no text', { token_type: ['Bearer'] }, 'another type than Bearer'],
    ['no access token', { access_token: undefined }, 'no access token'],
    ['an access token that is no text', { access_token: { value: 'at-EXAMPLE' } }, 'no access token'],
    ['an access token that breaks out of a header', { access_token: 'at\r\nx-evil: 1' }, 'no header can carry'],
    ['an access token that no header has room for', { access_token: 'x'.repeat(70_000) }, 'no header can carry'],
    ['an ID token that is no text', { id_token: { sub: 'eve' } }, null],
    ['a scope that is a list', { scope: ['read', 'write'] }, null],
    ['a scope that is a number', { scope: 7 }, null],
    ['scopes that every object has', { scope: 'constructor toString __proto__ hasOwnProperty' }, null],
    ['200,000 scopes', { scope: 's '.repeat(200_000) }, null],
    ['a life that is a list', { expires_in: [1] }, null],
    ['an error beside it', { error: 'server_error', error_description: 7, error_subtype: { a: 1 } }, null],
    ['members of every object', { constructor: 'x', toJSON: 'x', hasOwnProperty: 'x', expiresIn: 'x', claims: 'x', then: 'x', toString: 'x' }, null],
  ])('keeps the new refresh token that comes with %s', async (_name, members, why) => {
    const world = await start();
    world.shim.fault('token', token({ refresh_token: 'next-rt-EXAMPLE', ...members }));
    const tokens = tokensOf(await refresh(world));
    expect(tokens.refreshToken?.reveal()).toBe('next-rt-EXAMPLE');
    if (why === null) expect(tokens.withheld).toBeNull();
    else expect(tokens.withheld).toContain(why);
  });

  it('keeps the new refresh token beside a member __proto__ and a bottomless one, also with 201', async () => {
    const world = await start();
    const bottomless = `${'['.repeat(400_000)}${']'.repeat(400_000)}`;
    const body = `{"access_token":"at-EXAMPLE","token_type":"Bearer","refresh_token":"next-rt-EXAMPLE","__proto__":{"token_type":"mac"},"__proto__":"x","more":${bottomless}}`;
    for (const status of [200, 201]) {
      world.shim.fault('token', { kind: 'answer', status, headers: { 'content-type': 'application/json' }, body });
      expect(await refresh(world)).toMatchObject({ kind: 'tokens', tokens: { withheld: null } });
    }
  });

  it('keeps no refresh token that comes with an access token of another type and an ID token of another person', async () => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    const { refreshToken, identity } = tokensOf(await signIn(issuer, client, profile));
    const { edit } = faults.editIdToken(shim.issuer, (claims) => ({ ...claims, sub: 'eve' })) as Extract<Fault, { kind: 'edit_json' }>;
    shim.fault('token', faults.editJson(async (body) => ({ ...await edit(body), token_type: 'mac' })));
    expect(await issuer.refresh(client, profile, refreshToken ?? RT, { scopes: [], resource: null }, identity, atOnce)).toMatchObject({ kind: 'rejected', code: 'id_token_invalid', tokens: { withheld: null } });
  });

  it('takes an empty refresh token, and one that is no text, for none', async () => {
    const world = await start();
    for (const members of [{ refresh_token: '' }, { refresh_token: 7 }, { refresh_token: ['rt'] }]) {
      world.shim.fault('token', token(members));
      expect(tokensOf(await refresh(world))).toMatchObject({ refreshToken: null, withheld: null });
    }
  });

  it('counts a success that is cut in the middle as a lost answer', async () => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    const { refreshToken, identity } = tokensOf(await signIn(issuer, client, profile));
    shim.fault('token', faults.truncated());
    const outcome = await issuer.refresh(client, profile, refreshToken ?? RT, { scopes: [], resource: null }, identity, atOnce);
    expect(outcome).toEqual(transient('reset', { answerLost: true }));
    expect(shim.issuer.count('token', 'refresh_token')).toBe(1);
  });

  it.each([0, 10_000, -43_200_000, 43_200_000])('reads Retry-After as a date by the issuer\'s clock, while this machine\'s is wrong by %i ms', async (wrongMs) => {
    const world = await start();
    world.clock.aheadMs = wrongMs;
    world.shim.fault('token', faults.status(503, new Date(Date.now() + 30_000)));
    const outcome = await refresh(world);
    expect(outcome.kind === 'transient' ? outcome.retryAfterMs : outcome).toSatisfy((ms) => Number(ms) > 27_000 && Number(ms) <= 31_000);
  });

  it('tells a connection that was never made from one that broke', async () => {
    const world = await start();
    const dead = await startAttacker();
    await closing.pop()?.();
    const client = { ...world.client, server: { ...world.server, tokenEndpoint: `${dead.url}/token` } };
    expect(await refresh({ ...world, client })).toEqual(transient('refused', { reach: 'network' }));
  });

  it('ends a slow drip at its time limit', async () => {
    const world = await start();
    world.shim.fault('token', faults.drip(1, 40));
    const began = performance.now();
    expect(await refresh(world)).toMatchObject({ kind: 'transient', cause: 'timeout', timedOut: true });
    expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + 3_000);
  });

  it.each<[string, object, number | null]>([
    ['as a number', { expires_in: 3600 }, 3600],
    ['as a string', { expires_in: '3600' }, 3600],
    ['left out', { expires_in: undefined }, null],
    ['null, beside other nulls', { expires_in: null, scope: null, refresh_token: null, id_token: null }, null],
    ['nonsense', { expires_in: 'soon' }, null],
    ['negative', { expires_in: -1 }, null],
    ['beyond all dates', { expires_in: 1e300 }, 315_360_000],
  ])('takes expires_in %s', async (_name, members, expected) => {
    const world = await start();
    world.shim.fault('token', token(members));
    expect(tokensOf(await refresh(world)).expiresInS).toBe(expected);
  });

  it('takes scopes by spaces, and by commas where none was asked for with one', async () => {
    const world = await start();
    world.shim.fault('token', token({ scope: 'repo,read:user' }));
    world.shim.fault('token', token({ scope: 'a,b c' }));
    const { issuer, client, profile } = world;
    expect(tokensOf(await refresh(world)).scope).toEqual(['repo', 'read:user']);
    expect(tokensOf(await issuer.refresh(client, profile, RT, { scopes: scopes('a,b c'), resource: null }, null, atOnce)).scope).toEqual(['a,b', 'c']);
  });

  it('sends name and secret of a client so that servers that do not decode them read them too', async () => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    const secret = (text: string): ClientAt => ({ ...client, clientId: 'my-client_1.apps*', clientAuth: 'client_secret_basic', clientSecret: new Secret(text) });
    await issuer.refresh(secret('secret-of.some_length-EXAMPLE'), profile, RT, { scopes: [], resource: null }, null, atOnce);
    await issuer.refresh(secret('a b:%ü-EXAMPLE'), profile, RT, { scopes: [], resource: null }, null, atOnce);
    const sent = shim.requestsTo('token').map((each) => Buffer.from(String(each.headers.authorization).replace('Basic ', ''), 'base64').toString());
    expect(sent).toEqual(['my-client_1.apps*:secret-of.some_length-EXAMPLE', 'my-client_1.apps*:a+b%3A%25%C3%BC-EXAMPLE']);
    expect(shim.requestsTo('token').every((each) => each.params['client_secret'] === undefined)).toBe(true);
  });

  it('does not let a server bring the refresh token back in its error text', async () => {
    const world = await start();
    world.shim.fault('token', faults.oauthError(RT.reveal(), `${'x'.repeat(180)} ${RT.reveal()} \u001b[31mred`));
    const outcome = await refresh(world);
    expect(outcome).toMatchObject({ kind: 'rejected', oauthError: '[secret]' });
    world.shim.fault('token', faults.json({ error: 'invalid_grant', error_subtype: RT.reveal(), suberror: RT.reveal() }, 400));
    expect(await refresh(world)).toMatchObject({ subError: '[secret]', description: '([secret])' });
    expect(JSON.stringify([outcome, world.log])).not.toContain(RT.reveal().slice(0, 12));
    expect(JSON.stringify(outcome)).not.toContain('\\u001b');
  });
});

describe('a redemption at a failing server', () => {
  it.each<[string, Fault, object]>([
    ['200 with a web page', faults.html(), invalid],
    ['200 with broken JSON', faults.malformed(), invalid],
    ['a token of another type', token({ token_type: 'DPoP' }), invalid],
    ['a gzip bomb', faults.gzipBomb(), invalid],
    ['a redirect', faults.redirect(307, 'https://evil.example/'), invalid],
    ['a lost answer', faults.lostAnswer(), transient('reset', { answerLost: true, reach: 'network' })],
    ['no ID token though openid was asked for', token({}), { kind: 'rejected', code: 'id_token_invalid' }],
    ['an error', faults.oauthError('invalid_grant'), { kind: 'rejected', oauthError: 'invalid_grant', tokens: null }],
  ])('%s', async (_name, fault, expected) => {
    const world = await start();
    world.shim.fault('token', fault);
    expect(await redeem(world)).toMatchObject(expected);
  });

  it.each<[string, object, string, string | null]>([
    ['another type', { token_type: 'DPoP' }, 'at-EXAMPLE', 'rt-EXAMPLE'],
    ['no refresh token', { token_type: 'mac', refresh_token: undefined }, 'at-EXAMPLE', null],
    ['no access token', { access_token: undefined }, '', 'rt-EXAMPLE'],
    ['no ID token', {}, 'at-EXAMPLE', 'rt-EXAMPLE'],
  ])('hands on what came with %s, so that it can be revoked', async (_name, members, accessToken, refreshToken) => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    const poll = () => issuer.pollDevice(client, profile, { deviceCode: new Secret('device-code-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE') }, wantOf(profile), new AbortController().signal);
    for (const call of [() => redeem(world), poll]) {
      shim.fault('token', token({ refresh_token: 'rt-EXAMPLE', ...members }));
      const outcome = await call();
      const tokens = outcome.kind === 'rejected' ? outcome.tokens : null;
      expect([tokens?.accessToken.reveal(), tokens?.refreshToken?.reveal() ?? null, tokens?.withheld]).toEqual([accessToken, refreshToken, null]);
    }
    // The access token that never came is as dead as can be.
    if (accessToken === '') expect(await issuer.revoke(client, new Secret(''), 'access_token')).toEqual({ kind: 'revoked' });
  });

  it('[AZ-13] sends a code once, whatever comes back, and the next sign-in shares nothing with it', async () => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    const { request, callback } = await authorize(issuer, client, profile);
    shim.fault('token', faults.status(500));
    expect(await issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP)).toMatchObject({ kind: 'transient', cause: 'http_500' });
    await expect(issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP)).rejects.toThrow('redeemed once');
    expect(shim.requestsTo('token')).toHaveLength(1);
    const next = await authorize(issuer, client, profile);
    for (const part of ['state', 'nonce', 'verifier'] as const) expect(next.request[part].sameAs(request[part])).toBe(false);
    const [first, second] = shim.requestsTo('par').map((each) => each.params);
    for (const name of ['state', 'nonce', 'code_challenge']) expect(first?.[name]).not.toBe(second?.[name]);
  });

  it('refuses a callback of another sign-in, one without code, and one that repeats a parameter', async () => {
    const world = await start();
    const { issuer, client, profile, server, shim } = world;
    const made = (edit: (callback: URLSearchParams) => void) => {
      const request = issuer.newAuthorizationRequest(REDIRECT_URI);
      const callback = new URLSearchParams({ code: 'code-EXAMPLE', state: request.state.reveal(), iss: server.issuer });
      edit(callback);
      return issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP);
    };
    for (const edit of [
      (c: URLSearchParams) => c.set('state', 'other'), (c: URLSearchParams) => c.delete('state'), (c: URLSearchParams) => c.delete('code'),
      (c: URLSearchParams) => c.append('code', 'second'), (c: URLSearchParams) => c.append('iss', server.issuer),
    ]) expect(await made(edit)).toMatchObject(invalid);
    expect(shim.requestsTo('token')).toHaveLength(0);
  });
});

describe('who answered', () => {
  it.each<[string, boolean, (iss: string) => string | null, boolean]>([
    ['advertised, present and equal', true, (iss) => iss, true],
    ['advertised and absent', true, () => null, false],
    ['not advertised, present and equal', false, (iss) => iss, true],
    ['not advertised and absent', false, () => null, true],
    ['advertised, another issuer', true, () => 'https://honest.example', false],
    ['not advertised, another issuer', false, () => 'https://honest.example', false],
    ['with a slash more', true, (iss) => `${iss}/`, false],
    ['in other letters', true, (iss) => iss.replace('http', 'HTTP'), false],
    ['empty', false, () => '', false],
  ])('[AZ-05] iss %s', async (_name, advertised, say, holds) => {
    const attacker = await startAttacker();
    const { issuer } = makeIssuer();
    closing.push(() => issuer.close());
    const profile = profileAt(attacker.url, { scopes: scopes('read') });
    const server = someServer({ issuer: attacker.url, tokenEndpoint: `${attacker.url}/token`, issParameterSupported: advertised, isOpenIdProvider: false, jwksUri: null });
    for (const kind of ['code', 'error'] as const) {
      const request = issuer.newAuthorizationRequest(REDIRECT_URI);
      const callback = new URLSearchParams({ [kind]: 'something-EXAMPLE', state: request.state.reveal(), ...(kind === 'error' ? { error_description: 'call 0900-EVIL' } : {}) });
      const iss = say(server.issuer);
      if (iss !== null) callback.set('iss', iss);
      const outcome = await issuer.redeem(clientOf(profile, server), profile, request, callback, wantOf(profile), NO_STEP_UP);
      if (holds) expect(outcome.kind === 'rejected' ? outcome.oauthError : outcome.kind).toBe(kind === 'code' ? 'tokens' : 'something-EXAMPLE');
      else expect(outcome).toMatchObject({ kind: 'rejected', code: 'iss_mismatch', oauthError: null });
      if (!holds) expect(JSON.stringify(outcome)).not.toContain('0900');
    }
    expect(attacker.hits).toEqual(holds ? ['POST /token'] : []);
  });

  it('[AZ-06] redeems at the endpoint of the start, whatever the metadata says by then', async () => {
    const attacker = await startAttacker();
    const { issuer, client, profile, shim } = await start();
    const { request, callback } = await authorize(issuer, client, profile);
    shim.fault('discovery', faults.withMembers({ token_endpoint: `${attacker.url}/token`, jwks_uri: `${attacker.url}/jwks`, revocation_endpoint: `${attacker.url}/revoke` }), 99);
    const tokens = tokensOf(await issuer.redeem(client, profile, request, callback, wantOf(profile), NO_STEP_UP));
    expect(tokens.identity?.sub).toBe('ada');
    expect(await issuer.revoke(client, tokens.accessToken, 'access_token')).toEqual({ kind: 'revoked' });
    expect(attacker.hits).toEqual([]);
  });
});

describe('metadata', () => {
  const evil: readonly (readonly [string, object, string])[] = [
    ['another issuer', { issuer: 'https://other.example' }, 'as_metadata_invalid'],
    ['no issuer', { issuer: undefined }, 'as_metadata_invalid'],
    ['no token endpoint', { token_endpoint: undefined }, 'as_metadata_invalid'],
    ['an http endpoint', { token_endpoint: 'http://issuer.example/token' }, 'as_metadata_invalid'],
    ['a loopback name', { token_endpoint: 'http://localhost:1/token' }, 'as_metadata_invalid'],
    ['a disguised loopback', { token_endpoint: 'http://127.1:1/token' }, 'as_metadata_invalid'],
    ['a script', { authorization_endpoint: 'javascript:alert(1)' }, 'as_metadata_invalid'],
    ['a file', { authorization_endpoint: 'file:///etc/passwd' }, 'as_metadata_invalid'],
    ['a name and password', { authorization_endpoint: 'https://a:b@issuer.example/' }, 'as_metadata_invalid'],
    ['a fragment', { revocation_endpoint: 'https://issuer.example/#x' }, 'as_metadata_invalid'],
    ['a list for a URL', { jwks_uri: ['https://issuer.example/jwks'] }, 'as_metadata_invalid'],
    ['required PAR without endpoint', { require_pushed_authorization_requests: true, pushed_authorization_request_endpoint: undefined }, 'as_metadata_invalid'],
  ];
  it.each(evil)('refuses %s', async (_name, members, code) => {
    const { shim, issuer, profile } = await start();
    shim.fault('discovery', faults.withMembers({ ...members }), 9);
    expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'rejected', code });
  });

  it('[MD-01] takes metadata of exactly the issuer that was asked, with and without a path', async () => {
    for (const path of ['', '/realms/a']) {
      const { shim, issuer, profile } = await start({ path });
      for (const said of ['https://other.example', `${shim.url}/`, shim.url.replace('http:', 'HTTP:'), `${shim.url}/REALMS`]) {
        shim.fault('discovery', faults.withMembers({ issuer: said }));
        expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
      }
      // The profile's slash counts as well.
      expect(await issuer.discover({ ...profile, issuer: `${shim.url}/` }, FRESH)).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
      expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'server' });
    }
  });

  it('[MD-01] looks in the well-known places in their order, and says where it looked', async () => {
    const { shim, issuer, profile } = await start({ path: '/realms/a' });
    const tried = async (metadata: 'oidc' | 'oauth'): Promise<readonly string[]> => {
      const before = shim.log.length;
      shim.fault('discovery', faults.html(404), 3);
      const outcome = await issuer.discover({ ...profile, traits: someTraits({ metadata }) }, FRESH);
      expect(outcome).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
      return shim.log.slice(before).map((each) => each.url);
    };
    const [appended, inserted, oauth] = ['/realms/a/.well-known/openid-configuration', '/.well-known/openid-configuration/realms/a', '/.well-known/oauth-authorization-server/realms/a'];
    expect(await tried('oidc')).toEqual([appended, inserted, oauth]);
    expect(await tried('oauth')).toEqual([oauth, inserted, appended]);
  });

  it('[AZ-02] refuses a server that does not list S256, unless the profile asserts it', async () => {
    const { shim, issuer, profile } = await start();
    for (const methods of [undefined, [], ['plain'], 'S256']) {
      shim.fault('discovery', faults.withMembers({ code_challenge_methods_supported: methods }));
      expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'rejected', code: 'as_no_s256' });
    }
    shim.fault('discovery', faults.withMembers({ code_challenge_methods_supported: undefined }));
    expect(await issuer.discover({ ...profile, traits: someTraits({ pkce: 'asserted' }) })).toMatchObject({ kind: 'server' });
  });

  it('keeps an outage of discovery apart from a verdict', async () => {
    const { shim, issuer, profile } = await start();
    shim.fault('discovery', faults.status(503, 2));
    expect(await issuer.discover(profile, FRESH)).toEqual(transient('http_503', { retryAfterMs: 2_000 }));
    shim.fault('discovery', faults.hang());
    expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'transient', timedOut: true });
  });

  it('makes the server of written endpoints, checked like any other', async () => {
    const { issuer } = makeIssuer();
    closing.push(() => issuer.close());
    const endpoints = { authorization: 'https://as.example/authorize', token: 'https://as.example/token', revocation: null, deviceAuthorization: null };
    const profile = profileAt('https://as.example', { endpoints, traits: someTraits({ metadata: 'none', pkce: 'asserted' }) });
    expect(await issuer.discover(profile, FRESH)).toMatchObject({ kind: 'server', server: { tokenEndpoint: 'https://as.example/token', jwksUri: null, isOpenIdProvider: false } });
    expect(await issuer.discover({ ...profile, traits: someTraits({ metadata: 'none' }) })).toMatchObject({ kind: 'rejected', code: 'as_no_s256' });
    expect(await issuer.discover({ ...profile, endpoints: { ...endpoints, token: 'http://as.example/token' } })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    expect(await issuer.discover({ ...profile, endpoints: null })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
  });

  it('[MD-02] refuses http but for literal loopback that the profile allows', async () => {
    const { shim, issuer, profile } = await start();
    const asked = shim.log.length;
    for (const url of [shim.url.replace('127.0.0.1', 'localhost'), shim.url.replace('127.0.0.1', '127.1'), 'http://issuer.example']) {
      expect(await issuer.discover({ ...profile, issuer: url })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    }
    expect(await issuer.discover({ ...profile, allowLoopbackHttp: false })).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    // The switch was turned off after the sign-in.
    const connection = { caPem: null, proxy: null, allowLoopbackHttp: false };
    const client = clientOf(profile, someServer({ issuer: shim.url, tokenEndpoint: `${shim.url}/token` }), { connection });
    expect(await issuer.refresh(client, profile, RT, { scopes: [], resource: null }, null, atOnce)).toMatchObject({ kind: 'rejected', code: 'as_metadata_invalid' });
    expect(shim.log).toHaveLength(asked);
  });
});

describe('requests that carry secrets', () => {
  const calls: readonly (readonly ['token' | 'par' | 'device' | 'revocation', (world: World) => Promise<{ readonly kind: string }>])[] = [
    ['token', redeem],
    ['par', ({ issuer, client, profile }) => issuer.authorizationUrl(client, profile, issuer.newAuthorizationRequest(REDIRECT_URI), wantOf(profile), NO_STEP_UP, null)],
    ['device', ({ issuer, client, profile }) => issuer.startDevice(client, profile, wantOf(profile))],
    ['revocation', ({ issuer, client }) => issuer.revoke(client, RT, 'refresh_token')],
  ];

  it.each(calls)('[MD-03] %s: follows no redirect', async (endpoint, call) => {
    const attacker = await startAttacker();
    const world = await start();
    for (const status of [301, 302, 303, 307, 308] as const) {
      world.shim.fault(endpoint, faults.redirect(status, `${attacker.url}/${endpoint}`));
      expect(await call(world)).toMatchObject(invalid);
    }
    expect(attacker.hits).toEqual([]);
    expect(world.shim.requestsTo(endpoint)).toHaveLength(5);
  });

  it.each(calls)('[MD-03] %s: ends a silent server, a bomb and a web page cleanly', async (endpoint, call) => {
    const world = await start();
    world.shim.fault(endpoint, faults.hang());
    world.shim.fault(endpoint, faults.gzipBomb());
    world.shim.fault(endpoint, faults.huge());
    world.shim.fault(endpoint, faults.html(400));
    expect(await call(world)).toMatchObject({ kind: 'transient', cause: 'timeout', timedOut: true });
    expect(await call(world)).toMatchObject(invalid);
    expect(await call(world)).toMatchObject(invalid);
    expect(await call(world)).toMatchObject(invalid);
    if (endpoint === 'revocation') return;
    world.shim.fault(endpoint, faults.html(200));
    world.shim.fault(endpoint, { kind: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '{"access_token":"at-EXAMPLE","token_type":"Bearer","request_uri":"urn:x","expires_in":9}' });
    expect(await call(world)).toMatchObject(invalid);
    expect(await call(world)).toMatchObject(invalid);
  });

  it('use no connection twice, so that none can close under a refresh', async () => {
    const world = await start();
    world.shim.fault('token', token({}), 2);
    await refresh(world);
    await refresh(world);
    expect(world.shim.requestsTo('token').map((each) => each.headers.connection)).toEqual(['close', 'close']);
  });
});

describe('a pushed request that is for other clients', () => {
  it('goes by the query where PAR is an offer, and not where it is a demand', async () => {
    const { issuer, client, profile, shim, server } = await start();
    shim.fault('par', faults.oauthError('unauthorized_client'), 2);
    const url = (at: ClientAt) => issuer.authorizationUrl(at, profile, issuer.newAuthorizationRequest(REDIRECT_URI), wantOf(profile), NO_STEP_UP, null);
    const made = await url(client);
    expect(made.kind === 'url' ? new URL(made.url).searchParams.get('code_challenge_method') : made).toBe('S256');
    expect(made).toMatchObject({ expiresInS: null });
    expect(await url({ ...client, server: { ...server, requirePushedAuthorizationRequests: true } })).toMatchObject({ kind: 'rejected', oauthError: 'unauthorized_client' });
  });
});

describe('a pushed request', () => {
  it.each<[string, unknown, number]>([['a number', 60, 60], ['a text', '90', 90], ['nothing', 0, 0], ['a broken second', 59.9, 59]])('says how long its URL works, given as %s', async (_name, life, expected) => {
    const { issuer, client, profile, shim } = await start();
    shim.fault('par', faults.json({ request_uri: 'urn:ietf:params:oauth:request_uri:x-EXAMPLE', expires_in: life }, 201));
    expect(await issuer.authorizationUrl(client, profile, issuer.newAuthorizationRequest(REDIRECT_URI), wantOf(profile), NO_STEP_UP, null)).toMatchObject({ kind: 'url', expiresInS: expected });
  });
});

describe('a device flow at other people\'s servers', () => {
  const poll = ({ issuer, client, profile }: World, signal = new AbortController().signal) => issuer.pollDevice(client, profile, { deviceCode: new Secret('device-code-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE') }, { scopes: scopes('read'), resource: null }, signal);

  it.each<[string, Fault, object]>([
    ['pending', faults.oauthError('authorization_pending'), { kind: 'pending', slowDown: false }],
    ['pending with 428, as Google says it', faults.oauthError('authorization_pending', 'Precondition Required', 428), { kind: 'pending', slowDown: false }],
    ['slow_down', faults.slowDown(), { kind: 'pending', slowDown: true }],
    ['slow_down with 429', faults.oauthError('slow_down', 'x', 429), { kind: 'pending', slowDown: true }],
    ['slow_down with 200, as GitHub says it', faults.json({ error: 'slow_down', interval: 10 }), { kind: 'pending', slowDown: true }],
    ['429 alone', empty(429), transient('http_429')],
    ['expired', faults.oauthError('expired_token'), { kind: 'rejected', code: 'flow_timeout', oauthError: 'expired_token' }],
    ['denied', faults.oauthError('access_denied'), { kind: 'rejected', code: 'access_denied', oauthError: 'access_denied' }],
    ['silent', faults.hang(), { kind: 'transient', timedOut: true }],
  ])('poll: %s', async (_name, fault, expected) => {
    const world = await start();
    world.shim.fault('token', fault);
    expect(await poll(world)).toMatchObject(expected);
  });

  it('stops at once when told to', async () => {
    const world = await start();
    world.shim.fault('token', faults.hang());
    const stop = new AbortController();
    const polling = poll(world, stop.signal);
    await expect.poll(() => world.shim.requestsTo('token').length).toBe(1);
    const began = performance.now();
    stop.abort(new BrokerError('login_cancelled', 'nobody waits any more'));
    expect(await polling).toMatchObject({ kind: 'transient', cause: 'aborted', timedOut: false });
    expect(performance.now() - began).toBeLessThan(boundMs(600));
  });

  it('takes Google\'s verification_url, and bounds what the server says', async () => {
    const { issuer, client, profile, shim } = await start();
    const started = (members: object): Fault => faults.json({ device_code: 'device-code-EXAMPLE', user_code: 'GQVQ-JKEC', expires_in: 1800, ...members });
    shim.fault('device', started({ verification_url: 'https://www.google.com/device', interval: 5 }));
    shim.fault('device', started({ verification_uri: 'https://as.example/device', interval: 0, user_code: 'AB\u001b[31m\nCD' }));
    shim.fault('device', started({ verification_uri: 'https://as.example/\u202edevice' }));
    expect(await issuer.startDevice(client, profile, wantOf(profile))).toMatchObject({ kind: 'device', verificationUri: 'https://www.google.com/device', verificationUriComplete: null, intervalS: 5, expiresInS: 1800 });
    expect(await issuer.startDevice(client, profile, wantOf(profile))).toMatchObject({ kind: 'device', intervalS: 5, userCode: 'AB CD' });
    expect(await issuer.startDevice(client, profile, wantOf(profile))).toMatchObject(invalid);
  });
});

describe('a revocation', () => {
  it.each<[string, Fault, object]>([
    ['done', empty(200), { kind: 'revoked' }],
    ['done with a page', faults.html(200), { kind: 'revoked' }],
    ['done with 204', empty(204), { kind: 'revoked' }],
    ['of a token that is dead already, as Google says it', faults.oauthError('invalid_token'), { kind: 'revoked' }],
    ['of a kind that is not supported', faults.oauthError('unsupported_token_type'), { kind: 'unsupported' }],
    ['at a busy server', faults.status(503, 9), transient('http_503', { retryAfterMs: 9_000 })],
    ['refused', faults.oauthError('invalid_client', 'no', 401), { kind: 'rejected', oauthError: 'invalid_client' }],
  ])('%s', async (_name, fault, expected) => {
    const { issuer, client, shim } = await start();
    shim.fault('revocation', fault);
    expect(await issuer.revoke(client, RT, 'refresh_token')).toMatchObject(expected);
    expect(shim.requestsTo('revocation')[0]?.params).toMatchObject({ token: RT.reveal(), token_type_hint: 'refresh_token' });
  });
});
