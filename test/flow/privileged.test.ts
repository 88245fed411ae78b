/** Privileged access over the whole daemon and a real issuer: asked for with a reason, had for a while, never stored. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { someFacts, someOrigin } from '../support/builders.ts';
import { followLogin } from '../../demo/browser.ts';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

/** Scopes of admins are privileged, and people at their desk are not asked again: what is asked is tested elsewhere. */
const LIFT = '[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n';
const ALLOW = '[[rules]]\nname = "people"\ndecide = "allow"\nwhen = { class = "human" }\n';
const PASSPHRASE = 'correct horse EXAMPLE';
const WHY = 'ticket 4711';

let hostile: HostileIssuer;
let vk: InProcess;
async function setUp(options: Parameters<typeof startHostileIssuer>[0] = {}, more = '', policy = `v = 1\n${LIFT}${ALLOW}`): Promise<void> {
  await vk?.stop();
  await hostile?.close();
  hostile = await startHostileIssuer({ scopes: ['api:read', 'admin:all'], lifetimes: { accessTokenS: 300 }, ...options });
  const profile = profileToml('work', hostile.url, more).replace('"email", ', '"api:read", "admin:all", ');
  vk = await startInProcess({ config: MANY_CALLERS + profile, issuerTimeoutMs: 2_000, backend: 'passphrase' });
  await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true });
  vk.caller = { origin: someOrigin() };
  await vk.policy('admin', policy);
  expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
}
beforeEach(() => setUp());
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});

