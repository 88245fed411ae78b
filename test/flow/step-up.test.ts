/** A stronger sign-in where a resource asks for it (RFC 9470): the daemon in process, oidc-provider, a mock resource. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../client/index.ts';
import { followLogin } from '../../demo/browser.ts';
import { CookieJar } from '../../demo/cookie-jar.ts';
import type { SignIn } from '../../demo/issuer.ts';
import { someFacts, someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
/** The class that the person reaches, by what the request asks for. */
const reaches = (params: Readonly<Record<string, unknown>>): SignIn => (String(params['acr_values'] ?? '').includes('gold') ? { acr: 'gold' } : {});

async function setUp(options: Parameters<typeof startHostileIssuer>[0] = {}, more = ''): Promise<void> {
  await vk?.stop();
  await hostile?.close();
  hostile = await startHostileIssuer({ scopes: ['read', 'write', 'admin'], acrValues: ['bronze', 'gold', 'platinum'], signIn: (_login, params) => reaches(params), ...options });
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url, more).replace('"email", ', '"email", "read", "write", ') });
  vk.caller = { origin: someOrigin() };
}
beforeEach(() => setUp());
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});

const GOLD = 'Bearer realm="api", error="insufficient_user_authentication", error_description="more", acr_values="gold"';
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const logins = () => vk.audit.events.filter(({ event }) => event === 'login_decided').length;
const asked = () => hostile.requestsTo('par').map(({ params }) => params);
const view = async (id: string) => (await vk.api('GET', `/v1/logins/${id}?wait_s=10`)).body;
/** As a client does it: ask, and let the person sign in where the answer says so. */
async function stepUp(ask: object = {}, login = 'alice', jar = new CookieJar()) {
  const first = await token({ challenge: GOLD, ...ask, interaction: 'allowed' });
  if (first.login === undefined) return { first, end: null, second: first };
  await followLogin(first.login.start_url, { login, jar });
  const end = await view(first.login.id);
  return { first, end, second: await token({ challenge: GOLD, ...ask }) };
}

