/** What the scripted browser sends is what a browser's top-level navigation sends; a listener that refuses it would refuse people. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CookieJar } from '../../demo/cookie-jar.ts';
import { followLogin } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import { startResourceServer } from '../../demo/resource-server.ts';
import { fetchMetadata, rawLogin } from '../support/raw-client.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

type Seen = { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string };

async function serve(answer: (seen: Seen, res: ServerResponse) => void): Promise<{ readonly origin: string; readonly seen: readonly Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
    const each = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body: Buffer.concat(chunks).toString() };
    seen.push(each);
    answer(each, res);
  });
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe('scripted browser', () => {
  it('navigates as a browser does: by the person first, then from page to page', async () => {
    const app = await serve((_seen, res) => void res.end('done'));
    const issuer = await serve(({ method }, res) => {
      if (method === 'POST') res.writeHead(303, { location: `${app.origin}/callback?code=x` }).end();
      else res.end('<form method=post><input name=login></form>');
    });
    const start = await serve((_seen, res) => void res.writeHead(302, { location: `${issuer.origin}/auth`, 'set-cookie': 'bound=1; Path=/callback; HttpOnly; SameSite=Lax' }).end());
    const visit = await followLogin(`${start.origin}/start/abc`, { login: 'ada' });
    expect([visit.status, visit.body, visit.hops.map((hop) => `${hop.method} ${hop.status}`)]).toEqual([200, 'done', ['GET 302', 'GET 200', 'POST 303', 'GET 200']]);

    const [first] = start.seen;
    expect(first?.headers).toMatchObject({ 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none', 'sec-fetch-user': '?1' });
    expect(first?.headers).not.toHaveProperty('origin');
    expect(issuer.seen[1]?.headers).toMatchObject({ 'sec-fetch-site': 'same-origin', origin: issuer.origin, 'content-type': 'application/x-www-form-urlencoded' });
    expect(issuer.seen[1]?.body).toBe('login=ada');
    // Ports do not keep cookies apart; another port is another origin on the same site.
    expect(app.seen[0]?.headers).toMatchObject({ cookie: 'bound=1', 'sec-fetch-site': 'same-site' });
    expect(app.seen[0]?.headers).not.toHaveProperty('origin');
  });

  it('repeats a request on 307 and changes it to GET on 302', async () => {
    for (const [status, expected] of [[307, 'POST login=ada'], [302, 'GET ']] as const) {
      const site = await serve(({ url, method }, res) => {
        if (url === '/form' && method === 'POST') res.writeHead(status, { location: '/next' }).end();
        else res.end(url === '/form' ? '<form method=post><input name=login></form>' : 'done');
      });
      await followLogin(`${site.origin}/form`, { login: 'ada' });
      const last = site.seen.at(-1);
      expect(`${last?.method} ${last?.body}`).toBe(expected);
    }
  });

  it('ends on a loop and on a form that comes back', async () => {
    const loop = await serve((_seen, res) => void res.writeHead(302, { location: '/again' }).end());
    await expect(followLogin(loop.origin, { login: 'ada' })).rejects.toThrow(/more than 30 pages/);
    const stubborn = await serve((_seen, res) => void res.end('<form method=post><input name=login></form>'));
    expect((await followLogin(stubborn.origin, { login: 'ada' })).hops).toHaveLength(2);
  });

  it('stays signed in within one jar', async () => {
    const issuer = await startIssuer();
    try {
      const server = await fetchMetadata(issuer.url);
      const jar = new CookieJar();
      await rawLogin(server, { login: 'ada', jar });
      const before = issuer.requests.filter((r) => r.method === 'POST' && r.url.startsWith('/interaction')).length;
      await rawLogin(server, { login: 'ada', jar });
      const after = issuer.requests.filter((r) => r.method === 'POST' && r.url.startsWith('/interaction')).length;
      // The second time only consent is asked for.
      expect([before, after - before]).toEqual([2, 1]);
    } finally {
      await issuer.close();
    }
  });
});

describe('resource server', () => {
  it.each(['introspection', 'jwks'] as const)('takes only living tokens that were issued for it, by %s', async (kind) => {
    const issuer = await startIssuer({ accessTokenFormat: kind === 'jwks' ? 'jwt' : 'opaque' });
    const check = kind === 'jwks' ? { kind, issuer: issuer.url, jwksUri: `${issuer.url}/jwks` } as const : { kind, introspect: issuer.introspect } as const;
    const [api, other] = [await startResourceServer(check), await startResourceServer(check)];
    try {
      const server = await fetchMetadata(issuer.url);
      const { access_token: token = '' } = await rawLogin(server, { login: 'ada', scope: 'openid read', params: { resource: api.url } });
      const call = (url: string, authorization?: string): Promise<Response> => fetch(url, authorization === undefined ? {} : { headers: { authorization } });
      const good = await call(api.url, `Bearer ${token}`);
      expect([good.status, await good.json()]).toEqual([200, { hello: 'ada', scope: 'read' }]);

      expect((await call(api.url)).headers.get('www-authenticate')).toBe(`Bearer realm="${api.url}"`);
      for (const [url, authorization] of [[api.url, 'Bearer forged-EXAMPLE'], [api.url, `Basic ${token}`], [other.url, `Bearer ${token}`]] as const) {
        expect((await call(url, authorization)).status).toBe(401);
      }
      expect([api.accepted, api.refused, other.accepted, other.refused]).toEqual([1, 3, 0, 1]);
      if (kind === 'introspection') {
        await issuer.revokeGrantsOf('ada');
        expect((await call(api.url, `Bearer ${token}`)).headers.get('www-authenticate')).toContain('error="invalid_token"');
      }
    } finally {
      for (const each of [api, other, issuer]) await each.close();
    }
  });
});
