import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { App } from '../../../../daemon/ipc/app.ts';
import type { Handlers, Sink } from '../../../../daemon/ipc/dispatch.ts';
import { METHODS } from '../../../../shared/methods.ts';
import { someCallers } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeRandom, LogSink } from '../../../support/fakes.ts';

const event = { at: 1, event: 'locked', profile: null, detail: 'x'.repeat(60_000) } as const;

it.each([
  ['HTTP', 'GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['frames', '{"type":"events","id":1}\n'],
])('a stream of %s that nobody reads does not keep the application from closing', async (_dialect, ask) => {
  const dir = mkdtempSync(join(tmpdir(), 'vk-app-'));
  const clock = new FakeClock();
  const opened: Sink[] = [];
  const stream: Handlers[keyof Handlers] = (asked) => {
    const sink = asked.openStream();
    opened.push(sink);
    for (let i = 0; i < 5; i += 1) sink.send(event); // beyond what the kernel holds for a reader
    return undefined;
  };
  const app = new App({
    handlers: Object.fromEntries(Object.keys(METHODS).map((name) => [name, stream])) as Handlers,
    callers: someCallers(),
    limits: () => ({ requestsPerSecond: 10, burst: 10 }), clock, log: new LogSink(), random: fakeRandom(), isStopping: () => false,
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => app.take(socket, { uid: 1000, pid: 1 }, () => null));
  await new Promise<void>((resolve) => { server.listen(join(dir, 'socket'), resolve); });
  const deaf = connect(join(dir, 'socket')).on('error', () => undefined).pause();
  const left = new Promise((resolve) => { server.once('connection', (socket) => socket.once('close', resolve)); });
  deaf.write(ask);
  await expect.poll(() => opened.length).toBe(1);
  const closed = app.close();
  app.end();
  await clock.advance(1_000);
  await Promise.all([left, closed]);
  expect(app.busy).toBe(0);
  deaf.destroy();
  server.close();
  rmSync(dir, { recursive: true });
});

it('a frame that was read, and waits for the others of its turn, is answered before its connection is left to a successor', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'vk-app-'));
  const app = new App({
    handlers: Object.fromEntries(Object.keys(METHODS).map((name) => [name, () => ({ ok: true })])) as unknown as Handlers,
    callers: someCallers(),
    limits: () => ({ requestsPerSecond: 10, burst: 10 }), clock: new FakeClock(), log: new LogSink(), random: fakeRandom(), isStopping: () => false,
  });
  let asked = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    app.take(socket, { uid: 1000, pid: 1 }, () => null);
    // After the application has heard the second frame, and before it takes it.
    socket.on('data', () => {
      asked += 1;
      if (asked === 3) void app.rest();
    });
  });
  await new Promise<void>((resolve) => { server.listen(join(dir, 'socket'), resolve); });
  const clients = [1, 2].map(() => ({ socket: connect(join(dir, 'socket')), said: '' }));
  for (const client of clients) {
    client.socket.on('data', (chunk: Buffer) => { client.said += chunk.toString(); });
    client.socket.write('{"type":"lock","id":1}\n');
    await expect.poll(() => client.said).toContain('"id":1');
  }
  clients[0]?.socket.write('{"type":"lock","id":2}\n');
  await expect.poll(() => clients.map(({ socket }) => socket.readyState)).toEqual(['closed', 'closed']);
  expect(clients.map(({ said }) => said.includes('"id":2'))).toEqual([true, false]);
  server.close();
  rmSync(dir, { recursive: true });
});
