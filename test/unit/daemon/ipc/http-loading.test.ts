import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { App } from '../../../../daemon/ipc/app.ts';
import type { AppDeps } from '../../../../daemon/ipc/app.ts';
import type { Handlers } from '../../../../daemon/ipc/dispatch.ts';
import { createHttp } from '../../../../daemon/ipc/http.ts';
import { METHODS } from '../../../../shared/methods.ts';
import { someCaller, someCallers } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeRandom, LogSink } from '../../../support/fakes.ts';

const ASK = 'GET /v1/profiles HTTP/1.1\r\nHost: x\r\n\r\n';
let dir: string;
let log: LogSink;
let server: Server;
const open: Socket[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vk-load-'));
  log = new LogSink();
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await new Promise<void>((resolve) => { server.close(() => resolve()); });
  rmSync(dir, { recursive: true });
});

async function serve(loadHttp: NonNullable<AppDeps['loadHttp']>): Promise<void> {
  const app = new App({
    handlers: Object.fromEntries(Object.keys(METHODS).map((name) => [name, () => ({ name })])) as unknown as Handlers,
    callers: someCallers({ attest: () => someCaller() }),
    limits: () => ({ requestsPerSecond: 100, burst: 100 }), clock: new FakeClock(), log, random: fakeRandom(), isStopping: () => false, loadHttp,
  });
  server = createServer({ allowHalfOpen: true }, (socket) => app.take(socket, { uid: 1000, pid: 1 }, () => null));
  await new Promise<void>((resolve) => { server.listen(join(dir, 'socket'), resolve); });
}

function ask(bytes: string): { text: () => string; closed: Promise<unknown> } {
  const socket = connect(join(dir, 'socket'));
  open.push(socket);
  let text = '';
  socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  socket.on('error', () => undefined);
  socket.write(bytes);
  return { text: () => text, closed: new Promise((resolve) => { socket.once('close', resolve); }) };
}

describe('HTTP', () => {
  it('is not loaded for frames, and once for all who speak it; who comes meanwhile waits', async () => {
    let loads = 0;
    let go: () => void = () => undefined;
    const loaded = new Promise<void>((resolve) => { go = resolve; });
    await serve(async (deps) => {
      loads += 1;
      await loaded;
      return createHttp(deps);
    });
    const framed = ask('{"type":"profiles"}\n');
    await expect.poll(framed.text).toContain('"status":200');
    expect(loads).toBe(0);
    const both = [ask(ASK), ask(ASK)];
    const leaver = ask(ASK);
    open.at(-1)?.destroy();
    await leaver.closed;
    expect(both.map(({ text }) => text())).toEqual(['', '']);
    go();
    for (const { text } of both) await expect.poll(text).toContain('{"name":"profiles"}');
    const late = ask(ASK);
    await expect.poll(late.text).toContain('200 OK');
    expect(loads).toBe(1);
  });

  it('that cannot be loaded is logged, those who waited are closed, and the next one tries again', async () => {
    let isBroken = true;
    await serve(async (deps) => {
      if (isBroken) throw new Error('no such file');
      return createHttp(deps);
    });
    const waited = [ask(ASK), ask(ASK)];
    await Promise.all(waited.map(({ closed }) => closed));
    expect(log.lines.find(({ event }) => event === 'http_not_loaded')).toMatchObject({ level: 'error', cause: new Error('no such file') });
    expect(await Promise.race([ask('{"type":"profiles"}\n').closed, Promise.resolve('open')])).toBe('open');
    isBroken = false;
    const next = ask(ASK);
    await expect.poll(next.text).toContain('200 OK');
  });
});
