/** Use without possession, against a resource that does what it should not. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { someOrigin } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';

type Answer = (req: IncomingMessage, res: ServerResponse) => void;
type Heard = { readonly method: string; readonly url: string; readonly rawHeaders: readonly string[]; readonly body: string };

let issuer: EmbeddedIssuer;
let vk: InProcess;
let api: { readonly url: string; answer: Answer; readonly heard: Heard[]; readonly open: Set<Socket>; close(): Promise<void> };

const hello: Answer = (_req, res) => void res.writeHead(200, { 'content-type': 'text/plain' }).end('hello');
const bearerOf = (req: IncomingMessage): string => (req.headers.authorization ?? '').replace('Bearer ', '');

async function startApi(): Promise<typeof api> {
  const open = new Set<Socket>();
  const self = { url: '', answer: hello, heard: [] as Heard[], open, close: async () => { server.close(); server.closeAllConnections(); } };
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    res.on('error', () => undefined);
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      self.heard.push({ method: req.method ?? '', url: req.url ?? '', rawHeaders: req.rawHeaders, body: Buffer.concat(chunks).toString() });
      self.answer(req, res);
    });
  });
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return self;
}

beforeEach(async () => {
  issuer = await startIssuer({ lifetimes: { accessTokenS: 600 } });
  api = await startApi();
  vk = await startInProcess({ config: profileToml('work', issuer.url, `fetch_origins = ["${api.url}"]\nfetch_methods = ["GET", "HEAD", "POST"]\nfetch_headers = ["x-api-version"]`) });
  await vk.signIn('work', 'alice');
});
afterEach(async () => {
  await vk.stop();
  await api.close();
  await issuer.close();
});

type Got = { readonly status: number; readonly headers: IncomingMessage['headers']; readonly text: string; readonly isWhole: boolean };

/** A caller; `read` may leave, or take its time. */
function ask(body: object, read: (res: IncomingMessage) => void = () => undefined): Promise<Got> {
  const payload = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const req = request({ socketPath: vk.socket, method: 'POST', path: '/v1/fetch', agent: false, headers: { host: 'localhost', 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) } }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
      res.on('close', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text: Buffer.concat(chunks).toString(), isWhole: res.complete }));
      read(res);
    });
    req.on('error', reject);
    req.end(payload);
  });
}

const get = (path: string, more: object = {}): Promise<Got> => ask({ profile: 'work', url: `${api.url}${path}`, ...more });
const events = (name: string) => vk.audit.events.filter(({ event }) => event === name);
const tokensOut = (): readonly string[] => issuer.minted.filter(({ kind }) => kind === 'access_token').map(({ value }) => value);

