/** The line dialect on a real socket: order, ids, cancel, streams, both dialects at one door. */
import { realpathSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { METHODS } from '../../shared/methods.ts';
import { boundMs } from '../support/bound.ts';
import { someCallers } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';

const LIMITS = '[limits]\nrequests_per_second = 10000\nburst = 100000\n';
let issuer: EmbeddedIssuer;
let vk: InProcess;
let loginId: string;
const clients: LineClient[] = [];

beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({ config: `${LIMITS}${profileToml('work', issuer.url)}${profileToml('nobody', issuer.url)}` });
  await vk.signIn('work', 'ada');
  loginId = (await vk.api('POST', '/v1/logins', { profile: 'nobody' })).body.id;
});
afterAll(async () => {
  for (const client of clients) client.leave();
  await vk?.stop();
  await issuer?.close();
});

function line(): LineClient {
  const client = new LineClient(vk.socket);
  clients.push(client);
  return client;
}
/** A request that waits until somebody finishes the sign-in, which nobody does. */
const waiting = (id: number | string) => ({ type: 'login', id, data: { id: loginId, wait_s: 20 } });

describe('the line dialect', () => {
  it('has every method of the API, with the same answer as HTTP', async () => {
    const token = { profile: 'work' };
    const [framed] = await line().ask({ type: 'token', id: 1, data: token }).wait(1);
    expect(framed?.['data']).toEqual((await vk.api('POST', '/v1/token', token)).body);
    const [seen] = await line().ask({ type: 'whoami', id: 1 }).wait(1);
    expect(seen?.['data']).toEqual((await vk.api('GET', '/v1/whoami')).body);
    expect(seen?.['data']).toMatchObject({ pid: process.pid, executable: realpathSync(process.execPath), digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    const client = line();
    const quiet = ['token', 'fetch', 'startLogin', 'explainLogin', 'login', 'cancelLogin', 'confirmLogin', 'profiles', 'findResource', 'addProfile', 'removeProfile', 'checkPolicy', 'explainPolicy', 'grants', 'logout', 'endSession', 'approvals', 'askApproval', 'grantApproval', 'answerApproval', 'revokeApproval', 'revokeApprovals', 'setApprovalPin', 'workloadToken', 'workloads', 'changeWorkloadKeys', 'removeWorkload', 'unlock', 'status', 'prompt', 'diagnosis', 'whoami', 'reload', 'audit', 'trace', 'metrics', 'openapi'];
    for (const type of quiet) client.ask({ type, id: type, data: type === 'unlock' ? { create: 'x' } : {} });
    const replies = await client.wait(quiet.length);
    expect(replies.map(({ type }) => type).toSorted()).toEqual(quiet.toSorted());
    expect(replies.every(({ data }) => data.code !== 'not_found')).toBe(true);
    expect(Object.keys(METHODS).filter((name) => !quiet.includes(name))).toEqual(['lock', 'panic', 'shutdown', 'upgrade', 'purge', 'events']);
  });

  it('audits, logs and counts a request of either dialect alike', async () => {
    const limited = await startInProcess({ config: `[limits]\nrequests_per_second = 1\nburst = 10\n${profileToml('work', issuer.url)}` });
    try {
      const client = new LineClient(limited.socket);
      for (let id = 0; id < 20; id += 1) client.ask({ type: id % 2 === 0 ? 'profiles' : 'nosuch', id });
      const statuses = (await client.wait(20)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(9);
      expect((await limited.api('GET', '/v1/status')).body).toMatchObject({ code: 'too_many_requests', retry_after_s: 1 });
      expect(limited.log.lines.filter(({ event, fields }) => event === 'request' && fields['route'] === 'GET /v1/profiles').length).toBeGreaterThan(3);
      client.leave();
    } finally {
      await limited.stop();
    }
    const locked = await startInProcess({ config: profileToml('work', issuer.url) });
    try {
      const client = new LineClient(locked.socket).ask({ type: 'lock', id: 0 });
      await client.wait(1);
      const [, refused] = await client.ask({ type: 'token', id: 1, data: { profile: 'work', claimed: { name: 'x' } } }).wait(2);
      expect(refused?.['data']).toMatchObject({ code: 'vault_locked' });
      expect(locked.audit.events.findLast(({ event }) => event === 'token_refused')).toMatchObject({ profile: 'work', request: refused?.['data'].request_id, facts: { claimed: { name: 'x' } } });
      client.leave();
    } finally {
      await locked.stop();
    }
  });

  it('answers requests with ids as they are done, and those without in order', async () => {
    const withIds = line().ask(waiting('slow')).ask({ type: 'profiles', id: 'quick' });
    expect((await withIds.wait(1)).map(({ id }) => id)).toEqual(['quick']);
    const client = line();
    client.ask({ type: 'login', data: { id: loginId, wait_s: 1 } });
    for (let i = 0; i < 40; i += 1) client.ask({ type: 'token', data: { id: i, profile: 'work' } });
    await sleep(200);
    expect(client.text).toBe('');
    const replies = await client.wait(41);
    expect(replies.map(({ type, data }) => (type === 'login' ? 'login' : data.id))).toEqual(['login', ...Array.from({ length: 40 }, (_, i) => i)]);
  });

  it('refuses an id that is under way, and takes it again when it is done', async () => {
    const client = line().ask(waiting(1)).ask({ type: 'profiles', id: 1 });
    const [refused] = await client.wait(1);
    expect(refused).toMatchObject({ id: 1, status: 400, data: { detail: 'a request of this id is under way' } });
    client.ask({ type: 'cancel', id: 1 });
    await client.wait(2);
    client.ask({ type: 'profiles', id: 1 });
    expect((await client.wait(3))[2]).toMatchObject({ id: 1, status: 200 });
  });

  it('tells the number 7 from the string "7"', async () => {
    const client = line().ask(waiting(7)).ask(waiting('7')).ask({ type: 'cancel', id: '7' });
    expect(await client.wait(1)).toMatchObject([{ id: '7', status: 499 }]);
    await sleep(50);
    expect(client.replies()).toHaveLength(1);
  });

  it('has at most 64 requests under way, and says so to one more', async () => {
    const client = line();
    for (let id = 0; id < 70; id += 1) client.ask(waiting(id));
    const refused = await client.wait(6);
    expect(refused.map(({ id, data }) => [id, data.code])).toEqual(Array.from({ length: 6 }, (_, i) => [64 + i, 'too_many_requests']));
    for (let id = 0; id < 64; id += 1) client.ask({ type: 'cancel', id });
    const all = await client.wait(70);
    expect(all.slice(6).every(({ data }) => data.code === 'cancelled')).toBe(true);
    client.ask({ type: 'profiles', id: 0 });
    expect((await client.wait(71)).at(-1)).toMatchObject({ status: 200 });
  });

  it('a wait that is cancelled ends; a caller that leaves ends all of its own', async () => {
    const client = line().ask(waiting('a')).ask(waiting('b')).ask({ type: 'cancel', id: 'a' });
    expect(await client.wait(1)).toMatchObject([{ type: 'login', id: 'a', status: 499, data: { code: 'cancelled', retryable: false } }]);
    const before = vk.log.lines.length;
    client.leave();
    await expect.poll(() => vk.log.lines.slice(before).filter(({ event, fields }) => event === 'request_refused' && fields['code'] === 'cancelled').length).toBe(1);
  });

  it('answers a thousand requests that came in one write', async () => {
    const client = line();
    client.send(Array.from({ length: 1_000 }, (_, id) => `${JSON.stringify({ type: 'token', id, data: { profile: 'work' } })}\n`).join(''));
    const replies = await client.wait(1_000);
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 1_000 }, (_, id) => id));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
  });

  it('answers what is under way to a client that stops sending, then ends', async () => {
    const client = line().ask({ type: 'login', id: 1, data: { id: loginId, wait_s: 1 } }).ask({ type: 'events', id: 2 });
    client.socket.end();
    await client.closed();
    expect(client.replies().filter(({ type }) => type !== 'events')).toMatchObject([{ id: 1, status: 200 }]);
  });

  it('a stream without id is told of events as well, and holds no one up', async () => {
    const client = line().ask({ type: 'events' }, '\f').ask({ type: 'reload', data: { id: 'me' } }, '\f');
    expect(await client.wait(2, { terminator: '\f' })).toMatchObject([{ type: 'events', data: { event: 'config_reloaded' } }, { type: 'reload', data: { id: 'me', profiles: 2 } }]);
    expect(client.replies('\f')[0]).not.toHaveProperty('id');
    client.leave();
  });

  it('streams are eight a process, and one that is cancelled makes room', async () => {
    await sleep(50);
    const client = line();
    for (let id = 0; id < 9; id += 1) client.ask({ type: 'events', id });
    expect(await client.wait(1)).toMatchObject([{ id: 8, status: 429, data: { detail: expect.stringContaining('8 event streams') } }]);
    client.ask({ type: 'cancel', id: 0 }).ask({ type: 'events', id: 9 }).ask({ type: 'profiles', id: 'end' });
    expect((await client.wait(3)).slice(1)).toMatchObject([{ id: 0, status: 499 }, { id: 'end', status: 200 }]);
    client.leave();
  });

  it('keeps an id of the reply\'s own', async () => {
    const [reply] = await line().ask({ type: 'startLogin', data: { id: 'mine', profile: 'nobody' } }).wait(1);
    expect(reply?.['data'].id).toBe(loginId);
  });

  it('sends non-ASCII text whole, also where a frame is cut within a character', async () => {
    const bytes = Buffer.from('{"type":"profiles","id":"grüße-🔑"}\n');
    const client = line();
    const at = bytes.indexOf(0xf0) + 2;
    client.send(bytes.subarray(0, at));
    await sleep(30);
    expect(await client.send(bytes.subarray(at)).wait(1)).toMatchObject([{ id: 'grüße-🔑', status: 200 }]);
  });

  it('ends with the daemon: what is under way is answered, an idle connection is closed', async () => {
    const other = await startInProcess({ config: profileToml('nobody', issuer.url) });
    const { body } = await other.api('POST', '/v1/logins', { profile: 'nobody' });
    const idle = new LineClient(other.socket).ask({ type: 'profiles', id: 1 });
    const busy = new LineClient(other.socket).ask({ type: 'login', id: 1, data: { id: body.id, wait_s: 20 } }).ask({ type: 'events', id: 2 });
    await idle.wait(1);
    await sleep(50);
    const from = performance.now();
    await other.stop();
    expect(performance.now() - from).toBeLessThan(boundMs(4_000));
    await Promise.all([idle.closed(), busy.closed()]);
    expect(busy.replies().find(({ id }) => id === 1)).toBeDefined();
    expect(busy.replies().some(({ type, data }) => type === 'events' && data.event === 'stopping')).toBe(true);
  });
});

