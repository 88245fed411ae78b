import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import type { Callers } from '../../daemon/core/ports.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

/** How many answers each look was for. */
const looks: number[] = [];
let isWithin = false;

function counted(real: ReturnType<typeof createCallers>): Callers {
  return {
    ...real,
    attest: (peer, pin) => real.attest(peer, pin),
    // What whoami asks first, where a cached token asks stillSame.
    digestOf: (caller) => {
      if (isWithin) looks.push((looks.pop() ?? 0) + 1);
      return real.digestOf(caller);
    },
    lookOnce: (work) => real.lookOnce(() => {
      looks.push(0);
      isWithin = true;
      work();
      isWithin = false;
    }),
  };
}

let vk: InProcess;
const agent = new Agent({ keepAlive: true });
beforeAll(async () => {
  vk = await startInProcess({ config: '[limits]\nrequests_per_second = 10000\nburst = 10000\n', edges: { callers: counted(createCallers({ loginctl: async () => null, ownCli: [] })) } });
});
afterAll(async () => {
  agent.destroy();
  await vk?.stop();
});

function ask(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath: vk.socket, path, agent }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0)).on('error', reject);
    }).on('error', reject).end();
  });
}

it('looks once at a process for what it asks on several connections at a time, and tells each its own', async () => {
  const paths = ['/v1/whoami', '/v1/nothing', '/v1/whoami', '/v1/whoami?a=1&a=2', '/v1/whoami', '/v1/whoami'];
  const statuses = [200, 404, 200, 400, 200, 200];
  expect(await Promise.all(paths.map(ask))).toEqual(statuses);
  for (let times = 0; times < 20; times += 1) {
    looks.length = 0;
    expect(await Promise.all(paths.map(ask))).toEqual(statuses);
    if (looks.some((answers) => answers > 1)) break;
  }
  expect(Math.max(...looks), 'answers of one look').toBeGreaterThan(1);
});