const ADMIN = { scopes: ['admin:all'] };
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', wait_s: 1, ...ask })).body;
const start = async (ask: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', ...ask })).body;
const elevate = (ask: object = ADMIN) => vk.signIn('work', 'alice', { ...ask, claimed: { reason: WHY } });
const audited = (event: string) => vk.audit.events.filter((each) => each.event === event);
const needsSignIn = { code: 'login_required', reason: 'privileged' };

describe('[AU-08] privileged access', () => {
  it('is no part of the ordinary sign-in, and takes one of its own with a reason', async () => {
    await vk.signIn('work', 'alice');
    expect((await vk.api('GET', '/v1/grants')).body.grants).toMatchObject([{ scopes: ['openid', 'api:read'] }]);
    expect(hostile.requestsTo('par').map((r) => r.params['scope'])).toEqual(['openid api:read offline_access']);
    expect((await vk.api('GET', '/v1/status')).body.warnings.join()).not.toContain('did not grant');
    expect((await token()).scope.split(' ')).not.toContain('admin:all');
    expect(await token(ADMIN)).toMatchObject({ ...needsSignIn, hint: 'Run: valetkey login work --scope "admin:all" --reason "why"' });

    const before = hostile.log.length;
    expect(await start(ADMIN)).toMatchObject({ code: 'reason_required' });
    expect(await start({ ...ADMIN, claimed: { reason: ' \u001b[2J ' } })).toMatchObject({ code: 'reason_required' });
    expect(await token({ ...ADMIN, interaction: 'allowed' })).toMatchObject({ code: 'reason_required' });
    expect(hostile.log.slice(before).filter((r) => r.endpoint === 'par')).toEqual([]);

    expect((await elevate()).end.body).toMatchObject({ state: 'complete', flow: 'authorization_code', scopes: ['openid', 'admin:all'] });
    expect(hostile.requestsTo('par').at(-1)?.params).toMatchObject({ scope: expect.not.stringContaining('offline_access') as string });
    expect(await token(ADMIN)).toMatchObject({ scope: expect.stringContaining('admin:all') as string, rule: 'admin/people', source: 'cache' });
    expect((await vk.api('GET', '/v1/status')).body.warnings.join('\n')).toContain(`work: privileged access (openid admin:all) for 15 minutes at most: ${WHY}`);
    // The ordinary one is as it was.
    expect((await vk.api('GET', '/v1/grants')).body.grants).toMatchObject([{ scopes: ['openid', 'api:read'], generation: 1 }]);
    expect((await token()).scope.split(' ')).not.toContain('admin:all');
    expect(audited('jit_granted')).toMatchObject([{ caller: { pid: process.pid }, facts: { reason: WHY, scopes: expect.arrayContaining(['admin:all']) as unknown } }]);
    expect(audited('login_decided')).toHaveLength(2);
  });

  it('is waited for by nobody who wants an ordinary sign-in, and the reverse: each is one of its own', async () => {
    const why = { claimed: { reason: WHY } };
    const ordinary = await start();
    const views = await Promise.all(Array.from({ length: 20 }, () => start({ ...ADMIN, ...why })));
    const [privileged] = views;
    expect(new Set(views.map(({ id }) => id)).size).toBe(1); // those who want the same join it
    expect(privileged).toMatchObject({ state: 'pending', scopes: ['openid', 'admin:all'] });
    expect(privileged.id).not.toBe(ordinary.id);
    expect((await start()).id).toBe(ordinary.id);
    // One that is of both is privileged, and for other scopes.
    const both = await start({ scopes: ['openid', 'api:read', 'admin:all'], ...why });
    expect([ordinary.id, privileged.id]).not.toContain(both.id);
    expect(await start({ ...ADMIN, acr_values: ['gold'] })).toMatchObject({ code: 'reason_required' });
    await vk.api('DELETE', `/v1/logins/${both.id}`);

    await followLogin(privileged.start_url, { login: 'alice' });
    const end = async (id: string) => (await vk.api('GET', `/v1/logins/${id}?wait_s=10`)).body;
    expect(await end(privileged.id)).toMatchObject({ state: 'complete' });
    expect(await token(ADMIN)).toMatchObject({ source: 'cache' });
    expect(await token()).toMatchObject({ code: 'login_required', login: { id: ordinary.id, state: 'pending' } });
    await followLogin(ordinary.start_url, { login: 'alice' });
    expect(await end(ordinary.id)).toMatchObject({ state: 'complete' });
    expect((await token()).scope.split(' ')).not.toContain('admin:all');
    expect(audited('login_finished').map(({ facts }) => facts['step_up'])).toEqual([false, false]);
  });

  it('is the one that a refused token request names, and a step-up is none of it', async () => {
    await vk.signIn('work', 'alice');
    const privileged = await start({ ...ADMIN, claimed: { reason: WHY } });
    expect(await token(ADMIN)).toMatchObject({ ...needsSignIn, login: { id: privileged.id } });
    expect(await token({ acr_values: ['gold'] })).toMatchObject({ code: 'login_required', reason: 'acr' });
    const stepUp = (await token({ acr_values: ['gold'], interaction: 'allowed' })).login;
    expect(stepUp.id).not.toBe(privileged.id);
    expect((await token(ADMIN)).login.id).toBe(privileged.id);
    expect((await start()).id).not.toBe(privileged.id);
  });

  it('is over with its time, and the next request asks for another sign-in', async () => {
    await elevate();
    const { access_token: value } = await token(ADMIN);
    vk.skipMs = 239_000; // a minute has to be left
    expect(await token(ADMIN)).toMatchObject({ access_token: value });
    vk.skipMs = 900_000;
    expect(await token(ADMIN)).toMatchObject(needsSignIn);
    vk.skipMs = 0;
  });

  it('is a new sign-in in the browser each time: who was signed in at the issuer already has to show it again', async () => {
    await setUp({ signIn: () => ({ authTime: Math.floor(Date.now() / 1000) - 600 }) });
    expect((await elevate()).end.body).toMatchObject({ state: 'failed', error: { code: 'stepup_unmet' } });
    expect(hostile.requestsTo('par').at(-1)?.params).toMatchObject({ max_age: '0' });
    expect(await token(ADMIN)).toMatchObject(needsSignIn);
    expect(audited('jit_granted')).toEqual([]);
  });

  it('leaves nothing in the vault or anywhere else, and its tokens are dead at the issuer when it ends', async () => {
    // An issuer that gives refresh tokens unasked.
    await setUp({ refreshTokens: 'always' });
    await elevate();
    const { access_token: value } = await token(ADMIN);
    const minted = hostile.issuer.minted.filter(({ kind }) => kind === 'access_token' || kind === 'refresh_token');
    expect(new Set(minted.map(({ kind }) => kind))).toEqual(new Set(['access_token', 'refresh_token']));
    expect(searchTree(vk.stateDir, collectCanaries(minted))).toEqual([]);
    expect((await vk.api('GET', '/v1/grants')).body.grants).toEqual([]);
    expect(await hostile.issuer.introspect(value)).toMatchObject({ active: true });
    await vk.api('DELETE', '/v1/grants/work');
    await expect.poll(async () => (await hostile.issuer.introspect(value)).active).toBe(false);
    for (const { value: each } of minted) expect(await hostile.issuer.introspect(each)).toMatchObject({ active: false });
    expect(await token(ADMIN)).toMatchObject(needsSignIn);
    expect(hostile.requestsTo('token').filter((r) => r.params['grant_type'] === 'refresh_token')).toEqual([]);
  });

  it.each([
    ['lock', async () => { await vk.api('POST', '/v1/lock'); await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE }); }],
    ['a restart', async () => { await vk.restart(); await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE }); }],
    ['a logout', () => vk.api('DELETE', '/v1/grants/work')],
  ])('is gone after %s', async (_what, act) => {
    await elevate();
    const { access_token: value } = await token(ADMIN);
    await act();
    expect(await token(ADMIN)).toMatchObject(needsSignIn);
    await expect.poll(async () => (await hostile.issuer.introspect(value)).active).toBe(false);
    expect(audited('jit_ended')).toHaveLength(1);
  });

  it('is asked about each time besides, by the policy that ships, and not before there is something to give', async () => {
    await setUp({}, 'tier = "privileged"\n', 'v = 1\n');
    expect(await token()).toMatchObject(needsSignIn);
    expect((await vk.api('GET', '/v1/approvals')).body.pending).toEqual([]);
    await elevate({});
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required', reason: 'shipped/privileged-each' });
  });

  it('is never had by the device flow', async () => {
    vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
    vk.caller = { origin: someOrigin({ remote: true }), terminal: { device: 34816, foreground: true } };
    await vk.config(`[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}`);
    await vk.policy('admin', `v = 1\n[device]\nissuers = ["${hostile.url}"]\nsame_device = true\n${LIFT}`);
    await vk.api('POST', '/v1/reload');
    expect(await start({ ...ADMIN, flow: 'device', claimed: { reason: WHY } })).toMatchObject({ code: 'flow_refused', reason: 'device_denied_privileged' });
    expect(hostile.requestsTo('device')).toEqual([]);
  });

  it('does not leave by a token that was kept before the rule came', async () => {
    await setUp({}, '', 'v = 1\n');
    await vk.signIn('work', 'alice');
    expect((await token()).scope).toContain('admin:all');
    await vk.policy('admin', `v = 1\n${LIFT}${ALLOW}`);
    await vk.api('POST', '/v1/reload');
    expect(await token()).toMatchObject(needsSignIn);
    // It names what is harmless, and would be given a token that holds the rest as well.
    expect(await token({ scopes: ['api:read'] })).toMatchObject(needsSignIn);
    expect(await token({ scopes: ['api:read'], force: true })).toMatchObject(needsSignIn);
    await vk.signIn('work', 'alice');
    expect(await token({ scopes: ['api:read'] })).toMatchObject({ source: 'cache' });
  });

  it('does not come by an issuer that grants it unasked', async () => {
    await setUp({}, 'extra_scopes = "allow"\n');
    hostile.fault('token', faults.withMembers({ scope: 'openid api:read admin:all offline_access' }));
    expect((await vk.signIn('work', 'alice')).end.body).toMatchObject({ state: 'failed', error: { code: 'issuer_response_invalid', detail: expect.stringContaining('admin:all') as string } });
    expect((await vk.api('GET', '/v1/grants')).body.grants).toEqual([]);
  });

  it('[TK-04] is refused while it cannot be recorded, and nothing else is', async () => {
    await vk.signIn('work', 'alice');
    await elevate();
    vk.audit.wrong = 'the disk refuses it';
    expect(await token(ADMIN)).toMatchObject({ code: 'audit_unwritable', retryable: true });
    expect(audited('token_refused').at(-1)).toMatchObject({ facts: { code: 'audit_unwritable' } });
    expect(await start({ ...ADMIN, claimed: { reason: WHY } })).toMatchObject({ code: 'audit_unwritable' });
    expect(await token()).toMatchObject({ source: 'cache' });
    vk.audit.wrong = null;
    expect(await token(ADMIN)).toMatchObject({ source: 'cache' });
  });

  it('is explained as it is decided', async () => {
    const explain = async (ask: object) => (await vk.api('POST', '/v1/policy/explain', { profile: 'work', ...ask })).body;
    await vk.signIn('work', 'alice');
    expect(await explain({})).toMatchObject({ outcome: 'allow', tier: 'normal' });
    expect(await explain(ADMIN)).toMatchObject({ outcome: 'login_required', tier: 'privileged', rule: 'admin/people' });
    await elevate();
    expect(await explain(ADMIN)).toMatchObject({ outcome: 'allow', tier: 'privileged', rule: 'admin/people' });
  });
});
