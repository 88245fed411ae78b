import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { chooseFlow } from '../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../daemon/policy/chooser.ts';
import { callApi, plainGet } from '../support/api.ts';
import { someFacts, someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
beforeEach(async () => {
  hostile = await startHostileIssuer();
  vk = await startInProcess({ config: `${MANY_CALLERS}[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}` });
});
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const start = async (ask: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', ...ask })).body;
const follow = async (id: string, wait = 10) => (await vk.api('GET', `/v1/logins/${id}?wait_s=${wait}`)).body;
const token = (ask: object = {}) => vk.api('POST', '/v1/token', { profile: 'work', ...ask });

describe('a sign-in by PKCE on loopback', () => {
  it('[FC-01] ends in a token from the cache, without touching the device endpoint', async () => {
    const { end, visit } = await vk.signIn('work', 'alice');
    expect(end.body).toMatchObject({ state: 'complete', flow: 'authorization_code', reason: 'local_gui_ok', subject: { sub: 'alice' } });
    expect(visit).toMatchObject({ status: 200, body: expect.stringContaining('alice') });
    const { body } = await token();
    expect(body).toMatchObject({ token_type: 'Bearer', source: 'cache' });
    expect(await hostile.issuer.introspect(body.access_token)).toMatchObject({ active: true });
    expect(hostile.requestsTo('device')).toEqual([]);
    expect(hostile.requestsTo('par')).toHaveLength(1); // AZ-08: the server offers it
  });

  it('is joined by whoever else asks: five hundred callers, one browser tab', async () => {
    const views = await Promise.all(Array.from({ length: 500 }, () => start()));
    expect(new Set(views.map((v) => v.id)).size).toBe(1);
    expect(hostile.requestsTo('par')).toHaveLength(1);
    const waiting = Promise.all(Array.from({ length: 50 }, () => follow(views[0].id)));
    await followLogin(views[0].start_url, { login: 'alice' });
    expect((await waiting).every((v) => v.state === 'complete')).toBe(true);
  });

  it('that was completed since its asker was told is joined, and no other started', async () => {
    const told = (await token()).body;
    expect(told).toMatchObject({ code: 'login_required', newest_login: null });
    const { end } = await vk.signIn('work', 'alice');
    const pars = hostile.requestsTo('par').length;
    vk.caller = { pid: 1, startTime: '1' };
    const joined = await start({ newer_than: told.newest_login });
    expect(joined).toMatchObject({ id: end.body.id, state: 'complete', owned: false, subject: { sub: 'alice' } });
    expect(hostile.requestsTo('par')).toHaveLength(pars);
    // Told of it, its asker wants another one; so does a person who asks for a sign-in as such.
    expect(await start({ newer_than: end.body.id })).toMatchObject({ state: 'pending' });
  });

  it('that was completed and signed out again since is joined by nobody', async () => {
    const { end } = await vk.signIn('work', 'alice');
    await vk.api('DELETE', '/v1/grants/work');
    const told = (await token()).body;
    expect(told).toMatchObject({ code: 'login_required', newest_login: end.body.id });
    expect(await start({ newer_than: null })).toMatchObject({ state: 'pending' });
  });

  it('shows the one-time URL only to the process that started it', async () => {
    const mine = await start();
    vk.caller = { pid: 1, startTime: '1' };
    const other = await start();
    expect(mine.start_url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/start\//);
    expect(other).toMatchObject({ id: mine.id, owned: false });
    expect(other).not.toHaveProperty('start_url');
    expect((await token()).body.login).not.toHaveProperty('start_url');
  });

  it('[AZ-03] ignores a hundred forged callbacks and still takes the real one; used up, it takes none', async () => {
    const login = await start();
    const port = new URL(login.start_url).port;
    for (let i = 0; i < 100; i += 1) {
      const forged = await plainGet(`http://127.0.0.1:${port}/callback?code=forged&state=forged-${i}&iss=${encodeURIComponent(hostile.url)}`);
      expect(forged.status).toBeGreaterThanOrEqual(400);
    }
    const visit = await followLogin(login.start_url, { login: 'alice' });
    expect((await follow(login.id)).state).toBe('complete');
    const callback = visit.hops.find((hop) => hop.url.includes('/callback?'));
    await expect(plainGet(callback?.url ?? '')).rejects.toThrow(); // the port is closed
  });

  it('[AZ-10] takes the callback only from the browser that fetched /start', async () => {
    const login = await start();
    const visit = await followLogin(login.start_url, { login: 'alice', stopBefore: (url) => url.pathname === '/callback' });
    expect((await plainGet(visit.finalUrl)).status).toBe(403);
    expect((await follow(login.id, 0)).state).toBe('pending');
  });

  it('[AZ-13] redeems a code once: after a 500 it is not sent again, and the next sign-in has values of its own', async () => {
    hostile.fault('token', faults.status(500));
    const first = await vk.signIn('work', 'alice');
    expect(first.end.body).toMatchObject({ state: 'failed', error: { code: 'issuer_unreachable' } });
    expect(first.visit.body).not.toContain('<h1>Signed in');
    await vk.signIn('work', 'alice');
    const sent = hostile.requestsTo('token').map((r) => r.params);
    expect(sent).toHaveLength(2);
    expect(sent[0]?.['code']).not.toBe(sent[1]?.['code']);
    expect(sent[0]?.['code_verifier']).not.toBe(sent[1]?.['code_verifier']);
    const pushed = hostile.requestsTo('par').map((r) => r.params);
    for (const key of ['state', 'nonce', 'code_challenge']) expect(pushed[0]?.[key]).not.toBe(pushed[1]?.[key]);
  });

  it('[AZ-05] sends the code nowhere when iss is missing or another, to the letter', async () => {
    for (const fault of [faults.withoutIss(), faults.wrongIss('https://evil.example'), faults.wrongIss(`${hostile.url}/`), faults.wrongIss(hostile.url.toUpperCase())]) {
      hostile.fault('authorization', fault);
      const { end } = await vk.signIn('work', 'alice');
      expect(end.body).toMatchObject({ state: 'failed', error: { code: 'iss_mismatch' } });
    }
    expect(hostile.requestsTo('token')).toEqual([]);
  });

  it('[AZ-06] redeems at the endpoint that was pinned at the start, also when the metadata changed meanwhile', async () => {
    const login = await start();
    hostile.fault('discovery', faults.withMembers({ token_endpoint: 'https://evil.example/token' }), 10);
    await followLogin(login.start_url, { login: 'alice' });
    expect((await follow(login.id)).state).toBe('complete');
    expect(hostile.requestsTo('token')).toHaveLength(1);
  });

  it('[FC-10] that is refused at the issuer never turns into a device flow', async () => {
    const login = await start();
    await followLogin(login.start_url, { login: 'alice', deny: true });
    expect(await follow(login.id)).toMatchObject({ state: 'failed', error: { code: 'access_denied' } });
    expect(hostile.requestsTo('device')).toEqual([]);
    expect(vk.audit.events.filter((e) => e.event === 'login_decided')).toHaveLength(1);
  });

  it('can be cancelled, and frees its port at once', async () => {
    const login = await start();
    const waiting = follow(login.id);
    expect((await vk.api('DELETE', `/v1/logins/${login.id}`)).body).toEqual({ ok: true });
    expect(await waiting).toMatchObject({ state: 'failed', error: { code: 'login_cancelled' } });
    await expect(plainGet(login.start_url)).rejects.toThrow();
    expect((await start()).id).not.toBe(login.id);
  });

  it('[LB-11] stores nothing when another account signs in, until its starter agrees', async () => {
    await vk.signIn('work', 'alice');
    const second = await vk.signIn('work', 'mallory');
    expect(second.end.body).toMatchObject({ state: 'confirm_subject', subject: { sub: 'mallory' }, previous_subject: { sub: 'alice' } });
    expect(second.visit.body).toContain('mallory');
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].subject.sub).toBe('alice');
    const { id } = second.end.body;
    vk.caller = { pid: 1, startTime: '1' };
    expect((await vk.api('POST', `/v1/logins/${id}/confirm`, { accept: true })).body).toMatchObject({ code: 'consent_required' });
    vk.caller = {};
    expect((await vk.api('POST', `/v1/logins/${id}/confirm`, { accept: false })).body).toMatchObject({ state: 'failed', error: { code: 'subject_mismatch' } });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].subject.sub).toBe('alice');
    const third = await vk.signIn('work', 'mallory');
    expect((await vk.api('POST', `/v1/logins/${third.end.body.id}/confirm`, { accept: true })).body.state).toBe('complete');
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].subject.sub).toBe('mallory');
  });

  it('[LB-11] does not let an agent agree to another account in a person\'s place', async () => {
    await vk.signIn('work', 'alice');
    const { body: { id } } = (await vk.signIn('work', 'mallory')).end;
    vk.caller = { origin: someOrigin({ class: 'agent', agent: 'codex' }) };
    expect((await vk.api('POST', `/v1/logins/${id}/confirm`, { accept: true })).body).toMatchObject({ code: 'consent_required', detail: expect.stringContaining('codex has started') as string });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].subject.sub).toBe('alice');
    expect((await vk.api('POST', `/v1/logins/${id}/confirm`, { accept: false })).body).toMatchObject({ state: 'failed' });
  });

  it('[LB-11] asks also when the other account has the same email: the slot is issuer and sub', async () => {
    await hostile.close();
    hostile = await startHostileIssuer({ claims: () => ({ email: 'shared@example.com', name: 'Shared' }) });
    await vk.config(profileToml('work', hostile.url));
    await vk.api('POST', '/v1/reload');
    await vk.signIn('work', 'alice');
    expect((await vk.signIn('work', 'bob')).end.body.state).toBe('confirm_subject');
  });
});

