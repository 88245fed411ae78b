import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createApp } from '../../../../daemon/ipc/app.ts';
import type { Handlers } from '../../../../daemon/ipc/app.ts';
import { METHODS } from '../../../../shared/methods.ts';
import { someCaller, someFacts } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeRandom, LogSink } from '../../../support/fakes.ts';

it('a stream that nobody reads does not keep the application from closing', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'vk-app-'));
  const clock = new FakeClock();
  const stream: Handlers[keyof Handlers] = async ({ reply }) => {
    reply.hijack();
    reply.raw.writeHead(200).write('x'.repeat(4 * 1024 * 1024)); // far beyond what the kernel holds for a reader
    return undefined;
  };
  const app = await createApp({
    handlers: Object.fromEntries(Object.keys(METHODS).map((name) => [name, stream])) as Handlers,
    callers: { attest: async () => someCaller(), stillSame: () => true, session: async () => someFacts() },
    limits: () => ({ requestsPerSecond: 10, burst: 10 }), clock, log: new LogSink(), random: fakeRandom(), isStopping: () => false,
  });
  const server = createServer((socket) => app.take(socket, { uid: 1000, pid: 1 }));
  await new Promise<void>((resolve) => { server.listen(join(dir, 'socket'), resolve); });
  const deaf = connect(join(dir, 'socket')).on('error', () => undefined).pause();
  const left = new Promise((resolve) => { server.once('connection', (socket) => socket.once('close', resolve)); });
  deaf.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => { setTimeout(resolve, 200); });
  const closed = app.http.close();
  app.end();
  await clock.advance(1_000);
  await Promise.all([left, closed]);
  expect(app.busy()).toBe(0);
  deaf.destroy();
  server.close();
  rmSync(dir, { recursive: true });
});