describe('[SU-01] a challenge of a resource', () => {
  it('starts a PKCE login with its acr_values, max_age and scope, and says what was reached', async () => {
    await vk.signIn('work', 'alice');
    const before = asked().length;
    const { first, end, second } = await stepUp({ challenge: `${GOLD}, max_age=300, scope="read"` });
    expect(first).toMatchObject({ code: 'login_required', reason: 'acr', login: { state: 'pending', flow: 'authorization_code', owned: true } });
    expect(asked().slice(before)).toMatchObject([{ acr_values: 'gold', max_age: '300', scope: 'openid read', code_challenge_method: 'S256' }]);
    expect(end).toMatchObject({ state: 'complete' });
    expect(second).toMatchObject({ source: 'cache', acr: 'gold', scope: 'openid read', rule: 'shipped/login-session' });
    expect(Math.abs(second.auth_time - Date.now() / 1000)).toBeLessThan(300);
    expect(await hostile.issuer.introspect(second.access_token)).toMatchObject({ active: true });
    expect(vk.audit.events.findLast(({ event }) => event === 'token_released')?.facts).toMatchObject({ acr: 'gold' });
  });

  it('leaves the ordinary token to routine calls, before and after a refresh and a restart', async () => {
    await setUp({}, '');
    await vk.stop();
    vk = await startInProcess({ config: profileToml('work', hostile.url).replace('"email", ', '"email", "read", "write", '), backend: 'passphrase' });
    await vk.api('POST', '/v1/unlock', { passphrase: 'a long passphrase EXAMPLE', create: true });
    await vk.signIn('work', 'alice');
    const low = await token();
    const { second: high } = await stepUp();
    expect(high.access_token).not.toBe(low.access_token);
    expect(await token()).toEqual(low);
    expect(low).not.toHaveProperty('acr');
    const refreshed = await token({ force: true });
    expect(refreshed).toMatchObject({ source: 'refresh' });
    expect((await token({ challenge: GOLD })).access_token).toBe(high.access_token);
    await vk.restart();
    await vk.api('POST', '/v1/unlock', { passphrase: 'a long passphrase EXAMPLE' });
    expect((await token()).access_token).toBe(refreshed.access_token);
    expect((await token({ challenge: GOLD })).access_token).toBe(high.access_token);
    expect(await token({ max_age_s: 3_600 })).toMatchObject({ access_token: refreshed.access_token, acr: null });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0]).toMatchObject({ claims: { acr: null }, state: 'active' });
  });

  it('asks for no refresh token, and a step-up that is over is asked for again', async () => {
    await vk.signIn('work', 'alice');
    const minted = () => hostile.issuer.minted.filter(({ kind }) => kind === 'refresh_token').length;
    const before = minted();
    await stepUp();
    expect(minted()).toBe(before);
    vk.skipMs = 3_601_000;
    expect(await token({ challenge: GOLD })).toMatchObject({ code: 'login_required', reason: 'acr' });
    expect(await token()).toMatchObject({ source: 'refresh' });
  });

  it('stops at two logins where the issuer never meets it, the second with prompt=login, and harms the ordinary sign-in in nothing', async () => {
    await setUp({ signIn: () => ({ acr: 'bronze' }) });
    const jar = new CookieJar();
    const started = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    await followLogin(started.start_url, { login: 'alice', jar });
    expect(await view(started.id)).toMatchObject({ state: 'complete' });
    const before = { logins: logins(), asked: asked().length };
    for (const prompt of [undefined, 'login']) {
      const { end, second } = await stepUp({}, 'alice', jar);
      expect(end).toMatchObject({ state: 'failed', error: { code: 'stepup_unmet' } });
      expect(second).toMatchObject({ code: 'login_required', reason: 'acr' });
      expect(asked().at(-1)?.['prompt']).toBe(prompt);
    }
    for (let i = 0; i < 3; i += 1) expect(await token({ challenge: GOLD, interaction: 'allowed' })).toMatchObject({ code: 'stepup_unmet', detail: expect.stringContaining('asked twice') });
    expect({ logins: logins() - before.logins, asked: asked().length - before.asked }).toEqual({ logins: 2, asked: 2 });
    expect(hostile.requestsTo('revocation')).toEqual([]);
    expect(await token({ force: true })).toMatchObject({ source: 'refresh' });
    // Another demand is another matter, and after a while so is this one.
    expect(await token({ challenge: GOLD.replace('gold', 'platinum'), interaction: 'allowed' })).toMatchObject({ code: 'login_required', login: { state: 'pending' } });
    vk.skipMs = 61_000;
    expect(await token({ challenge: GOLD, interaction: 'allowed' })).toMatchObject({ code: 'login_required', login: { state: 'pending' } });
  });

  it('is met at the second login by an issuer that answered the first from a weaker session of the browser', async () => {
    const jar = new CookieJar();
    const started = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    await followLogin(started.start_url, { login: 'alice', jar });
    expect((await stepUp({}, 'alice', jar)).end).toMatchObject({ state: 'failed', error: { code: 'stepup_unmet' } });
    expect((await stepUp({}, 'alice', jar)).second).toMatchObject({ acr: 'gold' });
  });

  it('never goes by the device flow, also where that would be the way to sign in', async () => {
    await vk.signIn('work', 'alice');
    await vk.config(`[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url, 'flow = "device"')}`);
    await vk.api('POST', '/v1/reload');
    vk.facts = someFacts({ gui: 'none', browser: 'none' });
    expect(await token({ challenge: GOLD, interaction: 'allowed' })).toMatchObject({ code: 'flow_refused', reason: 'pkce_unavailable' });
    expect((await vk.api('POST', '/v1/logins', { profile: 'work', challenge: GOLD, flow: 'device' })).body).toMatchObject({ code: 'flow_refused', reason: 'pkce_unavailable' });
    expect(hostile.requestsTo('device')).toEqual([]);
  });

  it('gets no scope that the sign-in does not have: a resource cannot widen what a token is good for', async () => {
    await vk.signIn('work', 'alice');
    const before = logins();
    const wide = { challenge: `${GOLD}, scope="read admin"`, interaction: 'allowed' };
    expect(await token(wide)).toMatchObject({ code: 'scope_not_granted', detail: expect.stringContaining('admin') });
    expect((await vk.api('POST', '/v1/logins', { profile: 'work', challenge: wide.challenge })).body).toMatchObject({ code: 'scope_not_granted' });
    expect(asked()).toHaveLength(1);
    expect(logins() - before).toBeLessThanOrEqual(1);
  });

  it('gets what policy lets out, and nothing that it denies', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "reader"\ndecide = "allow"\nceiling = { scopes = ["read"], acr = ["gold"] }\n');
    await vk.api('POST', '/v1/reload');
    expect(await token({ challenge: `${GOLD}, scope="write"`, interaction: 'allowed' })).toMatchObject({ code: 'policy_denied', reason: 'user/reader' });
    expect(await token({ challenge: GOLD.replace('gold', 'bronze'), interaction: 'allowed' })).toMatchObject({ code: 'policy_denied', reason: 'user/reader' });
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "no"\ndecide = "deny"\n');
    await vk.api('POST', '/v1/reload');
    expect(await token({ challenge: GOLD, interaction: 'allowed' })).toMatchObject({ code: 'policy_denied', reason: 'user/no' });
    expect((await vk.api('POST', '/v1/logins', { profile: 'work', challenge: GOLD })).body).toMatchObject({ code: 'flow_refused', reason: 'tenant_not_allowed' });
  });

  it('asks nobody to agree before the sign-in that is needed, and once after it', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "each"\ndecide = "confirm"\nask = "each"\n');
    await vk.api('POST', '/v1/reload');
    expect(await token({ challenge: GOLD })).toMatchObject({ code: 'login_required', reason: 'acr' });
    expect((await vk.api('GET', '/v1/approvals')).body.pending).toEqual([]);
    await vk.signIn('work', 'alice', { challenge: GOLD });
    expect(await token({ challenge: GOLD, wait_s: 0 })).toMatchObject({ code: 'approval_required', reason: 'user/each' });
    expect((await vk.api('GET', '/v1/approvals')).body.pending).toHaveLength(1);
  });

  it('stores nothing of another account', async () => {
    await vk.signIn('work', 'alice');
    const { end, second } = await stepUp({}, 'mallory');
    expect(end).toMatchObject({ state: 'failed', error: { code: 'subject_mismatch' } });
    expect(second).toMatchObject({ code: 'login_required', reason: 'acr' });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0]).toMatchObject({ subject: { sub: 'alice' }, tokens: [{}] });
  });

  it('is joined by whoever has the same one, and by no ordinary sign-in', async () => {
    await vk.signIn('work', 'alice');
    const views = await Promise.all(Array.from({ length: 20 }, () => token({ challenge: GOLD, interaction: 'allowed' })));
    expect(new Set(views.map(({ login }) => login.id)).size).toBe(1);
    const ordinary = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    expect(ordinary.id).not.toBe(views[0].login.id);
    await followLogin(ordinary.start_url, { login: 'alice' });
    expect(await view(ordinary.id)).toMatchObject({ state: 'complete' });
    expect(await token({ challenge: GOLD })).toMatchObject({ code: 'login_required', login: { id: views[0].login.id } });
    expect((await token()).login).toBeUndefined();
    await vk.api('DELETE', '/v1/grants/work');
    expect(await view(views[0].login.id)).toMatchObject({ state: 'failed', error: { code: 'login_cancelled' } });
  });

  it('is the sign-in where there is none to stand beside', async () => {
    const { first, second } = await stepUp();
    expect(first).toMatchObject({ reason: 'never_signed_in', login: { state: 'pending' } });
    expect(second).toMatchObject({ acr: 'gold' });
    expect(await token({ force: true })).toMatchObject({ source: 'refresh' });
  });

  it('ends with the grant: logged out, its token is revoked with the others', async () => {
    await vk.signIn('work', 'alice');
    const { second } = await stepUp();
    await vk.api('DELETE', '/v1/grants/work');
    expect(await hostile.issuer.introspect(second.access_token)).toMatchObject({ active: false });
    await vk.signIn('work', 'alice');
    expect(await token({ challenge: GOLD })).toMatchObject({ code: 'login_required', reason: 'acr' });
  });

  it('that asks for nothing is refused, in both dialects, and so is one beside acr_values', async () => {
    await vk.signIn('work', 'alice');
    expect(await token({ challenge: 'Bearer error="invalid_token"' })).toMatchObject({ code: 'bad_request', detail: expect.stringContaining('RFC 9470') });
    expect(await token({ challenge: GOLD, acr_values: ['x'] })).toMatchObject({ code: 'bad_request' });
    expect(await token({ challenge: 'x'.repeat(8_193) })).toMatchObject({ code: 'bad_request' });
    const line = await new Promise<string>((resolve, reject) => {
      const socket = createConnection(vk.socket, () => socket.write(`${JSON.stringify({ type: 'token', id: 1, data: { profile: 'work', challenge: GOLD } })}\n`));
      socket.once('data', (chunk) => { socket.end(); resolve(chunk.toString()); }).once('error', reject);
    });
    expect(JSON.parse(line)).toMatchObject({ status: 401, data: { code: 'login_required', reason: 'acr' } });
  });

  it('with max_age 0 takes a login each time that a minute has passed, and the same token within it', async () => {
    await vk.signIn('work', 'alice');
    const now = `${GOLD.replace('acr_values="gold"', 'max_age=0')}`;
    const { second } = await stepUp({ challenge: now });
    expect(second).toMatchObject({ source: 'cache', acr: null });
    expect((await token({ challenge: now })).access_token).toBe(second.access_token);
    vk.skipMs = 62_000;
    expect(await token({ challenge: now })).toMatchObject({ code: 'login_required', reason: 'max_age' });
  });

  it('is met by the library\'s fetch where it may interact, and by nobody where it may not', async () => {
    await vk.signIn('work', 'alice');
    const low = (await token()).access_token as string;
    const hits: (string | undefined)[] = [];
    const resource = createServer((request, response) => {
      const presented = request.headers.authorization?.slice('Bearer '.length);
      hits.push(presented);
      if (presented === low || request.url === '/never') response.writeHead(401, { 'www-authenticate': ['Basic realm="x"', GOLD] }).end();
      else hostile.issuer.introspect(presented ?? '').then(({ active, sub }) => response.writeHead(active ? 200 : 401).end(String(sub)), () => response.writeHead(500).end());
    }).listen(0, '127.0.0.1');
    await once(resource, 'listening');
    const origin = `http://127.0.0.1:${(resource.address() as AddressInfo).port}`;
    const client = connect({ socket: vk.socket });
    const openBrowser = async (startUrl: string): Promise<void> => void (await followLogin(startUrl, { login: 'alice' }));
    try {
      const before = logins();
      expect((await client.createFetch('work', { origins: [origin], openBrowser })(`${origin}/pay`)).status).toBe(401);
      expect({ hits: hits.splice(0), logins: logins() - before }).toEqual({ hits: [low], logins: 0 });
      const able = client.createFetch('work', { origins: [origin], interaction: 'allowed', openBrowser });
      for (const expected of [1, 1]) { // the second call has the token of the first
        const response = await able(`${origin}/pay`, { method: 'POST', body: 'x=1' });
        expect({ status: response.status, text: await response.text(), logins: logins() - before }).toEqual({ status: 200, text: 'alice', logins: expected });
        expect(hits.splice(0).map((each) => each === low)).toEqual([true, false]);
      }
      expect((await token()).access_token).toBe(low);
      // A resource that no token contents: once more for the one that it refused, and then its word stands.
      expect((await able(`${origin}/never`)).status).toBe(401);
      expect({ hits: hits.splice(0).length, logins: logins() - before }).toEqual({ hits: 3, logins: 2 });
    } finally {
      client.close();
      resource.close();
    }
  });

  it('waits for a refresh that is on the wire: neither answer is lost', async () => {
    await vk.signIn('work', 'alice');
    const first = await token({ challenge: GOLD, interaction: 'allowed' });
    hostile.fault('token', faults.delay(700));
    const refreshing = token({ force: true });
    await expect.poll(() => hostile.requestsTo('token').length, { interval: 5 }).toBe(2);
    await followLogin(first.login.start_url, { login: 'alice' });
    expect(await view(first.login.id)).toMatchObject({ state: 'complete' });
    const refreshed = await refreshing;
    expect(refreshed).toMatchObject({ source: 'refresh' });
    expect((await token()).access_token).toBe(refreshed.access_token);
    expect(await token({ challenge: GOLD })).toMatchObject({ acr: 'gold' });
    expect(await token({ force: true })).toMatchObject({ source: 'refresh' });
    expect(hostile.issuer.events.filter(({ name }) => name === 'grant.revoked')).toEqual([]);
  });
});
