import fc from 'fast-check';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { createCallers } from '../../daemon/callers/callers.ts';
import { boundMs } from '../support/bound.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let vk: InProcess;
beforeAll(async () => {
  vk = await startInProcess({ config: `[limits]\nrequests_per_second = 10000\nburst = 10000\n${profileToml('work', 'http://127.0.0.1:9')}` });
});
afterAll(async () => {
  await vk?.stop();
});

/** Sends bytes as they are and gives back all that came until the other side closed, or `ms` were over. */
function raw(bytes: string | Buffer, ms = 8_000): Promise<{ text: string; closed: boolean; ms: number }> {
  const from = performance.now();
  return new Promise((resolve) => {
    const socket = connect(vk.socket);
    let text = '';
    const end = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed, ms: performance.now() - from });
    };
    const timer = setTimeout(() => end(false), ms);
    socket.on('data', (chunk) => { text += chunk.toString('latin1'); });
    socket.on('error', () => end(true));
    socket.on('close', () => end(true));
    socket.write(bytes);
  });
}
const http = (head: string, body = ''): string => `${head}\r\nHost: x\r\n${body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`}Connection: close\r\n\r\n${body}`;
const isAlive = async (): Promise<boolean> => (await vk.api('GET', '/v1/status')).status === 200;

describe('the socket', () => {
  it('[IP-01] is 0600 in a directory of 0700', () => {
    expect(statSync(vk.socket).mode & 0o777).toBe(0o600);
    expect(statSync(vk.socket.replace(/\/[^/]+$/, '')).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['Origin', { origin: 'https://evil.example' }], ['Origin: null', { origin: 'null' }],
    ['Sec-Fetch-Mode', { 'sec-fetch-mode': 'cors' }], ['Sec-Fetch-Site', { 'sec-fetch-site': 'none' }],
    ['a name that was led to this machine', { host: 'evil.example:8080' }], ['the same with a dot at its end', { host: 'A.evil.EXAMPLE.' }],
  ])('refuses requests of web pages: %s', async (_name, headers) => {
    expect((await vk.api('GET', '/v1/status', undefined, headers)).body).toMatchObject({ code: 'browser_refused' });
  });

  it.each(['localhost', 'localhost:80', 'x', '127.0.0.1:8080', '[::1]', '%2Frun%2Fuser%2F1000%2Fa.b%2Fsocket', ''])('takes the hosts that clients of a socket name: %j', async (host) => {
    expect((await vk.api('GET', '/v1/status', undefined, { host })).status).toBe(200);
  });

  it.each([
    ['an unknown path', 'GET', '/v1/nothing', undefined, 404, 'not_found'],
    ['another method', 'PUT', '/v1/token', undefined, 405, 'method_not_allowed'],
    ['a trailing slash', 'GET', '/v1/status/', undefined, 404, 'not_found'],
    ['a path with dots', 'GET', '/v1/../v1/status', undefined, 404, 'not_found'],
    ['no JSON', 'POST', '/v1/token', '{', 400, 'bad_request'],
    ['a key too many', 'POST', '/v1/token', { profile: 'work', refresh_token: true }, 400, 'bad_request'],
    ['a number for a string', 'POST', '/v1/token', { profile: 1 }, 400, 'bad_request'],
    ['a string for a number', 'POST', '/v1/token', { profile: 'work', min_ttl_s: '60' }, 400, 'bad_request'],
    ['a path for a profile', 'POST', '/v1/token', { profile: '../../etc/passwd' }, 400, 'bad_request'],
    ['__proto__', 'POST', '/v1/token', '{"profile":"work","__proto__":{"force":true}}', 400, 'bad_request'],
    ['a body where none belongs', 'POST', '/v1/lock', { now: true }, 400, 'bad_request'],
    ['65 scopes', 'POST', '/v1/token', { profile: 'work', scopes: Array(65).fill('a') }, 400, 'bad_request'],
    ['70 KiB', 'POST', '/v1/token', { profile: 'work', claimed: { name: 'x'.repeat(70_000) } }, 413, 'payload_too_large'],
    ['a repeated query key', 'GET', '/v1/logins/aaaaaaaaaaaaaaaaaaaaaa?wait_s=1&wait_s=2', undefined, 400, 'bad_request'],
    ['a wait that is no number', 'GET', '/v1/logins/aaaaaaaaaaaaaaaaaaaaaa?wait_s=x', undefined, 400, 'bad_request'],
    ['an id that is none', 'GET', '/v1/logins/%2e%2e%2f', undefined, 404, 'login_not_found'],
    ['a path that cannot be decoded', 'GET', '/v1/grants/%zz', undefined, 400, 'bad_request'],
    ['a name of 200 characters', 'DELETE', `/v1/grants/${'a'.repeat(200)}`, undefined, 400, 'bad_request'],
  ])('[IP-11] %s is a clear error', async (_name, method, path, body, status, code) => {
    const reply = await vk.api(method, path, body);
    expect(reply).toMatchObject({ status, body: { code, hint: expect.any(String) }, headers: { 'content-type': expect.stringMatching(/^application\/problem\+json/), 'valetkey-protocol': '1' } });
    expect(reply.text).not.toMatch(/\\n +at /);
    expect(Object.prototype).not.toHaveProperty('force');
  });

  it('answers with protocol and build version, and refuses another protocol', async () => {
    const reply = await vk.api('GET', '/v1/status');
    expect(reply.headers).toMatchObject({ 'valetkey-protocol': '1', 'valetkey-build': expect.any(String) });
    expect((await vk.api('GET', '/v1/status', undefined, { 'valetkey-protocol': '2' })).body).toMatchObject({ code: 'protocol_mismatch' });
  });

  it('describes itself: every method, its schemas, and every error code', async () => {
    const { body } = await vk.api('GET', '/v1/openapi.json');
    for (const { path, verb } of Object.values<Method>(METHODS)) expect(body.paths[path]).toHaveProperty(verb.toLowerCase());
    const schema = body.paths['/v1/token'].post.requestBody.content['application/json'].schema;
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false, properties: { min_ttl_s: { type: 'integer', maximum: 86_400 } } });
    expect(body.paths['/v1/logins/{id}'].get.parameters).toEqual([
      { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
      { name: 'wait_s', in: 'query', required: false, schema: expect.objectContaining({ type: 'integer', minimum: 0, maximum: 300 }) },
    ]);
  });
});

describe('[IP-11] clients that mean harm or nothing', () => {
  it.concurrent('one that says nothing, stops in the header, or stops in the body is let go', async () => {
    const [silent, header, body] = await Promise.all([
      raw('', 9_000), raw('POST /v1/token HTTP/1.1\r\nHost: x\r\n', 9_000),
      raw('POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{', 9_000),
    ]);
    for (const client of [silent, header, body]) expect(client).toMatchObject({ closed: true });
    for (const client of [silent, header, body]) expect(client.ms).toBeLessThan(boundMs(6_000));
  }, 15_000);

  it.concurrent.for<readonly [string, string, number, string]>([
    ['what is no HTTP', '\x16\x03\x01\x02\x00\r\n\r\n', 400, 'bad_request'],
    ['a line of nonsense', 'HELO x\r\n\r\n', 400, 'bad_request'],
    ['a header over 16 KiB', `GET /v1/status HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 413, 'payload_too_large'],
    ['two lengths', 'POST /v1/lock HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400, 'bad_request'],
    ['a header that stops in the middle', 'GET /v1/status HTTP/1.1\r\nHost: x\r\n', 400, 'bad_request'],
    ['no Host', 'GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'bad_request'],
  ])('%s is answered with a problem document', { timeout: 10_000 }, async ([, bytes, status, code]) => {
    const { text } = await raw(bytes);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head).toMatch(/^content-type: application\/problem\+json/im);
    expect(head).toMatch(/^valetkey-protocol: 1\r$/im);
    expect(head).toMatch(/^valetkey-build: \S+\r?$/im);
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  it('an answer that is under way is not mixed with one to the garbage behind it', async () => {
    const { text } = await raw('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01\x02garbage\r\n\r\n', 1_500);
    expect(text).not.toContain('HTTP/1.1 400');
    const body = await raw('POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n', 1_500);
    expect(body.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400']);
    expect(await isAlive()).toBe(true);
  });

  it('an expectation that nobody knows is ignored', async () => {
    expect((await vk.api('GET', '/v1/status', undefined, { expect: 'more' })).status).toBe(200);
  });

  it('headers over 16 KiB, requests smuggled into one, upgrades and CONNECT do no harm', async () => {
    expect((await raw(http(`GET /v1/status HTTP/1.1\r\nX: ${'a'.repeat(20_000)}`))).text).toMatch(/^HTTP\/1\.1 4/);
    expect((await raw('POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/status HTTP/1.1\r\n\r\n')).text).toMatch(/^HTTP\/1\.1 400/);
    await Promise.all([
      raw(http('GET /v1/status HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade'), 1_000),
      raw('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n', 1_000),
    ]);
    expect(await isAlive()).toBe(true);
  });

  it('thousands of random frames neither crash it nor fill its memory', async () => {
    const body = fc.oneof(fc.json(), fc.string(), fc.dictionary(fc.string(), fc.anything()).map((v) => { try { return JSON.stringify(v) ?? ''; } catch { return '{}'; } }));
    const path = fc.constantFrom(...Object.values<Method>(METHODS).filter((m) => !['/v1/shutdown', '/v1/upgrade', '/v1/purge', '/v1/lock', '/v1/events'].includes(m.path)).map((m) => `${m.verb} ${m.path.replace(/\{\w+\}/, 'x')}`));
    const garbage = fc.oneof(fc.uint8Array({ maxLength: 400 }).map((a) => Buffer.from(a)), fc.tuple(path, body).map(([p, b]) => Buffer.from(http(`${p} HTTP/1.1`, b))));
    const before = process.memoryUsage().heapUsed;
    await fc.assert(fc.asyncProperty(fc.array(garbage, { minLength: 4, maxLength: 12 }), async (frames) => {
      const answers = await Promise.all(frames.map((frame) => raw(frame, 150)));
      // What begins with a brace is of the other dialect.
      for (const [i, { text }] of answers.entries()) expect(text).toMatch(frames[i]?.[0] === 0x7b ? /^(?:$|\{"type":")/ : /^(?:$|HTTP\/1\.1 [1-5])/);
      for (const { text } of answers) expect(text).not.toMatch(/"code":"internal"/);
    }), { numRuns: 60, endOnFailure: true, examples: [[['{\n', '{', '\n', '{}\n'].map((text) => Buffer.from(text))]] });
    expect(await isAlive()).toBe(true);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024);
  }, 60_000);

  it('nobody waits for a client that floods or dawdles', async () => {
    const dawdlers: Socket[] = Array.from({ length: 40 }, () => connect(vk.socket).on('error', () => undefined));
    for (const socket of dawdlers) socket.write('POST /v1/token HTTP/1.1\r\n');
    const from = performance.now();
    for (let i = 0; i < 50; i += 1) expect(await isAlive()).toBe(true);
    expect((performance.now() - from) / 50).toBeLessThan(boundMs(25));
    for (const socket of dawdlers) socket.destroy();
  });

  it('a process may hold 64 connections, no more; closed ones count no longer', async () => {
    const open: Socket[] = [];
    for (let i = 0; i < 80; i += 1) open.push(connect(vk.socket).on('error', () => undefined));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(open.filter((s) => s.destroyed).length).toBe(16);
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await isAlive()).toBe(true);
  });

  it('asking more than the burst at once is told to wait, and is served again a second later', async () => {
    const limited = await startInProcess({ config: '[limits]\nrequests_per_second = 5\nburst = 60\n' });
    try {
      const sixty = () => Promise.all(Array.from({ length: 60 }, async () => (await limited.api('GET', '/v1/profiles')).status));
      const statuses = [...await sixty(), ...await sixty()];
      expect(statuses.filter((s) => s === 200).length).toBeLessThan(90);
      expect(statuses).toContain(429);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect((await limited.api('GET', '/v1/profiles')).status).toBe(200);
    } finally {
      await limited.stop();
    }
  });
});

describe('what a process asks in vain', () => {
  it.each([
    ['an unknown path', 'GET', '/v1/nothing', undefined], ['a path that cannot be decoded', 'GET', '/v1/%zz', undefined],
    ['a body that is no JSON', 'POST', '/v1/token', '{'], ['a request of a web page', 'GET', '/v1/status', undefined],
  ])('[IP-11] counts like any other request: %s', async (name, method, path, body) => {
    const limited = await startInProcess({ config: '[limits]\nrequests_per_second = 1\nburst = 10\n' });
    try {
      const headers = name.includes('web page') ? { origin: 'https://evil.example' } : {};
      const statuses = await Promise.all(Array.from({ length: 30 }, async () => (await limited.api(method, path, body, headers)).status));
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(18);
      expect((await limited.api('GET', '/v1/status')).body).toMatchObject({ code: 'too_many_requests', retry_after_s: 1 });
      expect(limited.log.lines.filter(({ level, event }) => level !== 'debug' && event === 'request_refused').length).toBeLessThanOrEqual(12);
    } finally {
      await limited.stop();
    }
  });
});

describe('a caller that cannot be looked at', () => {
  it.each([
    ['since no descriptor is left', Object.assign(new Error('too many open files'), { code: 'EMFILE' }), 429, { code: 'too_many_requests', retryable: true, retry_after_s: 1 }],
    ['for a reason that nobody foresaw', new Error('mistake'), 500, { code: 'internal' }],
    ['since it is gone', null, 403, { code: 'policy_denied' }],
  ])('%s is told so, and may come again', async (_name, failure, status, problem) => {
    let answer: () => Promise<null> = async () => { if (failure !== null) throw failure; return null; };
    const real = createCallers({ loginctl: async () => null, ownCli: [] });
    const short = await startInProcess({ config: '', edges: { callers: { ...real, attest: (peer, pin) => (answer === real.attest ? real.attest(peer, pin) : answer()) } } });
    try {
      expect(await short.api('GET', '/v1/status')).toMatchObject({ status, body: problem, headers: { connection: 'close' } });
      answer = real.attest as unknown as typeof answer;
      expect((await short.api('GET', '/v1/status')).status).toBe(200);
    } finally {
      await short.stop();
    }
  });
});

describe('[IP-05] a stranger', () => {
  it('is cut off before a byte of it is read, and recorded', async () => {
    const guarded = await startInProcess({ config: '', edges: { peerOf: () => ({ uid: 4711, pid: 1 }) } });
    try {
      await expect(guarded.api('GET', '/v1/status')).rejects.toThrow();
      expect(guarded.audit.events.find((e) => e.event === 'peer_refused')).toMatchObject({ facts: { uid: 4711 } });
      expect(guarded.log.lines.some((l) => l.event === 'request')).toBe(false);
    } finally {
      await guarded.stop();
    }
  });
});

describe('events', () => {
  it('are streamed as server-sent events until the reader leaves', async () => {
    const stream = raw('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n', 1_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await vk.api('POST', '/v1/reload');
    const { text } = await stream;
    expect(text).toContain('text/event-stream');
    expect(text).toContain('event: config_reloaded\ndata: {"at":');
  });
  const leaving = (bytes: string, afterMs: number): Promise<void> => new Promise((resolve) => {
    const socket = connect(vk.socket).on('error', () => resolve());
    socket.on('connect', () => {
      socket.write(bytes);
      setTimeout(() => { socket.destroy(); resolve(); }, afterMs);
    });
  });

  it('readers that left, at whatever moment, hold no place', async () => {
    const ask = 'GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n';
    for (let i = 0; i < 60; i += 1) await leaving(i % 2 === 0 ? ask : ask + ask, i % 5);
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    const readers = Array.from({ length: 8 }, () => raw(ask, 600));
    for (const { text } of await Promise.all(readers)) expect(text).toContain('200 OK');
  });

  it('are given to eight readers of one process at most, and to a ninth when one has left', async () => {
    const ask = 'GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n';
    const readers = Array.from({ length: 8 }, () => raw(ask, 700));
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    expect((await vk.api('GET', '/v1/events')).body).toMatchObject({ code: 'too_many_requests', detail: expect.stringContaining('8 event streams') });
    await Promise.all(readers);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    expect((await raw(ask, 300)).text).toContain('200 OK');
  });
});

describe('what a program claims of itself', () => {
  it('is in the audit of a refusal, cleaned and apart', async () => {
    const locked = await startInProcess({ config: profileToml('work', 'http://127.0.0.1:9') });
    try {
      await locked.api('POST', '/v1/lock');
      const { body } = await locked.api('POST', '/v1/token', { profile: 'work', claimed: { name: 'de\u001b[31mploy', reason: 'a\nb' } });
      expect(body.code).toBe('vault_locked');
      const refusal = locked.audit.events.find(({ event }) => event === 'token_refused');
      expect(refusal?.facts['claimed']).toEqual({ name: 'deploy', reason: 'a b' });
    } finally {
      await locked.stop();
    }
  });
});
