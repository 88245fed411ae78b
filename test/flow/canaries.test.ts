/**
 * No path by which a secret leaves: every value that the issuer ever minted is searched for in every byte
 * that left the daemon through its API, its logs, its audit and its files, over all kinds of endings.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAudit } from '../../daemon/audit/open-audit.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { collectCanaries, searchBytes, searchTree } from '../support/canaries.ts';
import { approveDevice, followLogin } from '../../demo/browser.ts';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { someFacts } from '../support/builders.ts';
import { callApi } from '../support/api.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { LineClient } from '../support/line-client.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const replies: { method: string; path: string; text: string }[] = [];
const api = async (method: string, path: string, body?: unknown) => {
  const reply = await callApi(vk.socket, method, path, body);
  replies.push({ method, path, text: JSON.stringify(reply.headers) + reply.text });
  return reply.body;
};

beforeAll(async () => {
  hostile = await startHostileIssuer({ lifetimes: { accessTokenS: 61 } });
  vk = await startInProcess({ config: `[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}`, backend: 'passphrase', issuerTimeoutMs: 3_000 });
  const audit = await openAudit({ dir: `${vk.stateDir}/audit`, clock: createClock(), log: vk.log });
  vk.audit.append = (event) => audit.append(event);
  vk.audit.close = () => audit.close();
  await api('POST', '/v1/unlock', { passphrase: 'correct horse EXAMPLE', create: true });
});
afterAll(async () => {
  await vk?.stop();
  await hostile?.close();
});

async function signIn(deny = false): Promise<void> {
  const login = await api('POST', '/v1/logins', { profile: 'work' });
  await followLogin(login.start_url, { login: 'alice', deny });
  await api('GET', `/v1/logins/${login.id}?wait_s=10`);
}

describe('[TK-01, AL-03] no secret leaves', () => {
  it('through the API, the log, the audit, or the files, whatever happens', async () => {
    await signIn(true);
    await signIn();
    for (let i = 0; i < 3; i += 1) await api('POST', '/v1/token', { profile: 'work', force: true });
    for (const fault of [faults.status(500), faults.html(), faults.malformed(), faults.oauthError('server_error', hostile.issuer.minted.at(-1)?.value)]) {
      hostile.fault('token', fault);
      await api('POST', '/v1/token', { profile: 'work', force: true });
      await new Promise((resolve) => setTimeout(resolve, 600));
      await signIn();
    }
    hostile.fault('token', faults.lostAnswer());
    await api('POST', '/v1/token', { profile: 'work', force: true });
    vk.facts = someFacts({ remote: true, gui: 'none' });
    vk.caller = { terminal: { device: 1, foreground: true } };
    const { challenge } = await api('POST', '/v1/logins', { profile: 'work', flow: 'device' });
    const device = await callApi(vk.socket, 'POST', '/v1/logins', { profile: 'work', flow: 'device', consent: { challenge: challenge.id, code: challenge.code } });
    await approveDevice(device.body.device.verification_uri, device.body.device.user_code, 'alice');
    await api('GET', `/v1/logins/${device.body.id}?wait_s=40`); // as long as it goes on, who asked may see its code
    for (const { verb, path } of Object.values<Method>(METHODS)) {
      if (verb === 'GET' && path !== '/v1/events') await api(verb, path.replace(/\{\w+\}/, 'work'));
    }
    for (const body of [{}, { profile: 'work', refresh_token: true }, { profile: 'work', include: ['refresh_token'] }, '{', { profile: 'work', scopes: ['openid'], format: 'all' }]) {
      for (const path of ['/v1/token', '/v1/logins', '/v1/unlock', '/v1/profiles', '/v1/lock']) await api('POST', path, body);
    }

    for (const { value } of hostile.issuer.minted.filter(({ kind }) => kind === 'access_token' || kind === 'refresh_token').slice(0, 6)) await api('POST', '/v1/audit/trace', { token: value });

    // The other dialect: every method once, and what no method knows.
    const line = new LineClient(vk.socket);
    const asked = [...Object.keys(METHODS).filter((type) => !['shutdown', 'upgrade', 'events', 'purge'].includes(type)), 'refresh_token', '__proto__'];
    for (const [id, type] of asked.entries()) line.ask({ type, id, data: type === 'openapi' ? {} : { profile: 'work' } });
    await line.wait(asked.length);
    const framed = line.text;
    line.leave();

    const all = collectCanaries(hostile.issuer.minted, { more: ['correct horse EXAMPLE'] });
    expect(hostile.issuer.minted.map((m) => m.kind)).toEqual(expect.arrayContaining(['authorization_code', 'refresh_token', 'id_token', 'device_code', 'code_verifier', 'state', 'nonce']));
    // Access tokens are what the API is for, and are looked for in its other replies.
    const inReplies = collectCanaries(hostile.issuer.minted, { except: ['access_token'], more: ['correct horse EXAMPLE'] });
    for (const { method, path, text } of replies) {
      expect(searchBytes(`${method} ${path}`, text, path === '/v1/token' ? inReplies : all)).toEqual([]);
    }
    const beside = framed.split('\n').filter((text) => !text.startsWith('{"type":"token"')).join('\n');
    expect([...searchBytes('frames', framed, inReplies), ...searchBytes('frames beside tokens', beside, all)]).toEqual([]);
    expect(searchBytes('log', JSON.stringify(vk.log.lines), all)).toEqual([]);
    expect(readdirSync(vk.stateDir)).toEqual(expect.arrayContaining(['audit', 'grants', 'vault.json']));
    expect(searchTree(vk.stateDir, all)).toEqual([]);
  }, 120_000);

  it('and the search would find one: the access token stands in the reply of its own method', async () => {
    const tokens = collectCanaries(hostile.issuer.minted.filter((m) => m.kind === 'access_token'));
    expect(replies.filter((r) => r.path === '/v1/token').some((r) => searchBytes('token', r.text, tokens).length > 0)).toBe(true);
  });
});