describe('an answer that is not right', () => {
  const rows: readonly (readonly [string, () => void, string])[] = [
    ['a wrong nonce', () => hostile.fault('token', faults.editIdToken(hostile.issuer, (c) => ({ ...c, nonce: 'other' }))), 'id_token_invalid'],
    ['another audience', () => hostile.fault('token', faults.editIdToken(hostile.issuer, (c) => ({ ...c, aud: 'other' }))), 'id_token_invalid'],
    ['another issuer', () => hostile.fault('token', faults.editIdToken(hostile.issuer, (c) => ({ ...c, iss: 'https://evil.example' }))), 'id_token_invalid'],
    ['an expired ID token', () => hostile.fault('token', faults.editIdToken(hostile.issuer, (c) => ({ ...c, exp: 1 }))), 'id_token_invalid'],
    ['no ID token', () => hostile.fault('token', faults.withMembers({ id_token: undefined })), 'id_token_invalid'],
    ['a scope that was not asked for', () => hostile.fault('token', faults.withMembers({ scope: 'openid email offline_access admin' })), 'issuer_response_invalid'],
    ['an unknown token type', () => hostile.fault('token', faults.withMembers({ token_type: 'mac' })), 'issuer_response_invalid'],
    ['no expires_in', () => hostile.fault('token', faults.withMembers({ expires_in: undefined })), 'issuer_response_invalid'],
    ['HTML', () => hostile.fault('token', faults.html()), 'issuer_response_invalid'],
    ['malformed JSON', () => hostile.fault('token', faults.malformed()), 'issuer_response_invalid'],
    ['a redirect', () => hostile.fault('token', faults.redirect(307, 'http://127.0.0.1:1/steal')), 'issuer_response_invalid'],
  ];
  it.each(rows)('[ID-01, TK-09] %s stores nothing', async (_name, lay, code) => {
    lay();
    const { end } = await vk.signIn('work', 'alice');
    const allowed = code === 'issuer_response_invalid' ? ['issuer_response_invalid', 'issuer_unreachable', 'issuer_refused'] : [code];
    expect(end.body.state).toBe('failed');
    expect(allowed).toContain(end.body.error.code);
    expect((await vk.api('GET', '/v1/grants')).body.grants).toEqual([]);
    expect((await token()).body).toMatchObject({ code: 'login_required', reason: 'never_signed_in' });
  });

  it.each([
    ['[AZ-02] metadata without S256', { code_challenge_methods_supported: undefined }, 'as_no_s256'],
    ['[MD-01] metadata of another issuer', { issuer: 'https://evil.example' }, 'as_metadata_invalid'],
    ['an authorization endpoint that is no web page', { authorization_endpoint: 'javascript:alert(1)' }, 'as_metadata_invalid'],
    ['a token endpoint in the clear', { token_endpoint: 'http://tokens.example/token' }, 'as_metadata_invalid'],
  ])('%s opens no browser', async (_name, members, code) => {
    hostile.fault('discovery', faults.withMembers(members), 10);
    const reply = await vk.api('POST', '/v1/logins', { profile: 'work' });
    expect(reply.body).toMatchObject({ code });
    expect(hostile.requestsTo('par')).toEqual([]);
  });
});

