/** Clients of the line dialect that mean harm or nothing: the daemon lives, its memory stays, and the others are served. */
import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METHODS } from '../../shared/methods.ts';
import { boundMs } from '../support/bound.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';

/** Frames of the random run; `npm run fuzz` sets a million. */
const FRAMES = Number(process.env['FUZZ_FRAMES'] ?? 10_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.trunc(performance.timeOrigin + performance.now()) % 2 ** 31);
console.log(`random frames: ${FRAMES}, again by: FUZZ_SEED=${SEED} npx vitest run test/flow/frames-hostile.test.ts`);

let vk: InProcess;
const clients: LineClient[] = [];
const line = (): LineClient => {
  const client = new LineClient(vk.socket);
  clients.push(client);
  return client;
};
const leaveAll = (): void => {
  for (const client of clients.splice(0)) client.leave();
};

beforeAll(async () => {
  vk = await startInProcess({ config: `[limits]\nrequests_per_second = 10000\nburst = 100000\n${profileToml('work', 'http://127.0.0.1:9')}` });
});
afterAll(async () => {
  leaveAll();
  await vk?.stop();
});

/** Round trip of somebody else. */
async function otherCaller(): Promise<number> {
  const from = performance.now();
  const client = line().ask({ type: 'profiles', id: 'alive' });
  expect(await client.wait(1)).toMatchObject([{ id: 'alive', status: 200 }]);
  client.leave();
  return performance.now() - from;
}
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heapNow = (): number => {
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
};