describe('one door', () => {
  it('takes HTTP and frames at once, and a client of one cannot turn to the other', async () => {
    const http = connect(vk.socket);
    let text = '';
    http.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    http.on('error', () => undefined);
    http.write('GET /v1/profiles HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => text).toContain('200 OK');
    http.write('{"type":"profiles","id":1}\n\r\n\r\n');
    await expect.poll(() => text).toContain('HTTP/1.1 400');
    http.destroy();
    expect(await line().ask({ type: 'profiles', id: 1 }).wait(1)).toMatchObject([{ status: 200 }]);
  });

  it('takes four pipelined HTTP requests that are cut anywhere', async () => {
    const bytes = 'POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"profile":"work"}'.repeat(4);
    for (const cut of [1, 2, 40, 96, 110, 200, 300]) {
      const client = line().send(bytes.slice(0, cut));
      await sleep(5);
      client.send(bytes.slice(cut));
      await expect.poll(() => client.text.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(4);
      client.leave();
    }
  });
});

describe('a caller that cannot be looked at', () => {
  it('is told so in a frame, and the connection ends', async () => {
    const short = await startInProcess({ config: '', edges: { callers: someCallers({ attest: async () => null }) } });
    try {
      const client = new LineClient(short.socket).ask({ type: 'profiles', id: 1 }).ask({ type: 'profiles', id: 2 });
      await client.closed();
      expect(client.replies()).toMatchObject([{ type: 'profiles', id: 1, status: 403, data: { code: 'policy_denied' } }]);
    } finally {
      await short.stop();
    }
  });
});