describe('where no person or browser is', () => {
  it('[FC-11] refuses human flows in automation without a request to the issuer, and points to workload identity', async () => {
    vk.facts = someFacts({ automation: 'GITHUB_ACTIONS' });
    const reply = await start();
    expect(reply).toMatchObject({ code: 'flow_refused', reason: 'human_flow_in_automation', hint: expect.stringContaining('workload identity') });
    expect(hostile.log).toEqual([]);
  });

  it('[FC-06] refuses --device where PKCE works', async () => {
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'flow_refused', reason: 'device_same_device' });
    expect(hostile.requestsTo('device')).toEqual([]);
  });

  it('[FC-03, FC-13] chooses anew at each login, and each leaves one record that replays to the same outcome', async () => {
    const outcomes: string[] = [];
    for (const facts of [someFacts(), someFacts({ remote: true, gui: 'none' }), someFacts({ container: true, gui: 'none' }), someFacts({ automation: 'CI' })]) {
      vk.facts = facts;
      vk.caller = { terminal: null };
      const reply = await start();
      outcomes.push(reply.reason ?? reply.code);
      if (reply.id !== undefined) await vk.api('DELETE', `/v1/logins/${reply.id}`);
    }
    expect(outcomes).toEqual(['local_gui_ok', 'start_awaited', 'consent_required', 'human_flow_in_automation']);
    const records = vk.audit.events.filter((e) => e.event === 'login_decided');
    expect(records).toHaveLength(3); // one never became a login: nobody confirmed it
    for (const { facts } of records) {
      const choice = chooseFlow(facts['input'] as ChooserInput);
      expect({ outcome: choice.outcome, reason: choice.reason }).toEqual({ outcome: facts['outcome'], reason: facts['reason'] });
      expect(facts).toMatchObject({ issuer: hostile.url, decision_id: expect.any(String), rule: expect.any(String) });
    }
    expect(records[0]?.caller?.pid).toBe(process.pid);
  });
});

