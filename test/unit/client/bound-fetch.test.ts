import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindFetch, parseOrigins, tokenOrigin } from '../../../client/bound-fetch.ts';
import { connect } from '../../../client/index.ts';
import { reply, standIn } from './stand-in.ts';

type Hit = { readonly method: string; readonly path: string; readonly token: string | undefined; readonly cookie: string | undefined; readonly body: string };
type Site = { readonly origin: string; readonly hits: Hit[]; handler: (hit: Hit, response: ServerResponse) => void; readonly server: Server };

async function openSite(): Promise<Site> {
  const hits: Hit[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => {
      const hit = { method: request.method ?? '', path: request.url ?? '', token: request.headers.authorization, cookie: request.headers.cookie, body };
      hits.push(hit);
      site.handler(hit, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const site: Site = { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits, handler: (_, response) => response.end('ok'), server };
  return site;
}

const redirectTo = (location: string, status = 302) => (_: Hit, response: ServerResponse) => { response.writeHead(status, { location }).end(); };

let api: Site;
let other: Site;
const tokens: string[] = [];
const asked: (string | null)[] = [];
const stepUps: [string, string, number][] = [];
let mayInteract = true;
let bound: typeof globalThis.fetch;

beforeEach(async () => {
  [api, other] = await Promise.all([openSite(), openSite()]);
  tokens.splice(0, tokens.length, 'first-EXAMPLE', 'second-EXAMPLE', 'third-EXAMPLE');
  asked.length = 0;
  stepUps.length = 0;
  mayInteract = true;
  bound = bindFetch({
    origins: async () => new Set([api.origin]),
    token: async (refused) => {
      asked.push(refused);
      if (refused !== null) tokens.shift();
      return tokens[0] ?? 'none';
    },
    stepUp: async (challenge, refused, budget) => {
      stepUps.push([challenge, refused, budget.left]);
      budget.left -= 1;
      return mayInteract ? `stronger-${stepUps.length}-EXAMPLE` : null;
    },
  }, fetch);
});

afterEach(async () => {
  await Promise.all([api, other].map(async ({ server }) => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }));
});

describe('the token', () => {
  it('goes to the resource, and to nothing else', async () => {
    await bound(`${api.origin}/me`);
    await bound(new URL(`${other.origin}/me`));
    expect(api.hits[0]?.token).toBe('Bearer first-EXAMPLE');
    expect(other.hits[0]?.token).toBeUndefined();
    expect(asked).toEqual([null]);
  });

  it('does not follow a redirect to another origin, and does not come back with one', async () => {
    api.handler = (hit, response) => (hit.path === '/end' ? response.end('ok') : redirectTo(`${other.origin}/there`)(hit, response));
    other.handler = redirectTo(`${api.origin}/end`);
    const response = await bound(`${api.origin}/start`, { headers: { cookie: 'a=b' } });
    expect(await response.text()).toBe('ok');
    expect(other.hits).toMatchObject([{ path: '/there', token: undefined, cookie: undefined }]);
    expect(api.hits.map(({ path, token }) => [path, token])).toEqual([['/start', 'Bearer first-EXAMPLE'], ['/end', undefined]]);
  });

  it('follows a redirect within the origin', async () => {
    api.handler = (hit, response) => (hit.path === '/b' ? response.end('ok') : redirectTo('/b')(hit, response));
    await bound(`${api.origin}/a`);
    expect(api.hits.map(({ token }) => token)).toEqual(['Bearer first-EXAMPLE', 'Bearer first-EXAMPLE']);
  });

  it('is refreshed once on 401, with the same body', async () => {
    api.handler = (hit, response) => { response.statusCode = hit.token === 'Bearer second-EXAMPLE' ? 200 : 401; response.end(); };
    const response = await bound(`${api.origin}/x`, { method: 'POST', body: 'hello' });
    expect(response.status).toBe(200);
    expect(api.hits.map(({ body }) => body)).toEqual(['hello', 'hello']);
    expect(asked).toEqual([null, 'first-EXAMPLE']);
  });

  it('is not refreshed a second time', async () => {
    api.handler = (_, response) => { response.statusCode = 401; response.end(); };
    expect((await bound(`${api.origin}/x`)).status).toBe(401);
    expect(api.hits).toHaveLength(2);
  });

  it('is refreshed for a Request too, whose body is a stream, and which keeps its headers', async () => {
    api.handler = (hit, response) => { response.statusCode = hit.token === 'Bearer second-EXAMPLE' ? 200 : 401; response.end(hit.body); };
    const form = new FormData();
    form.set('a', 'b');
    for (const body of ['hello', form]) {
      tokens.splice(0, tokens.length, 'first-EXAMPLE', 'second-EXAMPLE');
      api.hits.length = 0;
      const response = await bound(new Request(`${api.origin}/x`, { method: 'POST', body }));
      expect(response.status).toBe(200);
      expect(api.hits.map((hit) => hit.body)).toEqual([api.hits[0]?.body, api.hits[0]?.body]);
      expect(await response.text()).toContain(typeof body === 'string' ? 'hello' : 'name="a"');
    }
  });

  it('leaves the body of a Request to another origin alone', async () => {
    const request = new Request(`${other.origin}/x`, { method: 'POST', body: 'hello' });
    await bound(request);
    expect(other.hits).toMatchObject([{ body: 'hello', token: undefined }]);
  });

  it('is not spent again on a body that is a stream', async () => {
    api.handler = (_, response) => { response.statusCode = 401; response.end(); };
    const body = new Response('hello').body;
    const response = await bound(`${api.origin}/x`, { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(401);
    expect(api.hits.map(({ body }) => body)).toEqual(['hello']);
  });
});

describe('redirects', () => {
  it('turns a POST into a GET on 303 and keeps it on 307', async () => {
    api.handler = (hit, response) => (hit.path === '/end' ? response.end() : redirectTo('/end', hit.path === '/303' ? 303 : 307)(hit, response));
    await bound(`${api.origin}/303`, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } });
    await bound(`${api.origin}/307`, { method: 'POST', body: 'x' });
    expect(api.hits.map(({ method, path, body }) => `${method} ${path} ${body}`)).toEqual(['POST /303 x', 'GET /end ', 'POST /307 x', 'POST /end x']);
  });

  it('heeds redirect: manual and redirect: error', async () => {
    api.handler = redirectTo('/b');
    expect((await bound(`${api.origin}/a`, { redirect: 'manual' })).status).toBe(302);
    await expect(bound(`${api.origin}/a`, { redirect: 'error' })).rejects.toThrow(TypeError);
    expect(api.hits).toHaveLength(2);
  });

  it('ends a loop, and follows to nothing but HTTP', async () => {
    api.handler = redirectTo('/again');
    await expect(bound(`${api.origin}/a`)).rejects.toThrow('more than 20 redirects');
    expect(api.hits).toHaveLength(21);
    api.handler = redirectTo('file:///etc/passwd');
    await expect(bound(`${api.origin}/a`)).rejects.toThrow('not HTTP');
  });
});

it.each([
  ['https://api.example.com/v1/x?y', 'https://api.example.com'], ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'], ['http://[::1]:1/', 'http://[::1]:1'],
  ['http://api.example.com/', null], ['http://127.0.0.1.example.com/', null], ['api://0f2c', null], ['not a url', null], ['ftp://x/', null],
])('a token for %s may go to %s', (resource, origin) => {
  expect(tokenOrigin(resource)).toBe(origin);
});

it('createFetch asks the daemon for the origin and for a newer token only when the cached one is the refused', async () => {
  expect(() => parseOrigins(['http://api.example.com'])).toThrow();
  let current = 'old-EXAMPLE';
  const daemon = await standIn(({ path, body }, response) => {
    if (path === '/v1/profiles') return reply(response, { profiles: [{ name: 'work', resource: `${api.origin}/v1` }, { name: 'odd', resource: 'api://x' }] });
    if (typeof body === 'object' && body !== null && 'force' in body && body.force === true) current = 'new-EXAMPLE';
    return reply(response, { access_token: current });
  });
  const client = connect({ socket: daemon.socket });
  const work = client.createFetch('work', { scopes: ['read'] });
  api.handler = (hit, response) => { response.statusCode = hit.token === 'Bearer new-EXAMPLE' ? 200 : 401; response.end(); };
  expect((await work(`${other.origin}/`)).status).toBe(200);
  expect(daemon.seen.map(({ path }) => path)).toEqual(['/v1/profiles']);
  expect((await work(`${api.origin}/`)).status).toBe(200);
  expect(daemon.seen.slice(1).map(({ body }) => body)).toEqual([false, false, true].map((force) => ({ profile: 'work', scopes: ['read'], force })));
  await expect(client.createFetch('odd')('https://x.example/')).rejects.toMatchObject({ code: 'bad_request' });
  await expect(client.createFetch('none')('https://x.example/')).rejects.toMatchObject({ code: 'unknown_profile' });
  client.close();
  await daemon.close();
});

describe('[SU-01] a resource that wants a stronger sign-in', () => {
  const GOLD = 'Bearer error="insufficient_user_authentication", acr_values="gold"';
  const wants = (isEnough: (token: string | undefined) => boolean) => (hit: Hit, response: ServerResponse) => {
    if (isEnough(hit.token)) response.end('ok');
    else response.writeHead(401, { 'www-authenticate': ['Basic realm="x"', GOLD] }).end('not enough');
  };

  it('gets the request once more with the stronger token, and no refresh', async () => {
    api.handler = wants((token) => token === 'Bearer stronger-1-EXAMPLE');
    const response = await bound(`${api.origin}/pay`, { method: 'POST', body: 'x=1' });
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: 'ok' });
    expect(api.hits.map(({ method, token, body }) => [method, token, body])).toEqual([['POST', 'Bearer first-EXAMPLE', 'x=1'], ['POST', 'Bearer stronger-1-EXAMPLE', 'x=1']]);
    expect({ asked, stepUps }).toEqual({ asked: [null], stepUps: [[`Basic realm="x", ${GOLD}`, 'first-EXAMPLE', 2]] });
  });

  it('that is never content is given up after two', async () => {
    api.handler = wants(() => false);
    const response = await bound(`${api.origin}/pay`);
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 401, text: 'not enough' });
    expect(api.hits).toHaveLength(3);
    expect(stepUps.map(([, refused, left]) => [refused, left])).toEqual([['first-EXAMPLE', 2], ['stronger-1-EXAMPLE', 1]]);
  });

  it('is answered with its 401 where nobody may be asked, or the body cannot be sent again', async () => {
    api.handler = wants(() => false);
    const stream = new ReadableStream({ start: (controller) => { controller.enqueue(new TextEncoder().encode('x')); controller.close(); } });
    const once = await bound(`${api.origin}/pay`, { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
    expect({ status: once.status, stepUps }).toEqual({ status: 401, stepUps: [] });
    mayInteract = false;
    const refused = await bound(`${api.origin}/pay`);
    expect({ status: refused.status, text: await refused.text(), hits: api.hits.length }).toEqual({ status: 401, text: 'not enough', hits: 2 });
  });

  it('gets a fresh token first where it calls the token invalid, and then the stronger one', async () => {
    api.handler = (hit, response) => {
      if (hit.token === 'Bearer first-EXAMPLE') response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
      else wants((token) => token === 'Bearer stronger-1-EXAMPLE')(hit, response);
    };
    expect((await bound(`${api.origin}/pay`)).status).toBe(200);
    expect(api.hits.map(({ token }) => token)).toEqual(['Bearer first-EXAMPLE', 'Bearer second-EXAMPLE', 'Bearer stronger-1-EXAMPLE']);
  });

  it('on another origin gets nothing: not at first, and not after a redirect', async () => {
    other.handler = wants(() => false);
    api.handler = redirectTo(`${other.origin}/pay`);
    expect((await bound(`${other.origin}/pay`)).status).toBe(401);
    expect((await bound(`${api.origin}/pay`)).status).toBe(401);
    expect(stepUps).toEqual([]);
    expect(other.hits.map(({ token }) => token)).toEqual([undefined, undefined]);
  });
});