describe('an answer', () => {
  it('comes as the API gave it, to a request with the token that the caller never sees', async () => {
    api.answer = (req, res) => void res.writeHead(201, { 'content-type': 'application/json', etag: '"1"', 'set-cookie': 'sid=1', 'x-internal': 'secret', 'x-ratelimit-remaining': '9' }).end(JSON.stringify({ has: bearerOf(req).length > 20 }));
    const got = await get('/me?q=1', { method: 'POST', headers: { 'Content-Type': 'text/plain', 'x-api-version': '2' }, body: 'to the API' });
    expect(got).toMatchObject({ status: 201, text: '{"has":true}', isWhole: true, headers: { 'valetkey-answered-by': 'resource', etag: '"1"', 'content-type': 'application/json', 'x-ratelimit-remaining': '9' } });
    expect(got.headers).not.toHaveProperty('set-cookie');
    expect(got.headers).not.toHaveProperty('x-internal');
    expect(api.heard).toEqual([expect.objectContaining({ method: 'POST', url: '/me?q=1', body: 'to the API' })]);
    expect(tokensOut().some((token) => JSON.stringify(got).includes(token))).toBe(false);
  });

  it('is on record before the token is used, and when it is over, without the query', async () => {
    let before = 0;
    api.answer = (req, res) => {
      before = events('fetch_started').length;
      hello(req, res);
    };
    await get('/me?secret=1');
    expect(before).toBe(1);
    expect(events('fetch_started')[0]).toMatchObject({ profile: 'work', caller: expect.anything(), facts: { method: 'GET', origin: api.url, path: '/me', rule: expect.any(String), token: expect.any(String) } });
    expect(events('fetch_ended').map(({ facts }) => facts)).toEqual([expect.objectContaining({ origin: api.url, status: 200, bytes: 5, why: null, address: '127.0.0.1' })]);
    expect(events('token_released')).toEqual([]);
    expect((await vk.api('GET', '/v1/metrics')).text).toMatch(/^valetkey_fetches_total\{what="started"\} 1\nvaletkey_fetches_total\{what="ended"\} 1$/m);
    expect(JSON.stringify(vk.audit.events)).not.toContain('secret=1');
  });

  it.each([[204, ''], [304, ''], [404, 'no'], [500, 'broken']])('of status %i is passed on as it is', async (status, body) => {
    api.answer = (_req, res) => void res.writeHead(status).end(body);
    expect(await get('/')).toMatchObject({ status, text: body, isWhole: true, headers: { 'valetkey-answered-by': 'resource' } });
  });

  describe('that the token is taken no more', () => {
    /** Takes whatever was not the token of the first request. */
    const takesAnother: Answer = (req, res) => {
      const [first] = api.heard;
      const isFirst = first?.rawHeaders.includes(req.headers.authorization ?? '') === true;
      res.writeHead(isFirst ? 401 : 200, isFirst ? { 'www-authenticate': 'Bearer error="invalid_token"' } : {}).end(isFirst ? 'who?' : 'hello');
    };
    const refreshes = (): number => vk.audit.events.filter(({ event }) => event === 'token_refreshed').length;

    it('has it refreshed, and the request sent again, whole and once', async () => {
      api.answer = takesAnother;
      vk.skipMs += 120_000;
      expect(await get('/me', { method: 'POST', body: 'a thing' })).toMatchObject({ status: 200, text: 'hello', isWhole: true });
      expect(api.heard.map(({ method, body }) => [method, body])).toEqual([['POST', 'a thing'], ['POST', 'a thing']]);
      expect(refreshes()).toBe(1);
      expect(events('fetch_started')).toHaveLength(2);
      expect(events('fetch_ended').map(({ facts }) => [facts['status'], facts['why']])).toEqual([[401, 'token_refused'], [200, null]]);
      expect(new Set(events('fetch_started').map(({ facts }) => facts['token'])).size).toBe(2);
    });

    it('is passed on where a newer one is refused as well, and refreshes no more for a minute', async () => {
      api.answer = (_req, res) => void res.writeHead(401).end('never');
      vk.skipMs += 120_000;
      for (let call = 0; call < 4; call += 1) expect(await get('/')).toMatchObject({ status: 401, text: 'never', isWhole: true });
      expect([refreshes(), api.heard.length]).toEqual([1, 5]);
    });

    it('leaves no connection with the answer that nobody reads', async () => {
      api.answer = (req, res) => {
        if (api.heard.length > 1) return hello(req, res);
        res.writeHead(401);
        res.write('x'.repeat(1_000_000));
      };
      vk.skipMs += 120_000;
      expect(await get('/')).toMatchObject({ status: 200, text: 'hello' });
      await expect.poll(() => api.open.size).toBe(0);
    });

    it('says what to do where there is no newer one', async () => {
      api.answer = takesAnother;
      vk.skipMs += 120_000;
      await issuer.close();
      expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/` })).body).toMatchObject({ code: 'issuer_unreachable' });
      expect(api.heard).toHaveLength(1);
    });
  });

  it('that redirects is returned, and nothing is sent to where it leads', async () => {
    const other = await startApi();
    api.answer = (_req, res) => void res.writeHead(302, { location: `${other.url}/take` }).end('moved');
    expect(await get('/')).toMatchObject({ status: 302, text: 'moved', headers: { location: `${other.url}/take` } });
    expect(other.heard).toEqual([]);
    await other.close();
  });

  it.each([
    ['for good', (res: ServerResponse) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
    ['for its transfer', (res: ServerResponse) => void res.socket?.end('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n')],
  ])('that is packed %s is refused, since nobody could look into it', async (_, answer) => {
    api.answer = (_req, res) => answer(res);
    expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/` })).body).toMatchObject({ status: 502, code: 'resource_answer_refused', reason: 'packed' });
    expect(api.heard[0]?.rawHeaders.join('\n')).toContain('accept-encoding\nidentity');
  });
});