describe('two issuers', () => {
  it('[AZ-04] a code of one is not taken on the other\'s path', async () => {
    await vk.config(`${profileToml('work', hostile.url)}${profileToml('second', hostile.url).replace('/callback', '/callback/second').replace('"valetkey"', '"second-client"')}`);
    await vk.api('POST', '/v1/reload');
    const [a, b] = [await start(), (await vk.api('POST', '/v1/logins', { profile: 'second' })).body];
    const visit = await followLogin(a.start_url, { login: 'alice', stopBefore: (url) => url.pathname === '/callback' });
    const stray = new URL(visit.finalUrl);
    stray.port = new URL(b.start_url).port;
    expect((await plainGet(stray.href)).status).toBe(404);
    stray.pathname = '/callback/second';
    expect((await plainGet(stray.href)).status).toBeGreaterThanOrEqual(400);
    expect(hostile.requestsTo('token')).toEqual([]);
  });
});

describe('the shape of errors', () => {
  it('carries code, hint, request id, and the sign-in to join', async () => {
    const login = await start();
    const reply = await token();
    expect(reply.status).toBe(401);
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(reply.body).toMatchObject({
      type: 'urn:valetkey:error:login_required', code: 'login_required', reason: 'never_signed_in', retryable: false,
      hint: 'Run: valetkey login work', request_id: expect.any(String), login: { id: login.id },
    });
    expect((await callApi(vk.socket, 'POST', '/v1/token', { profile: 'nobody' })).body).toMatchObject({ code: 'unknown_profile', detail: expect.stringContaining('work') });
  });
});

