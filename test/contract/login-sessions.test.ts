/** What is heard of logind over a real bus, and of those who only sound like it (SU-04). */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SessionNews } from '../../daemon/core/ports.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { createLoginSessions } from '../../daemon/platform/login-sessions.ts';
import { LogSink } from '../support/fakes.ts';
import { busObstacle, Party, PrivateBus, StandInLogind } from '../support/stand-in-logind.ts';

const obstacle = busObstacle();
if (obstacle !== null) console.warn(`login sessions: skipped, ${obstacle}`);

const real = createClock();
/** Where the daemon waits a second, it waits 10 ms here; its deadline of 2 s stays one. */
const clock = { ...real, sleep: (ms: number, signal: AbortSignal) => real.sleep(ms === 2_000 ? ms : ms / 100, signal) };
let news: SessionNews[];
let stop: AbortController;
let watching: Promise<void>;

function watch(socket: string): void {
  watching = createLoginSessions({ socket, clock, log: new LogSink(), uid: process.getuid?.() ?? 0 }).watch((each) => news.push(each), stop.signal);
}
const last = (): SessionNews | undefined => news.at(-1);
const becomes = (expected: SessionNews) => expect.poll(last, { interval: 5 }).toEqual(expected);
const LOCKED: SessionNews = { kind: 'screen', isLocked: true };
const OPEN: SessionNews = { kind: 'screen', isLocked: false };

beforeEach(() => {
  news = [];
  stop = new AbortController();
  watching = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  await watching;
});

describe.skipIf(obstacle !== null)('logind on a bus', () => {
  let bus: PrivateBus;
  let logind: StandInLogind;

  beforeEach(async () => {
    bus = new PrivateBus();
    await bus.start();
    logind = await StandInLogind.appear(bus.socket);
    logind.add('c1');
  });
  afterEach(async () => {
    stop.abort();
    logind.party.leave();
    await bus.remove();
  });

  it('tells how the screen is, and what becomes of it, by signal and by hint', async () => {
    watch(bus.socket);
    await becomes(OPEN);
    logind.say('c1', 'Lock');
    await becomes(LOCKED);
    logind.say('c1', 'Unlock');
    await becomes(OPEN);
    logind.hint('c1', true);
    await becomes(LOCKED);
    logind.hint('c1', false);
    await becomes(OPEN);
    logind.sleeps(true);
    await becomes({ kind: 'sleep' });
    logind.sleeps(false);
    logind.say('c1', 'Lock');
    await becomes(LOCKED);
    expect(news.filter(({ kind }) => kind === 'sleep')).toHaveLength(1);
  });

  it('knows of a screen that was locked before, and of desktops that come and go', async () => {
    logind.hint('c1', true);
    watch(bus.socket);
    await becomes(LOCKED);
    logind.remove('c1');
    await becomes(OPEN);
    logind.add('c2');
    logind.add('c3', { locked: true });
    await becomes(LOCKED);
    logind.remove('c3');
    await becomes(OPEN);
    // A locker that keeps no hint: what the signal said holds, however often the sessions are read.
    logind.say('c2', 'Lock');
    await becomes(LOCKED);
    const seen = news.length;
    logind.add('c4', { type: 'tty' });
    await expect.poll(() => news.length, { interval: 5 }).toBeGreaterThan(seen);
    expect(last()).toEqual(LOCKED);
  });

  it('looks at desktops of this user only: no terminal, no greeter, nobody else', async () => {
    logind.add('t1', { type: 'tty', locked: true });
    logind.add('g1', { class: 'greeter', locked: true });
    logind.add('o1', { uid: 64_000, locked: true });
    watch(bus.socket);
    await becomes(OPEN);
    for (const id of ['t1', 'g1', 'o1']) {
      logind.say(id, 'Lock');
      logind.hint(id, true);
    }
    logind.say('c1', 'Lock');
    await becomes(LOCKED);
    expect(news.filter((each) => each.kind === 'screen' && each.isLocked)).toHaveLength(1);
  });

  it('hears nobody who only sounds like logind, whatever is sent, and goes on hearing logind', async () => {
    watch(bus.socket);
    await becomes(OPEN);
    const names = (await logind.party.callBus('ListNames'))[0] as readonly string[];
    const daemon = names.find((name) => name.startsWith(':') && name !== logind.party.name) ?? '';
    const liar = await Party.join(bus.socket);
    const said = news.length;
    for (let i = 0; i < 2_000; i += 1) {
      liar.signal(logind.path('c1'), 'org.freedesktop.login1.Session', 'Lock', '', [], daemon);
      liar.signal('/org/freedesktop/login1', 'org.freedesktop.login1.Manager', 'PrepareForSleep', 'b', [true], daemon);
    }
    liar.signal(`/${'x'.repeat(100_000)}`, 'org.freedesktop.login1.Session', 'Lock', '', [], daemon);
    liar.signal('/x', 'x.y', 'Z', 's', ['x'.repeat(3_000_000)], daemon);
    liar.signal('/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', 'sss', ['org.freedesktop.login1', logind.party.name, ''], daemon);
    await liar.callBus('GetId'); // everything before it has been passed on
    logind.sleeps(true);
    await becomes({ kind: 'sleep' });
    expect(news.slice(said)).toEqual([{ kind: 'sleep' }]);
    liar.leave();
  });

  it('says when it hears nothing any more, and hears again when logind, or the bus, is back', async () => {
    watch(bus.socket);
    await becomes(OPEN);
    logind.party.leave();
    await expect.poll(last, { interval: 5 }).toMatchObject({ kind: 'unheard' });
    logind = await StandInLogind.appear(bus.socket);
    logind.add('c1', { locked: true });
    await becomes(LOCKED);
    await bus.stop();
    await expect.poll(last, { interval: 5 }).toMatchObject({ kind: 'unheard' });
    await bus.start();
    logind = await StandInLogind.appear(bus.socket);
    logind.add('c1');
    await becomes(OPEN);
  });

  it('does not wait for a logind that is silent', async () => {
    logind.isAwake = false;
    watch(bus.socket);
    await becomes({ kind: 'unheard', why: 'the bus did not answer in time' });
    logind.isAwake = true;
    await becomes(OPEN);
  });
});

describe('a bus that is none', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'vk-no-bus-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('is unheard where there is no socket', async () => {
    watch(join(dir, 'nothing'));
    await becomes({ kind: 'unheard', why: 'the connection to the bus is lost' });
  });

  it.each([
    ['says nothing', ''],
    ['refuses', 'REJECTED EXTERNAL\r\n'],
    ['never ends its line', 'x'.repeat(100_000)],
    ['sends no messages', `OK 1234\r\n${'x'.repeat(64)}`],
    ['announces more than there can be', Buffer.concat([Buffer.from('OK 1234\r\n'), Buffer.from([0x6c, 2, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f])])],
    ['speaks another version', Buffer.concat([Buffer.from('OK 1234\r\n'), Buffer.from([0x6c, 2, 0, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])])],
  ])('is unheard where it %s, and left alone in growing pauses', async (_what, greeting) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write(greeting);
    });
    server.listen(join(dir, 'bus'));
    await once(server, 'listening');
    watch(join(dir, 'bus'));
    await expect.poll(last, { interval: 5 }).toMatchObject({ kind: 'unheard' });
    expect(news.filter(({ kind }) => kind !== 'unheard')).toEqual([]);
    stop.abort();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});