describe('a rule about what a caller gets', () => {
  const RULES = 'v = 1\n[[rules]]\nname = "agents-fetch"\nwhen = { class = "agent", use = "fetch" }\ndecide = "allow"\n[[rules]]\nname = "no-token-for-agents"\nwhen = { class = "agent", use = "token" }\ndecide = "deny"\n';
  const tell = async (caller: string, use: object) => (await vk.api('POST', '/v1/policy/explain', { profile: 'work', caller: { class: caller }, ...use })).body;

  it('lets an agent have what the API answers, and never the token', async () => {
    await vk.policy('admin', RULES);
    await vk.api('POST', '/v1/reload');
    vk.caller = { origin: someOrigin({ class: 'agent', agent: 'claude-code' }) };
    expect(await get('/')).toMatchObject({ status: 200, text: 'hello' });
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).body).toMatchObject({ code: 'policy_denied', reason: 'admin/no-token-for-agents' });
    expect(events('fetch_started')[0]?.facts).toMatchObject({ rule: 'admin/agents-fetch' });
    expect(await tell('agent', { use: 'fetch' })).toMatchObject({ decision: 'allow', rule: 'admin/agents-fetch' });
    expect(await tell('agent', {})).toMatchObject({ decision: 'deny', rule: 'admin/no-token-for-agents' });
  });

  it('forbids a fetch where the token may be had', async () => {
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "no-fetch"\nwhen = { use = "fetch" }\ndecide = "deny"\n[[rules]]\nname = "rest"\ndecide = "allow"\n');
    await vk.api('POST', '/v1/reload');
    expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/` })).body).toMatchObject({ code: 'policy_denied', reason: 'user/no-fetch', hint: expect.stringContaining('--use fetch') });
    expect(api.heard).toEqual([]);
    expect((await vk.api('POST', '/v1/token', { profile: 'work' })).status).toBe(200);
  });
});

describe('a resource that echoes the token', () => {
  const forms: readonly (readonly [string, (token: string) => string])[] = [
    ['as it is', (token) => token],
    ['in base64', (token) => Buffer.from(`Bearer ${token}`).toString('base64')],
    ['in base64url, one letter on', (token) => Buffer.from(`xBearer ${token}`).toString('base64url')],
    ['in base64, two letters on', (token) => Buffer.from(`xxBearer ${token} and more`).toString('base64')],
    ['percent-encoded whole', (token) => [...token].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('')],
    ['in hexadecimal', (token) => Buffer.from(token).toString('hex')],
    ['in UTF-16', (token) => Buffer.from(token, 'utf16le').toString('latin1')],
    ['backwards', (token) => [...token].toReversed().join('')],
  ];

  it.each(forms)('%s, byte by byte, gives not one byte of it', async (_, form) => {
    let shown = '';
    api.answer = (req, res) => {
      shown = form(bearerOf(req));
      res.writeHead(200).flushHeaders();
      void (async () => {
        res.write('before:');
        for (const byte of Buffer.from(shown, 'latin1').subarray(0, -1)) {
          res.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        res.end(Buffer.from(shown, 'latin1').subarray(-1));
      })();
    };
    const got = await get('/echo');
    expect(got.isWhole).toBe(false);
    // Of another encoding a beginning that says nothing of the token may be out: of its first letters nothing is.
    expect('before:Bearer xBearer xxBearer '.includes(got.text.slice(0, 7))).toBe(true);
    expect(got.text.length).toBeLessThan(24);
    await expect.poll(() => events('fetch_ended').map(({ facts }) => facts['why'])).toEqual(['token']);
  });

  it('in a large body, on the edge of two chunks, is cut there', async () => {
    api.answer = (req, res) => {
      const token = bearerOf(req);
      const half = Math.floor(token.length / 2);
      res.writeHead(200);
      res.write(Buffer.concat([Buffer.alloc(200_000, 'a'), Buffer.from(token.slice(0, half))]));
      setTimeout(() => res.end(Buffer.concat([Buffer.from(token.slice(half)), Buffer.alloc(1_000, 'b')])), 20);
    };
    const got = await get('/echo');
    expect(got.isWhole).toBe(false);
    expect(got.text).toBe('a'.repeat(got.text.length));
  });

  it('in a header is refused whole', async () => {
    api.answer = (req, res) => void res.writeHead(200, { location: `/?token=${bearerOf(req)}` }).end('x');
    const got = await get('/echo');
    expect(got).toMatchObject({ status: 502, text: expect.stringContaining('resource_answer_refused') });
    expect(got.text).not.toContain(tokensOut().at(-1));
  });

  it('in its reason phrase or trailers shows none of it', async () => {
    api.answer = (req, res) => {
      res.writeHead(200, bearerOf(req), { trailer: 'x-echo' });
      res.write('x');
      res.addTrailers({ 'x-echo': bearerOf(req) });
      res.end();
    };
    const raw = connect(vk.socket);
    const payload = JSON.stringify({ profile: 'work', url: `${api.url}/` });
    let text = '';
    raw.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
    raw.write(`POST /v1/fetch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${payload.length}\r\n\r\n${payload}`);
    await once(raw, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    for (const token of tokensOut()) expect(text).not.toContain(token);
  });

  it('with what only begins like it goes on whole', async () => {
    const got = Promise.resolve().then(() => get('/'));
    api.answer = (req, res) => void res.writeHead(200).end(`${bearerOf(req).slice(0, 20)}!${bearerOf(req).slice(0, 5)}`);
    expect((await got).isWhole).toBe(true);
    expect((await got).text).toHaveLength(26);
  });
});

describe('a caller who wants more', () => {
  const refused = async (more: object, reason: string): Promise<void> => {
    const got = await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/`, ...more });
    expect(got.body).toMatchObject({ code: 'fetch_refused', status: 403, reason });
    expect(api.heard).toEqual([]);
    expect(events('fetch_started')).toEqual([]);
  };

  it.each([
    ['another host', 'https://evil.example/'], ['the same host, another port', 'http://127.0.0.1:1/'], ['the host as a name', 'http://localhost:1/'],
    ['the address in other letters', 'http://127.1:1/'], ['an IPv4 address in IPv6', 'http://[::ffff:127.0.0.1]:1/'], ['another scheme', 'file:///etc/passwd'], ['the metadata of a cloud', 'http://169.254.169.254/latest/meta-data/'],
  ])('gets nothing sent to %s', async (_, url) => {
    await refused({ url }, 'origin');
  });

  it('gets nothing sent to a host that stands behind the right name', async () => {
    await refused({ url: `${api.url}@evil.example/`.replace('http://127.0.0.1', 'http://127.0.0.1') }, 'url');
    await refused({ url: `https://${new URL(api.url).host}.evil.example/`.replace(/:\d+/, '') }, 'origin');
  });

  it.each([
    ['Authorization', 'Bearer mine'], ['Host', 'evil.example'], ['Cookie', 'a=b'], ['Connection', 'close'], ['Transfer-Encoding', 'chunked'], ['Content-Length', '5'], ['TE', 'trailers'], ['Upgrade', 'h2c'],
    ['Expect', '100-continue'], ['Proxy-Authorization', 'Basic eA=='], ['Range', 'bytes=0-9'], ['Accept-Encoding', 'gzip'], ['X-HTTP-Method-Override', 'DELETE'], ['X-Forwarded-Host', 'evil.example'], ['X-Other', '1'], ['x api', '1'],
  ])('may not set the header %s', async (name, value) => {
    await refused({ headers: { [name]: value } }, 'header');
  });

  it('cannot add a header or a request inside of another', async () => {
    await refused({ headers: { 'x-api-version': '1\r\nX-Injected: 1' } }, 'header');
    await refused({ headers: { 'x-api-version': '1\n\nGET /other HTTP/1.1' } }, 'header');
    await refused({ headers: { 'x-api-version': 'ä' } }, 'header');
    expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/ HTTP/1.1\r\nX: 1` })).body).toMatchObject({ code: 'bad_request' });
    expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/`, method: 'GET', body: 'x' })).body).toMatchObject({ code: 'bad_request' });
    expect(api.heard).toEqual([]);
  });

  it('may not use a method that the profile does not name, nor one of proxies', async () => {
    await refused({ method: 'DELETE' }, 'method');
    for (const method of ['CONNECT', 'TRACE', 'OPTIONS', 'get']) expect((await vk.api('POST', '/v1/fetch', { profile: 'work', url: `${api.url}/`, method })).body).toMatchObject({ code: 'bad_request' });
  });

  it('sends one Host, in the form that servers expect, however the path looks', async () => {
    await get('//evil.example/http://evil.example/');
    expect(api.heard[0]?.url).toBe('//evil.example/http://evil.example/');
    const names = (api.heard[0]?.rawHeaders ?? []).filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => name === 'host')).toHaveLength(1);
    expect(names.filter((name) => name === 'authorization')).toHaveLength(1);
    expect(api.heard[0]?.rawHeaders).toContain(new URL(api.url).host);
  });

  it('is refused by policy as for a token, and on record so', async () => {
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "nothing"\ndecide = "deny"\n');
    await vk.daemon.reload();
    expect((await get('/')).text).toContain('policy_denied');
    expect(api.heard).toEqual([]);
    expect(events('token_refused')).toHaveLength(1);
    expect(events('fetch_started')).toEqual([]);
  });

  it('in frames is told to come by HTTP, before anything is sent', async () => {
    const client = new LineClient(vk.socket);
    client.ask({ type: 'fetch', id: 1, data: { profile: 'work', url: `${api.url}/` } });
    expect((await client.wait(1))[0]).toMatchObject({ type: 'fetch', id: 1, status: 400, data: { code: 'bad_request' } });
    client.socket.destroy();
    expect(api.heard).toEqual([]);
  });
});

