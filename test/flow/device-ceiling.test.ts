/** DG-10: the same person by both flows at the same issuer, and how much less the device flow brings. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { someFacts } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
const API = 'https://api.example.com';
const config = (remoteFlow = 'auto') => `[device]\nissuers = ["${issuer.url}"]\n`
  + profileToml('desk', issuer.url, `resource = "${API}"`).replace('"email"', '"email", "read", "admin"')
  + profileToml('remote', issuer.url, `resource = "${API}"\nflow = "${remoteFlow}"`).replace('"email"', '"email", "read", "admin"');
const POLICY = [
  'v = 1',
  '[[rules]]\nname = "by-device"\nwhen = { flow = "device_code" }\ndecide = "allow"\nceiling = { scopes = ["read", "email"], max_token_life = "10m" }',
  '[[rules]]\nname = "everything"\ndecide = "allow"',
].join('\n');
const token = async (profile: string, more: object = {}) => (await vk.api('POST', '/v1/token', { profile, ...more })).body;

beforeAll(async () => {
  issuer = await startIssuer({ lifetimes: { accessTokenS: 1_200 } });
  vk = await startInProcess({ config: config() });
  await vk.signIn('desk', 'alice');
  vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
  vk.caller = { terminal: { device: 34816, foreground: true } };
  const { challenge } = (await vk.api('POST', '/v1/logins', { profile: 'remote', flow: 'device' })).body;
  const login = (await vk.api('POST', '/v1/logins', { profile: 'remote', flow: 'device', consent: { challenge: challenge.id, code: challenge.code } })).body;
  await approveDevice(login.device.verification_uri, login.device.user_code, 'alice');
  expect((await vk.api('GET', `/v1/logins/${login.id}?wait_s=20`)).body).toMatchObject({ state: 'complete' });
}, 60_000);
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

describe('[DG-10] the same person, by both flows', () => {
  it('the issuer gave both the same, so what is less is ours', async () => {
    const { grants } = (await vk.api('GET', '/v1/grants')).body;
    const [desk, remote] = ['desk', 'remote'].map((name) => grants.find((grant: { profile: string }) => grant.profile === name));
    expect([desk.flow, remote.flow]).toEqual(['authorization_code', 'device_code']);
    expect(remote.scopes.toSorted()).toEqual(desk.scopes.toSorted());
    expect((await token('remote')).expires_at - (await token('desk')).expires_at).toBeLessThan(60);
  });

  it('the life that only the issuer decides is warned of from ten minutes on, for the device flow alone', async () => {
    const { warnings } = (await vk.api('GET', '/v1/status')).body;
    expect(warnings.filter((warning: string) => warning.includes('device flow'))).toEqual([expect.stringMatching(/^remote: signed in by the device flow, with access tokens of 20 minutes; over 10/)]);
  });

  it('policy gives fewer scopes and a shorter life to the one, and all to the other', async () => {
    const give = (scopes: string) => vk.policy('admin', POLICY.replace('["read", "email"]', scopes)).then(() => vk.api('POST', '/v1/reload'));
    await give('["read", "email"]');
    expect((await token('desk', { scopes: ['read'] })).scope).toContain('admin');
    expect(await token('remote', { scopes: ['read'] })).toMatchObject({ code: 'policy_denied', reason: 'admin/by-device', detail: expect.stringContaining('admin') });
    await give('["*"]');
    expect(await token('desk')).toMatchObject({ source: 'cache' });
    expect(await token('remote')).toMatchObject({ code: 'as_token_too_long', reason: 'admin/by-device' });
    issuer.setLifetimes({ accessTokenS: 600 });
    const shorter = await token('remote', { force: true, scopes: ['read'] });
    expect(shorter.expires_at - Date.now() / 1000).toBeLessThanOrEqual(600);
  });

  it('nothing privileged comes of it, and a resource for PKCE alone is not served from its cache', async () => {
    await vk.policy('admin', `v = 1\n[[rules]]\nname = "pkce-only"\nwhen = { resource = "${API}" }\ndecide = "allow"\nceiling = { flows = ["authorization_code"] }`);
    await vk.api('POST', '/v1/reload');
    expect(await token('desk')).toMatchObject({ source: 'cache' });
    expect(await token('remote')).toMatchObject({ code: 'login_required', reason: 'flow' });
    await vk.policy('admin', 'v = 1\n[[rules]]\nname = "all"\ndecide = "allow"');
    await vk.config(config().replace('[profiles.remote]', '[profiles.remote]\ntier = "privileged"'));
    await vk.api('POST', '/v1/reload');
    expect(await token('remote')).toMatchObject({ code: 'login_required', reason: 'flow' });
  });

  it('nor is a profile that has become one for PKCE alone', async () => {
    await vk.config(config('pkce'));
    await vk.api('POST', '/v1/reload');
    expect(await token('remote')).toMatchObject({ code: 'login_required', reason: 'flow' });
    expect(await token('desk')).toMatchObject({ source: 'cache' });
    await vk.config(config());
    await vk.api('POST', '/v1/reload');
    expect(await token('remote')).toMatchObject({ source: 'cache' });
  });
});
