import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { someFacts } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const terminal = { device: 34816, foreground: true };
beforeEach(async () => {
  hostile = await startHostileIssuer();
  vk = await startInProcess({ config: `${MANY_CALLERS}[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}`, issuerTimeoutMs: 2_000 });
  vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
  vk.caller = { terminal };
});
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const ask = async (more: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', flow: 'device', ...more })).body;
const confirmed = async () => {
  const { challenge } = await ask();
  return ask({ consent: { challenge: challenge.id, code: challenge.code } });
};
const follow = async (id: string, wait = 0) => (await vk.api('GET', `/v1/logins/${id}?wait_s=${wait}`)).body;

describe('a sign-in by device code', () => {
  it('[DG-08] asks a person first, without any request to the device endpoint', async () => {
    const reply = await ask();
    expect(reply).toMatchObject({ code: 'consent_required', challenge: { issuer_host: new URL(hostile.url).host, client_id: 'valetkey', machine: 'test-machine', scopes: ['openid', 'email', 'offline_access'] } });
    expect(await ask({ consent: { challenge: reply.challenge.id, code: 'XXXX' } })).toMatchObject({ code: 'consent_required' });
    vk.caller = { terminal: null };
    expect(await ask()).toMatchObject({ code: 'consent_required' });
    expect((await ask()).challenge).toBeUndefined();
    expect(hostile.requestsTo('device')).toEqual([]);
  });

  it('[DG-09] gives the user code only to the process that asked, and the device code to nobody', async () => {
    const login = await confirmed();
    const deviceCode = hostile.issuer.minted.find((m) => m.kind === 'device_code')?.value ?? 'none';
    vk.caller = { pid: 1, startTime: '1', terminal };
    const others = [await ask(), await follow(login.id), (await vk.api('POST', '/v1/token', { profile: 'work' })).body, (await vk.api('GET', '/v1/status')).body];
    for (const reply of others) expect(JSON.stringify(reply)).not.toContain(login.device.user_code);
    for (const reply of [login, ...others, vk.log.lines, vk.audit.events]) expect(JSON.stringify(reply)).not.toContain(deviceCode);
    expect(JSON.stringify([vk.log.lines, vk.audit.events])).not.toContain(login.device.user_code);
  });

  it('[DG-08] fifty starts at once are one request', async () => {
    const first = await confirmed();
    const all = await Promise.all(Array.from({ length: 50 }, () => ask()));
    expect(new Set(all.map((l) => l.id))).toEqual(new Set([first.id]));
    expect(hostile.requestsTo('device')).toHaveLength(1);
  });

  it('[DG-04] ends with its last process', async () => {
    vk.caller = { terminal, pid: 999_999_999, startTime: '1' };
    const login = await confirmed();
    await expect.poll(async () => (await follow(login.id)).state).toBe('failed');
  });

  it('[DG-06] is refused, not shown, when the page is on a stranger\'s host', async () => {
    hostile.fault('device', faults.withMembers({ verification_uri: 'https://login.evil.example', verification_uri_complete: undefined }));
    const reply = await confirmed();
    expect(reply).toMatchObject({ code: 'verification_host_untrusted', detail: expect.stringContaining('login.evil.example') });
    expect(reply.device).toBeUndefined();
  });
});

describe('where it is refused', () => {
  it('[FC-08] at issuers that the configuration does not list', async () => {
    await vk.config(profileToml('work', hostile.url));
    await vk.api('POST', '/v1/reload');
    expect(await ask()).toMatchObject({ code: 'flow_refused', reason: 'device_denied_tenant' });
    expect(hostile.log).toEqual([]);
  });
  it('where the issuer has no such endpoint', async () => {
    const { challenge } = await ask();
    hostile.fault('discovery', faults.withMembers({ device_authorization_endpoint: undefined }), 10);
    const reply = await ask({ consent: { challenge: challenge.id, code: challenge.code } });
    expect(reply).toMatchObject({ code: 'flow_refused', reason: 'as_no_device_endpoint' });
  });
});