describe('[IP-11] a client that means harm', () => {
  it.concurrent('that writes slowly, stops within a frame, or never ends one is let go within seven seconds', async () => {
    const silent = line();
    const stopped = line().send('{"type":"sta');
    const second = line().ask({ type: 'profiles', id: 1 });
    await second.wait(1);
    second.send('{');
    const drip = line().send('{"type":"status","id":"');
    const dripping = setInterval(() => drip.send('x'), 100);
    const from = performance.now();
    const texts = await Promise.all([silent, stopped, second, drip].map((client) => client.closed(9_000)));
    clearInterval(dripping);
    expect(performance.now() - from).toBeLessThan(boundMs(7_500));
    expect(texts[0]).toBe('');
    for (const text of texts.slice(1)) expect(text).toContain('the frame was not complete within 5 s');
  }, 15_000);

  it.concurrent.for<readonly [string, string]>([
    ['a number', '5\f'], ['an array', '[]\n'], ['a string', '"{"\n'], ['null', 'null\n'], ['nothing', '\n'], ['a form feed', '\f'], ['NUL', '\0\n'],
  ])('whose first frame is %s speaks HTTP to the daemon, badly', { timeout: 12_000 }, async ([, bytes], { expect }) => {
    const client = line().send(`${bytes}\r\n\r\n`);
    await expect.poll(() => client.text + String(client.hasEnded)).toMatch(/^HTTP\/1\.1 400|true$/);
    client.leave();
    await otherCaller();
  });

  it('that pours a gigabyte without an end is cut off after 64 KiB, and no memory grows', async () => {
    const before = heapNow();
    const client = line();
    const block = Buffer.alloc(1024 * 1024, 'x');
    let sent = 0;
    client.send('{');
    for (; sent < 1024 && !client.isClosed && !client.socket.writableFinished && client.socket.writable; sent += 1) {
      if (!client.socket.write(block)) await Promise.race([new Promise((resolve) => { client.socket.once('drain', resolve); }), client.closed(3_000)]);
    }
    expect(sent).toBeLessThan(32);
    expect(await client.closed()).toContain('"code":"payload_too_large"');
    expect(heapNow() - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('that never reads is read no more, and loses its connection when it is told too much', async () => {
    const deaf = line();
    deaf.socket.pause();
    deaf.ask({ type: 'events', id: 'stream' });
    const before = heapNow();
    for (let i = 0; i < 20_000 && deaf.socket.writableLength < 1_000_000; i += 1) deaf.ask({ type: 'nosuch', id: i });
    await sleep(500);
    expect(deaf.socket.writableLength).toBeGreaterThan(0); // it is the client that has to keep them
    expect(await otherCaller()).toBeLessThan(500);
    expect(heapNow() - before).toBeLessThan(64 * 1024 * 1024);
    const streams = line();
    streams.socket.pause();
    streams.ask({ type: 'events', id: 1 });
    await sleep(50);
    for (let i = 0; i < 4_000 && !streams.isClosed; i += 1) vk.daemon.reload().catch(() => undefined);
    leaveAll();
  }, 20_000);

  it('that floods does not keep another caller waiting', async () => {
    const flood = Buffer.from('{"type":"cancel","id":1}\n'.repeat(20_000) + '{"type":"nosuch","id":1}\n'.repeat(2_000));
    const floods = Array.from({ length: 8 }, () => line().send(flood));
    const times: number[] = [];
    for (let i = 0; i < 20; i += 1) times.push(await otherCaller());
    expect(times.toSorted((a, b) => a - b)[10]).toBeLessThan(250);
    for (const client of floods) client.leave();
  }, 20_000);

  it('that sends random frames never ends the daemon and is never told of a mistake of it', async () => {
    const anyMethod = fc.constantFrom(...Object.keys(METHODS).filter((name) => !['shutdown', 'upgrade', 'purge', 'lock', 'unlock'].includes(name)), 'cancel');
    const anyId = fc.option(fc.oneof(fc.string({ maxLength: 70 }), fc.integer(), fc.double(), fc.boolean()), { nil: undefined });
    const data = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.record({ profile: fc.string({ maxLength: 8 }), id: fc.string({ maxLength: 24 }), wait_s: fc.nat(2) }, { requiredKeys: [] }));
    const sane = fc.record({ type: anyMethod, id: anyId, data }, { requiredKeys: ['type'] }).map((message) => Buffer.from(JSON.stringify(message)));
    const odd = fc.oneof(fc.json().map((text) => Buffer.from(text)), fc.dictionary(fc.constantFrom('type', 'id', 'data', '__proto__', 'constructor', 'protocol', 'x'), fc.jsonValue({ maxDepth: 1 })).map((value) => Buffer.from(JSON.stringify(value))));
    const garbage = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    const frame = fc.oneof({ weight: 8, arbitrary: sane }, { weight: 3, arbitrary: odd }, { weight: 1, arbitrary: garbage });
    const terminator = fc.constantFrom('\n', '\n', '\n', '\f');
    const talk = fc.tuple(fc.array(fc.tuple(frame, terminator), { minLength: 20, maxLength: 40 }), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }), fc.boolean());
    const before = heapNow();
    const mistakes: unknown[] = [];
    await fc.assert(fc.asyncProperty(fc.array(talk, { minLength: 8, maxLength: 8 }), async (talks) => {
      await Promise.all(talks.map(async ([frames, cuts, halfCloses]) => {
        const bytes = Buffer.concat([Buffer.from('{"type":"profiles","id":"first"}\n'), ...frames.flatMap(([text, end]) => [text, Buffer.from(end)])]);
        const client = new LineClient(vk.socket);
        let at = 0;
        for (const cut of [...cuts.map((part) => Math.trunc(part * bytes.length)).toSorted((a, b) => a - b), bytes.length]) {
          client.send(bytes.subarray(at, cut));
          at = cut;
          await sleep(0);
        }
        if (halfCloses) client.socket.end();
        // Not expect.poll: it keeps what it looked at until the test is over, and that would be what grows.
        for (let tries = 0; tries < 1_000 && !/[\n\f]/.test(client.text); tries += 1) await sleep(5);
        client.leave();
        expect(client.text).toMatch(/[\n\f]/);
        expect(client.text).not.toContain('"code":"internal"');
        for (const text of client.text.split(/[\n\f]/).slice(0, -1)) expect(JSON.parse(text)).toMatchObject({ protocol: 1, status: expect.any(Number) });
      }));
      // The sink keeps every line, and the audit every record: they would be what grows.
      vk.audit.events.length = 0;
      mistakes.push(...vk.log.lines.splice(0).filter(({ level, event }) => level === 'error' && event !== 'failed_unheard'));
    }), { numRuns: Math.ceil(FRAMES / 8 / 30), seed: SEED, endOnFailure: true });
    await otherCaller();
    expect(mistakes).toEqual([]);
    expect(Object.prototype).not.toHaveProperty('force');
    expect(heapNow() - before).toBeLessThan(32 * 1024 * 1024);
  }, Math.max(60_000, FRAMES * 20));
});
