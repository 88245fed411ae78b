/** Junk, slow clients and crowds at the loopback port: each is answered, none changes anything, none keeps the browser out. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { boundMs } from '../support/bound.ts';
import { ISSUER, openRig, rawExchange, STATE } from '../support/loopback-rig.ts';
import type { Rig } from '../support/loopback-rig.ts';

const rigs: Rig[] = [];
const sockets: Socket[] = [];
// At the end, as one that owes a page to somebody stays open for most of a second.
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(rigs.map(({ listener }) => listener.close()));
});

async function armed(): Promise<Rig> {
  const rig = await openRig();
  rigs.push(rig);
  rig.arm();
  return rig;
}

/** A connection that says `text` and then nothing. */
async function hold(port: number, text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {}); // being cut off is what happens to it
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

const statusOf = (reply: string): number => Number(reply.split(' ')[1] ?? 0);

describe('junk', () => {
  it.concurrent('[LB-05] ten thousand wrong requests and slow clients, and the real callback is still taken', { timeout: 120_000 }, async () => {
    const rig = await armed();
    const { port } = rig.listener;
    const cookie = await rig.start();
    const host = `Host: 127.0.0.1:${port}\r\n`;
    const good = rig.callbackPath();
    const junk: readonly (readonly [string, number])[] = [
      [`GET /callback/issuer-a?code=x&state=wrong HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 400],
      [`GET /callback/issuer-a?code=x&code=y&state=${STATE}&iss=${ISSUER} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 400],
      [`GET /callback/issuer-a?code=x&state=${STATE}&state=${STATE} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 400],
      [`GET /callback/issuer-a?code=x&error=y&state=${STATE}&iss=${ISSUER} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 400],
      [`GET /callback/issuer-a?state=${STATE}&iss=${ISSUER} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 400],
      [`GET ${good} HTTP/1.1\r\n${host}\r\n`, 403],
      [`POST ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nContent-Length: 1\r\n\r\nx`, 405],
      [`HEAD ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 405],
      [`GET ${good} HTTP/1.1\r\nHost: evil.example\r\nCookie: ${cookie}\r\n\r\n`, 421],
      [`GET ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`, 431],
      [`GET ${good}&${'x'.repeat(9_000)} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`, 431],
      [`GET ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nOrigin: https://evil.example\r\n\r\n`, 403],
      [`GET /favicon.ico HTTP/1.1\r\n${host}\r\n`, 404],
      [`\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS`, 400],
      [`GET / HTTP/9.9\r\n\r\n`, 400],
      [`GET ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
      [`GET ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ];
    const slow = `GET ${good} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\nX-Slow: `;
    await Promise.all([1, 2, 3].map(() => hold(port, slow)));
    for (const [bytes, status] of junk) expect(statusOf(await rawExchange(port, bytes)), bytes.slice(0, 200)).toBe(status);

    let sent = 0;
    const answered: number[] = [];
    await Promise.all(Array.from({ length: 4 }, async () => {
      while (sent < 10_000) {
        const [bytes = ''] = junk[(sent += 1) % junk.length] ?? [];
        answered.push(statusOf(await rawExchange(port, bytes)));
      }
    }));
    expect(answered.length).toBeGreaterThanOrEqual(10_000);
    expect(answered.filter((status) => status < 400)).toEqual([]);
    await Promise.all([1, 2, 3].map(() => hold(port, slow)));

    expect((await rig.get(good, { Cookie: cookie })).status).toBe(303);
    expect((await rig.listener.callback).parameters.get('code')).toBe('code-EXAMPLE');
    expect(rig.log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it.concurrent('closes a connection whose request takes longer than five seconds, also one that drips or says nothing', { timeout: 15_000 }, async () => {
    const rig = await armed();
    const since = performance.now();
    const [silent, begun] = await Promise.all([hold(rig.listener.port), hold(rig.listener.port, 'GET / HTTP/1.1\r\nHost: 127')]);
    const drip = setInterval(() => begun.writable && begun.write('.'), 200);
    let said = '';
    begun.on('data', (data) => { said += String(data); });
    silent.resume();
    await Promise.all([once(silent, 'close'), once(begun, 'close')]);
    clearInterval(drip);
    expect(performance.now() - since).toBeGreaterThan(4_500);
    expect(performance.now() - since).toBeLessThan(boundMs(7_000));
    expect(statusOf(said)).toBe(408);
  });

  it('[LB-06] serves exactly one Host that is the literal host and port', async () => {
    const rig = await armed();
    const { port } = rig.listener;
    const cookie = await rig.start();
    const line = `GET ${rig.callbackPath()} HTTP/1.1\r\n`;
    const rest = `Cookie: ${cookie}\r\n\r\n`;
    const host = `Host: 127.0.0.1:${port}\r\n`;
    expect(statusOf(await rawExchange(port, `${line}Host: evil.example\r\n${rest}`))).toBe(421);
    expect(statusOf(await rawExchange(port, `${line}Host: evil.example:${port}\r\n${rest}`))).toBe(421);
    expect(statusOf(await rawExchange(port, `${line}Host: localhost:${port}\r\n${rest}`))).toBe(421);
    expect(statusOf(await rawExchange(port, `${line}Host: 127.0.0.1\r\n${rest}`))).toBe(421);
    const nameless = await rawExchange(port, `${line}${rest}`);
    expect(statusOf(nameless)).toBe(400);
    expect(nameless).toContain('This request names no single host');
    expect(statusOf(await rawExchange(port, `${line}${host}${host}${rest}`))).toBe(400);
    expect(statusOf(await rawExchange(port, `${line}${host}Host: evil.example\r\n${rest}`))).toBe(400);
    expect(statusOf(await rawExchange(port, `${line.replace(' /', ` http://127.0.0.1:${port}/`)}${host}${rest}`))).toBe(400);
    expect(statusOf(await rawExchange(port, `${line.replace('1.1', '1.0')}${rest}`))).toBe(400);
    // Control: with the one right Host it is taken.
    expect(statusOf(await rawExchange(port, `${line}${host}${rest}`))).toBe(303);
  });

  it('answers the first of several requests on one connection, and drops the rest', async () => {
    const rig = await armed();
    const cookie = await rig.start();
    const host = `Host: 127.0.0.1:${rig.listener.port}\r\n`;
    const real = `GET ${rig.callbackPath()} HTTP/1.1\r\n${host}Cookie: ${cookie}\r\n\r\n`;
    const reply = await rawExchange(rig.listener.port, `GET / HTTP/1.1\r\n${host}\r\n${real}${real}`);
    expect(statusOf(reply)).toBe(404);
    expect(reply).not.toContain('303 See Other');
    expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(303);
  });
});

describe('a crowd', () => {
  it('never holds more than eight connections: the oldest silent one goes', async () => {
    const rig = await armed();
    const crowd: Socket[] = [];
    const closed: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const socket = await hold(rig.listener.port);
      socket.resume();
      socket.once('close', () => closed.push(i));
      crowd.push(socket);
    }
    await Promise.all(crowd.slice(0, 4).map((socket) => socket.closed || once(socket, 'close')));
    expect(closed.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    // The browser is served all the same.
    const cookie = await rig.start();
    expect((await rig.get(rig.callbackPath(), { Cookie: cookie })).status).toBe(303);
  });

  it('turns newcomers away with 503 while all eight are being answered, and serves them after', async () => {
    const rig = await openRig();
    rigs.push(rig);
    const path = new URL(rig.listener.startUrl).pathname;
    const waiting = Array.from({ length: 8 }, () => rig.get(path));
    // All eight hang until arm().
    await vi.waitFor(() => expect(rig.lookups).toBe(8), { timeout: 15_000 });
    expect((await rig.get('/')).status).toBe(503);
    rig.arm();
    expect((await Promise.all(waiting)).map(({ status }) => status).sort()).toEqual([302, 404, 404, 404, 404, 404, 404, 404]);
    expect((await rig.get('/')).status).toBe(404);
  });

  it('lets a browser in while a crowd pushes without pause', { timeout: 30_000 }, async () => {
    const rig = await armed();
    const pushing = new AbortController();
    const crowd = Array.from({ length: 30 }, async () => {
      while (!pushing.signal.aborted) (await hold(rig.listener.port, 'GET / HT')).resume();
    });
    try {
      // A browser tries again where its connection was cut.
      const persist = async <T>(attempt: () => Promise<T>): Promise<T> => {
        for (let tries = 1; ; tries += 1) {
          try {
            return await attempt();
          } catch (error) {
            if (tries === 20) throw error;
          }
        }
      };
      const cookie = await persist(() => rig.start());
      expect((await persist(() => rig.get(rig.callbackPath(), { Cookie: cookie }))).status).toBe(303);
    } finally {
      pushing.abort();
      await Promise.all(crowd);
    }
  });
});
