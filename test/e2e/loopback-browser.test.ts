/** A whole sign-in in real Chromium against the real listener; then the same listener under a hostile page. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LoopbackListener } from '../../daemon/core/loopback-port.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { createLoopback } from '../../daemon/loopback/loopback.ts';
import { createRandom } from '../../daemon/platform/random.ts';
import { ownerOf } from '../../daemon/platform/tcp-owner.ts';
import { hasChromium, launchChromium } from '../support/chromium.ts';
import { LogSink } from '../support/fakes.ts';
import { ISSUER, STATE } from '../support/loopback-rig.ts';

const XSS = '"><script>document.title="owned"</script><img src=x onerror=document.title="owned">';
const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('not run: whose a connection is, is asked of Linux here');

describe.skipIf(!hasChromium || !isLinux)('a browser and the loopback listener', () => {
  let browser: Browser;
  let context: BrowserContext;
  let site: Server;
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  let log: LogSink;
  let listener: LoopbackListener;

  beforeAll(async () => {
    site = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
    await once(site, 'listening');
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    site.closeAllConnections();
    site.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    log = new LogSink();
    const loopback = createLoopback({ random: createRandom(), log, ownerOf, onRefused: () => {} });
    listener = await loopback.open({ ports: [], path: '/callback/issuer-a', uid: process.getuid?.() ?? -1 });
    listener.arm(async () => siteUrl('issuer', '/authorize'), new Secret(STATE), { issuer: ISSUER, required: true });
  });
  afterEach(async () => {
    await context.close();
    await listener.close();
  });

  /** Names under .localhost are other sites than 127.0.0.1, so that cookies and Sec-Fetch-Site are as in life. */
  const siteUrl = (name: string, path: string): string => `http://${name}.localhost:${(site.address() as AddressInfo).port}${path}`;
  const callbackUrl = (code = 'code-EXAMPLE'): string =>
    `${listener.redirectUri}?${new URLSearchParams({ code, state: STATE, iss: ISSUER, session_state: XSS })}`;
  const html = (response: ServerResponse, text: string): void => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><title>site</title>${text}`);
  };
  const historyOf = async (page: Page): Promise<readonly string[]> => {
    const devtools = await context.newCDPSession(page);
    const { entries } = await devtools.send('Page.getNavigationHistory');
    return entries.map(({ url }) => url);
  };

  /** The ways in which authorization servers send a browser back. */
  const WAYS: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
    'a 302 at once': (_request, response) => void response.writeHead(302, { Location: callbackUrl() }).end(),
    'a form that is answered by 302': (request, response) => request.method === 'POST'
      ? void response.writeHead(302, { Location: callbackUrl() }).end()
      : html(response, '<form method="post"><button autofocus>Sign in</button></form>'),
    'a form that is answered by 303': (request, response) => request.method === 'POST'
      ? void response.writeHead(303, { Location: callbackUrl() }).end()
      : html(response, '<form method="post"><button autofocus>Sign in</button></form>'),
    'a script': (_request, response) => html(response, `<script>setTimeout(() => location.assign(${JSON.stringify(callbackUrl()).replaceAll('<', '\\u003c')}), 50)</script>`),
    'a page that refreshes': (_request, response) => void response.writeHead(200, { 'Content-Type': 'text/html', Refresh: `0; url=${callbackUrl()}` }).end('one moment'),
  };

  it.each(Object.keys(WAYS))('[LB-08] signs in, and leaves no code in address or history, where the issuer answers by %s', async (way) => {
    answer = (request, response) => WAYS[way]?.(request, response);
    const finished = listener.callback.then(async ({ parameters }) => {
      await delay(150); // the token request
      listener.finish({ kind: 'success', subject: `alice ${XSS}`, profile: 'work', caller: 'git' });
      return parameters.get('code');
    });
    const page = await context.newPage();
    const replies: { readonly url: string; readonly status: number; readonly headers: Record<string, string> }[] = [];
    page.on('response', (reply) => {
      if (reply.url().startsWith('http://127.0.0.1')) replies.push({ url: reply.url(), status: reply.status(), headers: reply.headers() });
    });
    await page.goto(listener.startUrl);
    if (way.startsWith('a form')) await page.click('button');
    await page.waitForSelector('h1');
    expect(await page.textContent('h1')).toBe('You are signed in');
    expect(await finished).toBe('code-EXAMPLE');

    expect(page.url()).toMatch(/\/callback\/issuer-a\/done\/[\w-]{22}$/);
    const history = await historyOf(page);
    expect(history.filter((url) => /code|state=|EXAMPLE/.test(url))).toEqual([]);
    expect(await page.evaluate('document.referrer')).not.toMatch(/code|state=/);
    expect(await page.title()).toBe('Signed in · Valetkey');
    expect(await page.textContent('dd')).toContain('<script>');
    expect(replies.map(({ status }) => status)).toEqual([302, 303, 200]);
    for (const { headers } of replies) {
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' });
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/);
    }
    // Nothing of the login stays in the browser.
    expect((await context.cookies('http://127.0.0.1/callback/issuer-a')).map(({ name }) => name)).toEqual([]);
  });

  it('is bound to that browser: another one that has the callback\'s address gets nothing', async () => {
    answer = (_request, response) => html(response, 'sign in here');
    const page = await context.newPage();
    await page.goto(listener.startUrl);
    const other = await browser.newContext();
    const thief = await other.newPage();
    expect((await thief.goto(callbackUrl('injected-EXAMPLE')))?.status()).toBe(403);
    expect(await thief.textContent('h1')).toBe('The sign-in was started in another browser');
    await other.close();
    const taken = page.goto(callbackUrl());
    expect((await listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
    listener.finish({ kind: 'expired' });
    await taken;
  });

  it('[LB-07] gives a hostile page nothing, and the page uses nothing up, even if it knows every address', { timeout: 40_000 }, async () => {
    const targets = [listener.startUrl, callbackUrl('hostile-EXAMPLE')];
    answer = (_request, response) => html(response, `<body><script>
      const targets = ${JSON.stringify(targets).replaceAll('<', '\\u003c')};
      const load = (make) => new Promise((done) => { const e = make(); e.onload = () => done('load'); e.onerror = () => done('error'); document.body.append(e); setTimeout(done, 1500, 'silence'); });
      const read = (url, init) => fetch(url, init).then(async (r) => r.type === 'opaque' ? 'opaque' : r.status + ' ' + await r.text(), () => 'blocked');
      window.attack = async () => {
        const got = [];
        for (const url of targets) {
          got.push(['cors', await read(url)], ['credentials', await read(url, { credentials: 'include' })]);
          got.push(['preflight', await read(url, { headers: { 'X-Probe': '1' } })], ['head', await read(url, { method: 'HEAD' })]);
          got.push(['no-cors', await read(url, { mode: 'no-cors' })], ['post', await read(url, { method: 'POST', mode: 'no-cors' })]);
          got.push(['image', await load(() => Object.assign(new Image(), { src: url }))]);
          got.push(['script', await load(() => Object.assign(document.createElement('script'), { src: url }))]);
          await load(() => Object.assign(document.createElement('iframe'), { src: url }));
          got.push(['frame', [...document.querySelectorAll('iframe')].map((f) => { try { return f.contentDocument?.body?.innerText ?? 'closed'; } catch { return 'closed'; } }).join()]);
          await load(() => Object.assign(document.createElement('link'), { rel: 'prefetch', href: url }));
        }
        return got;
      };
    </script>`);
    const hostile = await context.newPage();
    await hostile.goto(siteUrl('hostile', '/'));
    // What came over the wire, also where the page may not see it.
    const seen: Record<string, string>[] = [];
    const devtools = await context.newCDPSession(hostile);
    devtools.on('Network.responseReceivedExtraInfo', ({ headers }) => seen.push(headers));
    await devtools.send('Network.enable');
    const got = await hostile.evaluate('attack()') as readonly (readonly [string, string])[];
    const outcomes = Object.fromEntries(got);
    expect(outcomes).toMatchObject({ cors: 'blocked', credentials: 'blocked', preflight: 'blocked', head: 'blocked', image: 'error', script: 'error' });
    for (const [kind, result] of got) expect(result, kind).not.toMatch(/EXAMPLE|\/start\/|^2\d\d/);
    expect(seen.length).toBeGreaterThan(6);
    for (const headers of seen) {
      expect(Object.keys(headers).filter((name) => /^(access-control-|set-cookie$)/i.test(name))).toEqual([]);
    }
    await hostile.close();

    // The link is still good, and the login goes through.
    answer = (request, response) => WAYS['a 302 at once']?.(request, response);
    const page = await context.newPage();
    const done = page.goto(listener.startUrl);
    expect((await listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
    listener.finish({ kind: 'success', subject: 'alice', profile: 'work', caller: 'git' });
    await done;
    expect(await page.textContent('h1')).toBe('You are signed in');
    await listener.close();
    // Not vacuous: the requests did arrive, and were refused for what they are.
    const reasons = log.lines.at(-1)?.fields['reasons'] as readonly string[];
    const counts = new Map(reasons.map((reason) => [reason.split('=')[0], Number(reason.split('=')[1])]));
    expect(counts.get('not_navigation') ?? 0).toBeGreaterThanOrEqual(10);
    expect(counts.get('bad_method') ?? 0).toBeGreaterThanOrEqual(4);
  });

  it('tries again by itself where the listener was busy', async () => {
    await listener.close();
    const loopback = createLoopback({ random: createRandom(), log, ownerOf, onRefused: () => {} });
    listener = await loopback.open({ ports: [], path: '/callback/issuer-a', uid: process.getuid?.() ?? -1 });
    answer = (_request, response) => html(response, '<h1>Issuer</h1>');
    const page = await context.newPage();
    const first = await page.goto(listener.startUrl); // not armed in time
    expect(first?.status()).toBe(503);
    listener.arm(async () => siteUrl('issuer', '/authorize'), new Secret(STATE), { issuer: ISSUER, required: true });
    await page.waitForURL(siteUrl('issuer', '/authorize'));
    expect(await page.textContent('h1')).toBe('Issuer');
  });
});
