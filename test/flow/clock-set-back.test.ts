/** What somebody wins by setting the time of day back while a sign-in is held: nothing. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { someFacts, someOrigin } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const HOUR_MS = 3_600_000;
let issuer: EmbeddedIssuer;
let vk: InProcess;

beforeEach(async () => {
  issuer = await startIssuer({ lifetimes: { accessTokenS: 40 * 3_600 } });
  vk = await startInProcess({ config: `[device]\nissuers = ["${issuer.url}"]\n${profileToml('work', issuer.url)}` });
  vk.caller = { origin: someOrigin() };
});
afterEach(async () => {
  await vk?.stop();
  await issuer?.close();
});

const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
/** Time passes, and the clock on the wall says that it did not. */
const pass = (hours: number): void => {
  vk.skipMs += hours * HOUR_MS;
  vk.setMs -= hours * HOUR_MS;
};
async function rule(text: string): Promise<void> {
  await vk.policy('admin', `v = 1\n[[rules]]\nname = "aged"\n${text}\n[[rules]]\nname = "rest"\ndecide = "allow"\n`);
  expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
}

it('[GV-01] a sign-in grows no younger for a rule that asks how old it may be', async () => {
  await vk.signIn('work', 'alice');
  await rule('decide = "allow"\nceiling = { max_age = "8h" }');
  expect(await token()).toMatchObject({ rule: 'admin/aged' });
  pass(9);
  expect(await token()).toMatchObject({ code: 'login_required', reason: 'max_age' });
});

it('[GV-01] nor for one that looks at how long ago it was', async () => {
  await vk.signIn('work', 'alice');
  await rule('decide = "deny"\nwhen = { signed_in_over = "8h" }');
  expect(await token()).toMatchObject({ rule: 'admin/rest' });
  pass(9);
  expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/aged' });
});

it('[SU-01] nor for a resource that wants a fresh one', async () => {
  await vk.signIn('work', 'alice');
  expect(await token({ max_age_s: 3_600 })).toMatchObject({ profile: 'work', source: 'cache' });
  pass(2);
  expect(await token({ max_age_s: 3_600 })).toMatchObject({ code: 'login_required', reason: 'max_age' });
});

it('[DG-10] a device sign-in that nobody used ends after eight hours all the same', async () => {
  vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
  vk.caller = { terminal: { device: 34816, foreground: true } };
  const { challenge } = (await vk.api('POST', '/v1/logins', { profile: 'work', flow: 'device' })).body;
  const login = (await vk.api('POST', '/v1/logins', { profile: 'work', flow: 'device', consent: { challenge: challenge.id, code: challenge.code } })).body;
  await approveDevice(login.device.verification_uri, login.device.user_code, 'alice');
  expect((await vk.api('GET', `/v1/logins/${login.id}?wait_s=20`)).body).toMatchObject({ state: 'complete' });
  vk.caller = { origin: someOrigin(), terminal: { device: 34816, foreground: true } };
  expect(await token()).toMatchObject({ profile: 'work' });
  pass(7);
  expect(await token()).toMatchObject({ profile: 'work' });
  pass(9);
  expect(await token()).toMatchObject({ code: 'login_required', reason: 'session_limit' });
});
