/** Two hundred clients in four processes, and one token that no longer serves: one refresh, one token for all. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFaulty } from '../support/fault-build.ts';
import type { FaultBuild } from '../support/fault-build.ts';
import { publish, size } from './campaign.ts';
import { Ledger } from './ledger.ts';
import { Laptop, Person, startShimmed } from './rig.ts';
import type { Issuer } from './rig.ts';

const ROUNDS = size(3, 100);
const PROCESSES = 4;
const CLIENTS = 50;
/** A round in which the token has really expired takes its life; in the others more life is asked for than it has left. */
const EXPIRES_EVERY = 10;
const SHORT_LIFE_S = 2;

/** Asks on as many connections as there are clients, all kept, as soon as it is told to. */
const CROWD = `
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
const [, socketPath, clients] = process.argv;
const agent = new Agent({ keepAlive: true, maxSockets: Number(clients) });
const ask = (body) => new Promise((resolve) => {
  const req = request({ socketPath, agent, method: 'POST', path: '/v1/token', headers: { 'content-type': 'application/json' } }, (res) => {
    let text = '';
    res.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
    res.on('end', () => resolve(res.statusCode === 200 ? JSON.parse(text).access_token : text));
  });
  req.on('error', (cause) => resolve(String(cause)));
  req.end(body);
});
createInterface({ input: process.stdin }).on('line', async (line) => {
  const answers = await Promise.all(Array.from({ length: Number(clients) }, () => ask(line)));
  process.stdout.write(JSON.stringify(answers) + '\\n');
}).on('close', () => process.exit());
`;

class Crowd {
  readonly #children: readonly ChildProcess[];
  readonly #lines: readonly AsyncIterator<string>[];

  constructor(socket: string) {
    this.#children = Array.from({ length: PROCESSES }, () => spawn(process.execPath, ['--input-type=module', '-e', CROWD, socket, String(CLIENTS)], { stdio: ['pipe', 'pipe', 'inherit'] }));
    this.#lines = this.#children.map((child) => {
      if (child.stdout === null) throw new Error('a crowd without a voice');
      return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    });
  }

  async ask(body: object): Promise<readonly string[]> {
    for (const child of this.#children) child.stdin?.write(`${JSON.stringify(body)}\n`);
    const answers = await Promise.all(this.#lines.map(async (lines) => JSON.parse((await lines.next()).value as string) as readonly string[]));
    return answers.flat();
  }

  async leave(): Promise<void> {
    await Promise.all(this.#children.map(async (child) => {
      const gone = once(child, 'exit');
      child.stdin?.end();
      await gone;
    }));
  }
}

let build: FaultBuild;
let person: Person;
let issuer: Issuer;
let laptop: Laptop;
let crowd: Crowd;
beforeAll(async () => {
  build = buildFaulty();
  person = await Person.appear();
  issuer = await startShimmed();
  laptop = new Laptop(build, person, issuer.issuer.url);
  await laptop.start();
  expect(await laptop.signIn()).toMatchObject({ state: 'complete' });
  crowd = new Crowd(laptop.socket);
});
afterAll(async () => {
  await crowd.leave();
  await laptop.remove();
  await issuer.close();
  await person.leave();
  build.remove();
});

describe('the herd', () => {
  it(`[TK-03] ${PROCESSES * CLIENTS} clients, ${ROUNDS} rounds: one refresh a round, and the same token for all`, async () => {
    const ledger = new Ledger(issuer.issuer);
    let before = '';
    let expired = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const isExpiry = round % EXPIRES_EVERY === 1;
      const lifeS = 1_000 + 100 * round;
      if (isExpiry) {
        issuer.issuer.setLifetimes({ accessTokenS: SHORT_LIFE_S });
        expect((await laptop.token({ force: true, min_ttl_s: 0 })).status).toBe(200);
        await sleep(SHORT_LIFE_S * 1000 + 50);
        expired += 1;
      }
      issuer.issuer.setLifetimes({ accessTokenS: lifeS });
      ledger.mark();
      const answers = await crowd.ask({ profile: 'work', min_ttl_s: isExpiry ? 0 : lifeS - 50 });
      const distinct = [...new Set(answers)];
      expect(distinct, `round ${round}`).toHaveLength(1);
      expect(answers).toHaveLength(PROCESSES * CLIENTS);
      expect(distinct[0]).toMatch(/^[\w-]{20,}$/);
      expect(distinct[0]).not.toBe(before);
      expect([ledger.asked(), ledger.consumed()], `round ${round}`).toEqual([1, 1]);
      before = distinct[0] ?? '';
    }
    publish('herd', { rounds: ROUNDS, clients: PROCESSES * CLIENTS, 'rounds after a real expiry': expired, 'refreshes a round': 1, 'second uses of a token': ledger.reuses(), 'reuse alarms': ledger.alarms() });
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 60_000 + ROUNDS * 3_000);
});
