/** RP-initiated logout at a real OpenID provider, by the browser that signed in (RV-03). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import type { Visit } from '../../demo/browser.ts';
import { CookieJar } from '../../demo/cookie-jar.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
let jar: CookieJar;

const start = async (body: object = {}) => vk.api('POST', '/v1/grants/work/end-session', body);
const visit = (url: string, over: object = {}): Promise<Visit> => followLogin(url, { login: 'alice', jar, ...over });

/** Signs in with this browser. @returns whether the provider asked who it is */
async function signIn(): Promise<boolean> {
  const started = await vk.api('POST', '/v1/logins', { profile: 'work' });
  const { hops } = await visit(started.body.start_url);
  expect((await vk.api('GET', `/v1/logins/${started.body.id}?wait_s=10`)).body.state).toBe('complete');
  const before = issuer.events.length;
  expect(before).toBeGreaterThan(0);
  return hops.filter(({ method, url }) => method === 'POST' && url.includes('/interaction/')).length > 1;
}

beforeEach(async () => {
  issuer = await startIssuer({ clients: [{ id: 'valetkey', metadata: { post_logout_redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'] } }] });
  vk = await startInProcess({ config: profileToml('work', issuer.url) });
  jar = new CookieJar();
});
afterEach(async () => {
  await vk.stop();
  await issuer.close();
});

describe('the end of the browser\'s session', () => {
  it('[RV-03] is asked for with client_id, logout_hint and state, the state is checked, and the provider\'s session is gone', async () => {
    expect(await signIn()).toBe(true);
    expect(await signIn()).toBe(false);
    const { body } = await start({ returns: true });
    expect(body).toMatchObject({ profile: 'work', issuer_host: new URL(issuer.url).host, start_url: expect.stringContaining('http://127.0.0.1:') });
    const asked = await visit(body.start_url, { stopBefore: (url: URL) => url.origin === issuer.url });
    const { searchParams: sent } = new URL(asked.finalUrl);
    expect(Object.fromEntries([...sent].filter(([name]) => name !== 'state'))).toEqual({ client_id: 'valetkey', logout_hint: 'alice@example.test', post_logout_redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/) });
    // Somebody else's state, none, and a sign-in's answer change nothing.
    const back = sent.get('post_logout_redirect_uri') ?? '';
    for (const query of ['state=x', '', `state=${sent.get('state')}&code=c`, `state=${sent.get('state')}&state=x`]) expect((await visit(`${back}?${query}`)).status).toBeGreaterThanOrEqual(400);
    expect(vk.audit.events.map(({ event }) => event)).not.toContain('browser_signed_out');
    const done = await visit(asked.finalUrl);
    expect(done.body).toContain('You are signed out');
    expect(done.hops.some(({ url }) => url.includes(`state=${sent.get('state')}`))).toBe(true);
    expect(vk.audit.events.find(({ event }) => event === 'browser_signed_out')).toMatchObject({ profile: 'work', facts: { returned: true } });
    expect(await signIn()).toBe(true);
  });

  it('[RV-03] ends there without a way back where none was asked for, and its link works once', async () => {
    await signIn();
    const { body } = await start();
    const done = await visit(body.start_url);
    expect(done.finalUrl.startsWith(issuer.url)).toBe(true);
    expect(done.hops.find(({ url }) => url.includes('client_id='))?.url).not.toMatch(/state=|id_token|redirect/);
    await expect.poll(() => vk.audit.events.map(({ event }) => event)).toContain('browser_signed_out');
    await expect(visit(body.start_url)).rejects.toThrow();
    expect(await signIn()).toBe(true);
  });

  it('names nobody where nobody is signed in, and says so where the issuer has no such place', async () => {
    const { body } = await start();
    const { finalUrl } = await visit(body.start_url, { stopBefore: (url: URL) => url.origin === issuer.url });
    expect(new URL(finalUrl).searchParams.has('logout_hint')).toBe(false);
    const bare = await startIssuer({ editMetadata: ({ end_session_endpoint: _, ...metadata }) => ({ ...metadata }) });
    await vk.config(profileToml('work', bare.url));
    await vk.api('POST', '/v1/reload');
    expect((await start()).body).toMatchObject({ code: 'issuer_refused', detail: expect.stringContaining('end_session_endpoint') });
    await bare.close();
  });

  it('is refused at an address to which no browser may be sent', async () => {
    const odd = await startIssuer({ editMetadata: (metadata) => ({ ...metadata, end_session_endpoint: 'javascript:alert(1)' }) });
    await vk.config(profileToml('work', odd.url));
    await vk.api('POST', '/v1/reload');
    expect((await start()).body).toMatchObject({ code: 'issuer_refused' });
    await odd.close();
  });
});
