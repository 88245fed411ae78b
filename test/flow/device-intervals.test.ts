/** The intervals of a sign-in by device code, in real time and therefore all at once: each with an issuer and a daemon of its own. */
import { it } from 'vitest';
import type { TestContext } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import { someFacts } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';

async function parties(onTestFinished: TestContext['onTestFinished']) {
  const hostile = await startHostileIssuer();
  onTestFinished(() => hostile.close());
  const vk = await startInProcess({ config: `[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}`, issuerTimeoutMs: 2_000 });
  onTestFinished(() => vk.stop());
  vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
  vk.caller = { terminal: { device: 34816, foreground: true } };
  const ask = async (more: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', flow: 'device', ...more })).body;
  const confirmed = async () => {
    const { challenge } = await ask();
    return ask({ consent: { challenge: challenge.id, code: challenge.code } });
  };
  const follow = async (id: string, wait = 0) => (await vk.api('GET', `/v1/logins/${id}?wait_s=${wait}`)).body;
  return { hostile, vk, confirmed, follow };
}

it.concurrent('[DG-01, DG-05] shows host, code, expiry, tool, scopes and machine, polls every five seconds, and ends in a token', async ({ expect, onTestFinished }) => {
  const { hostile, vk, confirmed, follow } = await parties(onTestFinished);
  const login = await confirmed();
  expect(login).toMatchObject({
    flow: 'device_code', reason: 'ssh_no_forward', machine: 'test-machine', scopes: ['openid', 'email', 'offline_access'], caller: expect.stringContaining(`pid ${process.pid}`),
    expires_at: expect.any(Number), device: { user_code: expect.any(String), verification_uri: `${hostile.url}/device`, verification_host: new URL(hostile.url).host },
  });
  expect(hostile.requestsTo('device')[0]?.params).toMatchObject({ code_challenge_method: 'S256', code_challenge: expect.stringMatching(/^[\w-]{43}$/) });
  await approveDevice(login.device.verification_uri, login.device.user_code, 'alice');
  expect(await follow(login.id, 15)).toMatchObject({ state: 'complete', subject: { sub: 'alice' } });
  const polls = hostile.requestsTo('token');
  const started = hostile.requestsTo('device')[0]?.atMs ?? 0;
  expect(polls[0]?.params['code_verifier']).toMatch(/^[\w-]{43}$/); // Keycloak may demand PKCE here too
  expect((polls[0]?.atMs ?? 0) - started).toBeGreaterThanOrEqual(4_990);
  expect((await vk.api('POST', '/v1/token', { profile: 'work' })).body).toMatchObject({ source: 'cache' });
  expect((await vk.api('GET', '/v1/grants')).body.grants[0].flow).toBe('device_code');
});

it.concurrent('[DG-04] is over at once when cancelled, and asks no more', async ({ expect, onTestFinished }) => {
  const { hostile, vk, confirmed, follow } = await parties(onTestFinished);
  const login = await confirmed();
  await vk.api('DELETE', `/v1/logins/${login.id}`);
  expect(await follow(login.id)).toMatchObject({ state: 'failed', error: { code: 'login_cancelled' } });
  await new Promise((resolve) => setTimeout(resolve, 5_500));
  expect(hostile.requestsTo('token')).toEqual([]);
});

it.concurrent('[DG-02] waits five seconds longer after slow_down', async ({ expect, onTestFinished }) => {
  const { hostile, confirmed, follow } = await parties(onTestFinished);
  hostile.fault('token', faults.slowDown());
  const login = await confirmed();
  await approveDevice(login.device.verification_uri, login.device.user_code, 'alice');
  expect(await follow(login.id, 20)).toMatchObject({ state: 'complete' });
  const [first, second] = hostile.requestsTo('token').map((r) => r.atMs);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(9_990);
});