describe('a resource and a caller that take their time', () => {
  it('an answer that drips is cut when the time is over, and others are answered meanwhile', async () => {
    api.answer = (_req, res) => {
      res.writeHead(200);
      const timer = setInterval(() => void res.write('.'), 20);
      res.on('close', () => clearInterval(timer));
    };
    const dripping = get('/', { timeout_s: 2 });
    await expect.poll(() => api.heard.length).toBe(1);
    expect((await vk.api('GET', '/v1/status')).status).toBe(200);
    expect(await dripping).toMatchObject({ status: 200, isWhole: false });
    await expect.poll(() => events('fetch_ended').map(({ facts }) => facts['why'])).toEqual(['deadline_exceeded']);
    await expect.poll(() => api.open.size).toBe(0);
  });

  it('one that never answers ends as deadline_exceeded', async () => {
    api.answer = () => undefined;
    expect((await get('/', { timeout_s: 1 })).text).toContain('deadline_exceeded');
    await expect.poll(() => api.open.size).toBe(0);
  });

  it('of a gigabyte no more is taken than may be, and no more than is read', async () => {
    let sent = 0;
    const block = Buffer.alloc(65_536, 'x');
    api.answer = (_req, res) => {
      res.writeHead(200, { 'content-length': String(1_073_741_824) });
      const go = (): void => {
        while (!res.destroyed && sent < 1_073_741_824) {
          sent += block.length;
          if (!res.write(block)) return void res.once('drain', go);
        }
      };
      go();
    };
    // Nobody reads: what the kernel and the streams hold is all that is taken.
    let resume: () => void = () => undefined;
    const slow = ask({ profile: 'work', url: `${api.url}/`, max_bytes: 20_000_000 }, (res) => {
      res.pause();
      resume = () => void res.resume();
    });
    await expect.poll(() => sent).toBeGreaterThan(0);
    for (let before = -1; before !== sent; await sleep(300)) before = sent;
    expect(sent).toBeLessThan(16_000_000);
    expect((await vk.api('GET', '/v1/status')).status).toBe(200);
    resume();
    const got = await slow;
    expect(got.isWhole).toBe(false);
    expect(got.text.length).toBeLessThanOrEqual(20_000_000);
    await expect.poll(() => events('fetch_ended').map(({ facts }) => facts['why'])).toEqual(['too_large']);
    expect(sent).toBeLessThan(60_000_000);
  });

  it('a caller who leaves ends the request to the API', async () => {
    api.answer = (_req, res) => {
      res.writeHead(200);
      const timer = setInterval(() => void res.write('x'.repeat(1_000)), 10);
      res.on('close', () => clearInterval(timer));
    };
    await ask({ profile: 'work', url: `${api.url}/` }, (res) => res.once('data', () => res.destroy()));
    await expect.poll(() => api.open.size).toBe(0);
    await expect.poll(() => events('fetch_ended').map(({ facts }) => facts['why'])).toEqual(['cancelled']);
  });

  it('a lock ends what is on its way', async () => {
    api.answer = (_req, res) => {
      res.writeHead(200);
      const timer = setInterval(() => void res.write('x'), 10);
      res.on('close', () => clearInterval(timer));
    };
    const going = get('/');
    await expect.poll(() => api.heard.length).toBe(1);
    await vk.api('POST', '/v1/lock');
    expect((await going).isWhole).toBe(false);
    await expect.poll(() => api.open.size).toBe(0);
  });

  it('one process has eight under way at most, and all places back when they are over', async () => {
    const waiting: ServerResponse[] = [];
    api.answer = (_req, res) => void waiting.push(res);
    const eight = Array.from({ length: 8 }, () => get('/'));
    await expect.poll(() => waiting.length).toBe(8);
    expect((await get('/')).text).toContain('too_many_requests');
    for (const res of waiting) res.end('done');
    expect((await Promise.all(eight)).map(({ text }) => text)).toEqual(Array.from({ length: 8 }, () => 'done'));
    api.answer = hello;
    await expect.poll(async () => (await get('/')).text).toBe('hello');
  });
});