describe('a sign-in that meets a change', () => {
  it('a profile that is removed meanwhile gets no grant, and the tokens are revoked', async () => {
    const login = await start();
    await vk.config(MANY_CALLERS);
    await vk.api('POST', '/v1/reload');
    await followLogin(login.start_url, { login: 'alice' });
    expect(await follow(login.id)).toMatchObject({ state: 'failed', error: { code: 'unknown_profile' } });
    expect((await vk.api('GET', '/v1/grants')).body.grants).toEqual([]);
    await expect.poll(() => hostile.requestsTo('revocation').length).toBeGreaterThan(0);
  });

  it('[LB-11] one that says nothing of who signed in counts as another account', async () => {
    hostile.issuer.registerClient({ id: 'valetkey', metadata: { require_auth_time: false } });
    await vk.signIn('work', 'alice');
    const second = await vk.signIn('work', 'mallory', { scopes: ['offline_access'] });
    expect(second.end.body).toMatchObject({ state: 'confirm_subject', subject: null, previous_subject: { sub: 'alice' } });
    await vk.api('POST', `/v1/logins/${second.end.body.id}/confirm`, { accept: false });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].subject.sub).toBe('alice');
  });

  it('a start that is under way when the daemon locks or stops leaves no port behind', async () => {
    hostile.fault('par', faults.delay(1_000));
    const starting = start();
    await expect.poll(() => hostile.requestsTo('par').length).toBe(1);
    await vk.api('POST', '/v1/lock');
    expect(await starting).toMatchObject({ code: 'vault_locked' });
    expect(vk.log.lines.filter((l) => l.event === 'loopback_opened')).toHaveLength(1);
    expect(vk.log.lines.filter((l) => l.event === 'loopback_closed')).toHaveLength(1);
    await vk.api('POST', '/v1/unlock', {});
  });

  it('one whose starter died before any browser followed the link is replaced by the next who asks', async () => {
    vk.caller = { pid: 999_999_999, startTime: '1' };
    const first = await start();
    vk.caller = {};
    expect((await start()).id).toBe(first.id); // a slow browser may still be on its way
    vk.skipMs = 25_000;
    const second = await start();
    expect(second).toMatchObject({ owned: true, start_url: expect.any(String) });
    expect(second.id).not.toBe(first.id);
    expect(await follow(first.id, 0)).toMatchObject({ state: 'failed', error: { code: 'login_cancelled' } });
  });

  it('a pushed request that expired before the link was followed is pushed anew', async () => {
    hostile.fault('par', faults.withMembers({ expires_in: 11 }));
    const login = await start();
    vk.skipMs = 3_000;
    await followLogin(login.start_url, { login: 'alice' });
    expect((await follow(login.id)).state).toBe('complete');
    expect(hostile.requestsTo('par')).toHaveLength(2);
  });
});
