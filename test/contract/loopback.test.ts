/** One login's listener on a real socket: the way of one browser, and what is not that way. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { Secret } from '../../daemon/core/secret.ts';
import { deferred } from '../../daemon/loopback/deferred.ts';
import { boundMs } from '../support/bound.ts';
import { AUTHORIZE, httpGet, isOpen, ISSUER, openRig, STATE, UID } from '../support/loopback-rig.ts';
import type { Reply, Rig } from '../support/loopback-rig.ts';

const open: Rig[] = [];
// At the end, as one that owes a page to somebody stays open for most of a second.
afterAll(async () => {
  await Promise.all(open.map(({ listener }) => listener.close()));
});
async function rigOf(options?: Parameters<typeof openRig>[0]): Promise<Rig> {
  const rig = await openRig(options);
  open.push(rig);
  return rig;
}
const SUCCESS = { kind: 'success', subject: 'alice@example.com', profile: 'work', caller: 'git' } as const;
const XSS = '"><script>alert(1)</script>';

describe('a login through the loopback listener', () => {
  it('leads the browser to the issuer, takes its answer, and shows the page at a clean address', async () => {
    const rig = await rigOf();
    rig.arm();
    const start = await rig.get(new URL(rig.listener.startUrl).pathname);
    expect(start).toMatchObject({ status: 302, headers: { location: AUTHORIZE, 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' } });
    expect(start.headers['set-cookie']).toEqual([
      expect.stringMatching(/^__valetkey_[\w-]{16}=[\w-]{43}; Path=\/callback\/issuer-a; Max-Age=300; HttpOnly; SameSite=Lax$/),
    ]);
    await rig.listener.started;

    const cookie = start.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const callback = await rig.get(rig.callbackPath(), { Cookie: `sid=of-another-local-server; ${cookie}` });
    expect(callback.status).toBe(303);
    expect(callback.headers.location).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${rig.listener.port}/callback/issuer-a/done/[\\w-]{22}$`));
    expect([...(await rig.listener.callback).parameters]).toEqual([['code', 'code-EXAMPLE'], ['state', STATE], ['iss', ISSUER]]);

    const waiting = rig.page(callback, cookie);
    rig.listener.finish(SUCCESS);
    const page = await waiting;
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('alice@example.com') });
    expect(page.headers['set-cookie']).toEqual([expect.stringContaining('Max-Age=0')]);
    expect(rig.refused).toEqual([]);
  });

  it('reflects nothing of the request, and every answer carries the same strict headers', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const answers: Reply[] = [
      await rig.get(`/${encodeURIComponent(XSS)}`),
      await rig.get(`/start/${encodeURIComponent(XSS)}`),
      await rig.get(rig.callbackPath({ code: XSS, state: XSS, iss: XSS, error_description: XSS, [XSS]: XSS })),
      await rig.get(rig.callbackPath({ error: XSS, error_description: XSS, state: XSS }), { Cookie: `x=${XSS}`, 'User-Agent': XSS, Referer: XSS }),
      await rig.get('/', { Origin: XSS.replaceAll('"', '') }),
    ];
    const callback = await rig.get(rig.callbackPath({ code: XSS, state: STATE, iss: ISSUER, session_state: XSS }), { Cookie: cookie });
    rig.listener.finish(SUCCESS);
    const page = await rig.page(callback, cookie);
    expect(callback.headers.location).not.toMatch(/code|script|\?/);
    expect(page.status).toBe(200);
    for (const { status, headers, body } of [...answers, callback, page]) {
      expect(status).not.toBe(500);
      expect(body).not.toMatch(/script|alert/);
      expect(headers).toMatchObject({
        'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff',
        'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', connection: 'close',
      });
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; frame-ancestors 'none'; base-uri 'none'; form-action 'none'$/);
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
    for (const { body, headers } of answers) expect(headers['content-type']).toBe(body === '' ? undefined : 'text/html; charset=utf-8');
  });

  it('hands an error of the issuer on like a code', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const callback = await rig.get(rig.callbackPath({ error: 'access_denied', error_description: 'no', state: STATE, iss: ISSUER }), { Cookie: cookie });
    expect(callback.status).toBe(303);
    expect((await rig.listener.callback).parameters.get('error')).toBe('access_denied');
    rig.listener.finish({ kind: 'refused', profile: 'work', title: 'The sign-in was refused at the issuer' });
    expect((await rig.page(callback, cookie)).body).toContain('The sign-in was refused at the issuer');
  });
});

describe('the one-time link', () => {
  it('[AZ-09] works once: the second GET is 404', async () => {
    const rig = await rigOf();
    rig.arm();
    const path = new URL(rig.listener.startUrl).pathname;
    expect(path).toMatch(/^\/start\/[\w-]{43}$/);
    expect((await rig.get(path)).status).toBe(302);
    const second = await rig.get(path);
    expect(second.status).toBe(404);
    expect(second.headers['set-cookie']).toBeUndefined();
  });

  it('waits for the issuer\'s address, and goes to one of two that wait', async () => {
    const rig = await rigOf();
    const path = new URL(rig.listener.startUrl).pathname;
    const both = [rig.get(path), rig.get(path)];
    await delay(50);
    rig.arm();
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([302, 404]);
  });

  it('is not used up by a browser that went away before it was answered', async () => {
    const rig = await rigOf();
    const path = new URL(rig.listener.startUrl).pathname;
    const gone = connect(rig.listener.port, '127.0.0.1', () => gone.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${rig.listener.port}\r\n\r\n`));
    await vi.waitFor(() => expect(rig.lookups).toBe(1), { timeout: 15_000 });
    gone.resetAndDestroy();
    await delay(50); // until the kernel has told
    rig.arm();
    expect((await rig.get(path)).status).toBe(302);
  });

  it.each([
    ['HEAD', 'HEAD', {}, 405], ['OPTIONS', 'OPTIONS', { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'GET' }, 405],
    ['POST', 'POST', {}, 405], ['a prefetch', 'GET', { 'Sec-Purpose': 'prefetch' }, 403], ['an image', 'GET', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }, 403],
    ['fetch()', 'GET', { Origin: 'https://evil.example', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }, 403],
  ] as const)('is not used up by %s', async (_what, method, headers, status) => {
    const rig = await rigOf();
    rig.arm();
    const path = new URL(rig.listener.startUrl).pathname;
    expect((await httpGet(rig.listener.port, path, headers, method)).status).toBe(status);
    expect((await rig.get(path)).status).toBe(302);
  });

  it('shows a browser that waits how the login ended, should it end first', async () => {
    const rig = await rigOf();
    const waiting = rig.get(new URL(rig.listener.startUrl).pathname);
    await delay(50);
    rig.listener.finish({ kind: 'refused', profile: 'work', title: 'The issuer cannot be reached' });
    await rig.listener.close();
    expect((await waiting).body).toContain('The issuer cannot be reached');
  });
});

describe('the callback', () => {
  it('[AZ-03] ignores forged callbacks, takes the real one, and takes its state once', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    for (let i = 0; i < 100; i += 1) {
      const state = i === 0 ? STATE.slice(0, -1) : i === 1 ? `${STATE}x` : i === 2 ? STATE.toUpperCase() : `forged-${i}`;
      expect((await rig.get(rig.callbackPath({ code: 'forged', state, iss: ISSUER }), { Cookie: cookie })).status).toBe(400);
    }
    expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(303);
    expect((await rig.listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
    expect((await rig.get(rig.callbackPath({ code: 'second', state: STATE, iss: ISSUER }), { Cookie: cookie })).status).toBe(410);
    expect((await rig.listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
  });

  it('takes one of two, and /start leads one of two, that are looked up at the same moment', async () => {
    const rig = await rigOf();
    rig.arm();
    const together = async (request: () => Promise<Reply>): Promise<readonly Reply[]> => {
      const known = deferred<void>();
      rig.until = known.promise;
      rig.lookups = 0;
      const both = [request(), request()];
      await vi.waitFor(() => expect(rig.lookups).toBe(2), { timeout: 15_000 });
      known.resolve();
      return Promise.all(both);
    };
    const starts = await together(() => rig.get(new URL(rig.listener.startUrl).pathname));
    expect(starts.map(({ status }) => status).sort()).toEqual([302, 404]);
    const cookie = starts.find(({ status }) => status === 302)?.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const callbacks = await together(() => rig.get(rig.callbackPath(), { Cookie: cookie }));
    expect(callbacks.map(({ status }) => status).sort()).toEqual([303, 410]);
  });

  it('is not taken once the login was ended', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const known = deferred<void>();
    rig.until = known.promise;
    const callback = rig.get(rig.callbackPath(), { Cookie: cookie }).catch(() => null);
    await vi.waitFor(() => expect(rig.lookups).toBe(2), { timeout: 15_000 });
    const closed = rig.listener.close();
    known.resolve();
    await closed;
    expect((await callback)?.status ?? 410).toBe(410);
    await expect(rig.listener.callback).rejects.toMatchObject({ code: 'login_cancelled' });
  });

  it('knows no state before the login is armed', async () => {
    const rig = await rigOf();
    expect((await rig.get(rig.callbackPath())).status).toBe(400);
  });

  it.each(['/callback', '/callback/issuer-b', '/callback/issuer-a/', '/Callback/issuer-a', '//callback/issuer-a', '/x/../callback/issuer-a', '/callback%2Fissuer-a', '/'])(
    'is taken on its exact path: %s is none', async (path) => {
      const rig = await rigOf();
      rig.arm();
      const cookie = await rig.start();
      expect((await rig.get(rig.callbackPath().replace('/callback/issuer-a', path), { Cookie: cookie })).status).toBe(404);
      expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(303);
    });

  it('[AZ-04] refuses a code of one issuer on the path, and on the listener, of another', async () => {
    const [a, b] = [await rigOf({ path: '/callback/issuer-a' }), await rigOf({ path: '/callback/issuer-b' })];
    a.arm();
    b.listener.arm(async () => 'https://other.example/authorize', new Secret('other-state-EXAMPLE'), { issuer: 'https://other.example', required: false });
    const cookies = `${await a.start()}; ${await b.start()}`;
    expect((await a.get(a.callbackPath().replace('issuer-a', 'issuer-b'), { Cookie: cookies })).status).toBe(404);
    expect((await b.get(a.callbackPath().replace('issuer-a', 'issuer-b'), { Cookie: cookies })).status).toBe(400);
    // Control: where it belongs, it is taken.
    expect((await a.get(a.callbackPath(), { Cookie: cookies })).status).toBe(303);
  });

  it('[AZ-10] is taken only from the browser that fetched /start', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const [name = '', value = ''] = cookie.split('=');
    const others = ['', `${name}=`, `${name}=${value.slice(1)}`, `${name}x=${value}`, `x=${cookie}`, `${cookie}; ${name}=planted`, `__valetkey_other=${value}`];
    for (const other of others) {
      expect((await rig.get(rig.callbackPath(), other === '' ? {} : { Cookie: other })).status, other).toBe(403);
    }
    expect(rig.refused).toEqual(others.map(() => ({ reason: 'other_browser', uid: UID })));
    const callback = await rig.get(rig.callbackPath(), { Cookie: `a=b; ${cookie}` });
    expect(callback.status).toBe(303);
    // The page is bound to the same browser.
    expect((await rig.get(new URL(callback.headers.location ?? '').pathname)).status).toBe(403);
  });

  it('is refused before any browser fetched /start', async () => {
    const rig = await rigOf();
    rig.arm();
    expect((await rig.get(rig.callbackPath())).status).toBe(403);
  });

  it.each([
    ['another issuer', { iss: 'https://evil.example' }, true], ['another issuer, not advertised', { iss: 'https://evil.example' }, false],
    ['a slash more', { iss: `${ISSUER}/` }, true], ['another case', { iss: ISSUER.toUpperCase() }, true], ['none', {}, true],
  ])('[AZ-05] iss is %s: the login fails, and neither code nor error leaves the listener', async (_what, iss: Record<string, string>, required) => {
    for (const answer of [{ code: 'stolen-EXAMPLE' }, { error: 'access_denied', error_description: 'call 555-EXAMPLE' }] as Record<string, string>[]) {
      const rig = await rigOf();
      rig.arm({ issuer: ISSUER, required });
      const cookie = await rig.start();
      const callback = await rig.get(rig.callbackPath({ ...answer, state: STATE, ...iss }), { Cookie: cookie });
      const failure = await rig.listener.callback.then(() => null, (error: unknown) => error);
      expect(failure).toMatchObject({ name: 'BrokerError', code: 'iss_mismatch', message: expect.stringContaining(ISSUER) });
      rig.listener.finish({ kind: 'refused', profile: 'work', title: 'a later page does not count' });
      const page = await rig.page(callback, cookie);
      expect(page).toMatchObject({ status: 400, body: expect.stringContaining('The answer came from another issuer') });
      for (const text of [page.body, JSON.stringify(failure), String(failure), JSON.stringify(rig.log.lines)]) {
        expect(text).not.toMatch(/EXAMPLE|evil|access_denied/);
      }
    }
  });

  it('takes an answer without iss where the issuer does not advertise it', async () => {
    const rig = await rigOf();
    rig.arm({ issuer: ISSUER, required: false });
    const cookie = await rig.start();
    expect((await rig.get(rig.callbackPath({ code: 'code-EXAMPLE', state: STATE }), { Cookie: cookie })).status).toBe(303);
    expect((await rig.listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
  });
});

describe('whose connection it is', () => {
  it.each([
    ['of another user', 65_534, 'other_user', 65_534], ['of root', 0, 'other_user', 0], ['of nobody that can be told', null, 'owner_unknown', null],
    ['not looked up, since the system failed', new Error('no /proc'), 'owner_unknown', null],
  ])('refuses a connection %s, at /start and at the callback, and says so', async (_what, owner, reason, uid) => {
    const rig = await rigOf();
    rig.arm();
    rig.owner = owner;
    expect((await rig.get(new URL(rig.listener.startUrl).pathname)).status).toBe(403);
    rig.owner = UID;
    const cookie = await rig.start();
    expect(cookie).not.toBe('');
    rig.owner = owner;
    expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(403);
    // Without the cookie too: a stolen answer is reported for what it is.
    expect((await rig.get(rig.callbackPath())).status).toBe(403);
    expect(rig.refused).toEqual([{ reason, uid }, { reason, uid }, { reason, uid }]);
    rig.owner = UID;
    expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(303);
  });

  it('reports an example of a flood, and nothing of those who know no secret', async () => {
    const rig = await rigOf();
    rig.arm();
    rig.owner = 65_534;
    for (let i = 0; i < 5; i += 1) await rig.get('/start/guess');
    expect(rig.refused).toHaveLength(0);
    for (let i = 0; i < 40; i += 1) await rig.get(new URL(rig.listener.startUrl).pathname);
    expect(rig.refused).toHaveLength(16);
  });
});

describe('the life of the port', () => {
  it('is closed within a second after the page was shown', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const callback = await rig.get(rig.callbackPath(), { Cookie: cookie });
    rig.listener.finish(SUCCESS);
    expect(await isOpen(rig.listener.port)).toBe(true);
    await rig.page(callback, cookie);
    const shown = performance.now();
    while (await isOpen(rig.listener.port)) expect(performance.now() - shown).toBeLessThan(boundMs(1_000));
    expect(rig.log.lines.at(-1)).toMatchObject({ event: 'loopback_closed', fields: { taken: true, refused: 0 } });
  });

  it('lets a page that is owed be fetched after close(), for less than a second', async () => {
    const rig = await rigOf();
    rig.arm();
    const cookie = await rig.start();
    const callback = await rig.get(rig.callbackPath(), { Cookie: cookie });
    rig.listener.finish(SUCCESS);
    const closed = rig.listener.close();
    expect((await rig.page(callback, cookie)).body).toContain('You are signed in');
    await closed;
    expect(await isOpen(rig.listener.port)).toBe(false);
  });

  it('close() before the callback rejects it, ends open connections at once, and may be called again', async () => {
    const rig = await rigOf();
    const waiting = rig.get(new URL(rig.listener.startUrl).pathname);
    await delay(50);
    await Promise.all([rig.listener.close(), rig.listener.close()]);
    await rig.listener.close();
    await expect(rig.listener.callback).rejects.toMatchObject({ code: 'login_cancelled' });
    expect(await waiting).toMatchObject({ status: 410, body: expect.stringContaining('This sign-in is over') });
    expect(await isOpen(rig.listener.port)).toBe(false);
  });

  it('is armed once', async () => {
    const rig = await rigOf();
    rig.arm();
    expect(() => rig.arm()).toThrow('armed once');
  });

  it.each(['callback', '', '/a;b', '/a b', '/a?b', '/a#b', '/start/x', '/a\r\nX: y'])('takes no path that is none: %j', async (path) => {
    await expect(openRig({ path })).rejects.toThrow('redirect path');
  });

  it('serves the root path as well', async () => {
    const rig = await rigOf({ path: '/' });
    rig.arm();
    const cookie = await rig.start();
    const callback = await rig.get(rig.callbackPath(), { Cookie: cookie });
    rig.listener.finish(SUCCESS);
    expect((await rig.page(callback, cookie)).status).toBe(200);
  });
});

describe.concurrent('after five seconds', () => {
  it('a link is not used up by a browser that comes long before the address', { timeout: 15_000 }, async ({ expect }) => {
    const rig = await rigOf();
    const path = new URL(rig.listener.startUrl).pathname;
    expect((await rig.get(path)).status).toBe(503);
    rig.arm();
    expect((await rig.get(path)).status).toBe(302);
  });

  it('the port is closed five seconds after the callback, whatever browser and daemon do; who waits is told so', { timeout: 15_000 }, async ({ expect }) => {
    const [waits, gone] = [await rigOf(), await rigOf()];
    const replies: Promise<Reply>[] = [];
    for (const rig of [waits, gone]) {
      rig.arm();
      const cookie = await rig.start();
      const callback = await rig.get(rig.callbackPath(), { Cookie: cookie });
      if (rig === waits) replies.push(rig.page(callback, cookie));
    }
    const since = performance.now();
    expect((await replies[0])?.body).toContain('The sign-in is still being finished');
    while (await isOpen(gone.listener.port)) {
      expect(performance.now() - since).toBeLessThan(boundMs(5_500));
      await delay(50);
    }
    expect(performance.now() - since).toBeGreaterThan(4_500);
    expect(await isOpen(waits.listener.port)).toBe(false);
  });
});
