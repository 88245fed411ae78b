/**
 * Answers that are lost, late, doubled, cut, swapped or refused, between the daemon in this process and a real
 * issuer with strict reuse detection. A sign-in may cost only an answer that nobody can have any more.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import type { ApiReply } from '../support/api.ts';
import { Held } from '../support/fault-shim.ts';
import { fetchMetadata, rawRefresh } from '../support/raw-client.ts';
import type { Harm } from '../support/fault-shim.ts';
import { onlyRun, pick, publish, replay, replayable, runs, scale, seeded } from './campaign.ts';
import { Ledger } from '../support/ledger.ts';
import { startShimmed } from './rig.ts';
import type { Issuer } from './rig.ts';

const RUNS = runs(16, 300);
/** Longer than any answer that is only late. */
const TIMEOUT_MS = 3_000;
const PEOPLE = ['ada', 'bob', 'cy', 'dee', 'eve', 'fay'] as const;

replayable('answers');
let issuer: Issuer;
let daemon: InProcess;
let ledger: Ledger;
beforeEach(async () => {
  issuer = await startShimmed();
  ledger = new Ledger(issuer.issuer);
  const profiles = PEOPLE.map((name) => profileToml(name, issuer.issuer.url)).join('\n');
  daemon = await startInProcess({ config: `${MANY_CALLERS}requests_per_second = 10000\nburst = 10000\n${profiles}`, issuerTimeoutMs: TIMEOUT_MS });
});
afterEach(async () => {
  await daemon.stop();
  await issuer.close();
});

const ask = (profile: string, more: object = { force: true }): Promise<ApiReply> => daemon.api('POST', '/v1/token', { profile, ...more });
async function signIn(person: string): Promise<void> {
  daemon.skipMs += 60_000; // sixty sign-ins in ten minutes are enough for people
  const { end } = await daemon.signIn(person, person);
  expect(end.body).toMatchObject({ state: 'complete' });
}

/** Asks until the issuer's back-off is over; at most as often as there are steps in it. */
async function settled(person: string): Promise<ApiReply> {
  for (let i = 0; ; i += 1) {
    const reply = await ask(person);
    if (!['issuer_unreachable', 'issuer_response_invalid'].includes(reply.body?.code) || i === 10) return reply;
    daemon.skipMs += 1_000 * Number(reply.body.retry_after_s ?? 1);
  }
}

type Trouble = { readonly name: string; readonly harms: (random: () => number) => readonly Harm[]; /** The answer, if there was one, can never be had. */ readonly loses: boolean };

const status = (code: number, headers: Readonly<Record<string, string>> = {}, body = 'not now'): Harm => ({ kind: 'status', status: code, headers, body });

const HTML = { 'content-type': 'text/html' };

const TROUBLES: readonly Trouble[] = [
  { name: 'none', loses: false, harms: () => [{ kind: 'pass' }] },
  { name: 'late', loses: false, harms: (random) => [{ kind: 'slow', ms: 20 + 300 * random() }] },
  { name: 'dripping', loses: false, harms: (random) => [{ kind: 'drip', pieces: 2 + Math.floor(8 * random()), everyMs: 5 }] },
  { name: 'given twice', loses: false, harms: () => [{ kind: 'answer_twice' }, { kind: 'pass' }] },
  { name: '5xx', loses: false, harms: (random) => Array.from({ length: 1 + Math.floor(4 * random()) }, () => status(pick(random, [500, 502, 503, 504]))) },
  { name: '429 with Retry-After', loses: false, harms: (random) => [status(429, { 'retry-after': String(1 + Math.floor(90 * random())) })] },
  { name: '503 until a date', loses: false, harms: () => [status(503, { 'retry-after': new Date(Date.now() + daemon.skipMs + 30_000).toUTCString() })] },
  { name: '408', loses: false, harms: () => [status(408)] },
  { name: 'a portal in between', loses: false, harms: () => [status(511, HTML, '<!doctype html><title>Captive portal</title>')] },
  { name: 'a page of a proxy', loses: false, harms: () => [status(403, HTML, '<!doctype html><title>Blocked</title>')] },
  { name: 'an empty 400', loses: false, harms: () => [status(400, {}, '')] },
  { name: 'lost', loses: true, harms: (random) => [{ kind: 'lose', how: pick(random, ['end', 'reset']) }] },
  { name: 'cut', loses: true, harms: (random) => [{ kind: 'truncate', share: random() * 0.95 }] },
  // It says success, and what it granted cannot be read.
  { name: 'a page where tokens should be', loses: true, harms: () => [status(200, HTML, '<!doctype html><title>Welcome</title>')] },
  { name: 'reset before the issuer saw it', loses: true, harms: () => [{ kind: 'reset_before' }] },
  { name: 'too late', loses: true, harms: () => [{ kind: 'slow', ms: TIMEOUT_MS + 200 }] },
];

describe('answers', () => {
  it(`[TK-05] in ${RUNS} seeded troubles no sign-in is asked for but after an answer that was lost, and then one`, async () => {
    for (const person of PEOPLE) await signIn(person);
    const tally = { lost: 0, signIns: 0, asked: 0 };
    const met = new Map<string, number>();
    for (let run = 0; run < RUNS; run += 1) {
      if (onlyRun !== null && run !== onlyRun) continue;
      const random = seeded(run, 2);
      const trouble = TROUBLES[run % TROUBLES.length] ?? pick(random, TROUBLES);
      const person = pick(random, PEOPLE);
      const where = `${trouble.name}: ${replay('answers', run)}`;
      const harms = trouble.harms(random);
      met.set(trouble.name, (met.get(trouble.name) ?? 0) + 1);
      ledger.mark();
      const before = issuer.shim.requests('token').length;
      issuer.shim.next('token', ...harms);
      const reply = await settled(person);
      // Each harm is one request; then the one that succeeds, and where an answer was lost none.
      expect(issuer.shim.requests('token').length - before, where).toBeLessThanOrEqual(harms.length + 1);
      if (trouble.loses) {
        expect(reply.body, where).toMatchObject({ code: 'login_required', reason: 'refresh_answer_lost' });
        for (let i = 0; i < 5; i += 1) expect((await ask(person)).body, where).toMatchObject({ code: 'login_required' });
        expect(issuer.shim.requests('token').length - before, where).toBe(1);
        await signIn(person);
        tally.lost += 1;
        tally.signIns += 1;
      } else {
        expect(reply.status, `${where}: ${reply.text}`).toBe(200);
        expect((await issuer.issuer.introspect(String(reply.body.access_token)))['sub'], where).toBe(person);
      }
      expect((await settled(person)).status, where).toBe(200);
      tally.asked += issuer.shim.requests('token').length - before;
      issuer.shim.clear();
      expect([ledger.reuses(), ledger.alarms()], where).toEqual([0, 0]);
    }
    publish('answers', {
      runs: RUNS, kinds: met.size, 'answers lost': tally.lost, 'sign-ins needed': tally.signIns, 'second uses of a token': ledger.reuses(), 'reuse alarms': ledger.alarms(),
    }, Object.fromEntries(met));
  }, 60_000 + RUNS * 3_000);

  it('held back and let go in any order reach the grant that they are for', async () => {
    for (const person of PEOPLE) await signIn(person);
    const random = seeded(0, 3);
    for (let round = 0; round < scale(3, 50); round += 1) {
      const held = PEOPLE.map(() => new Held());
      issuer.shim.next('token', ...held.map((each): Harm => ({ kind: 'hold', held: each })));
      const replies = PEOPLE.map((person) => ask(person));
      const there = new Set<Held>();
      for (const each of held) void each.arrived.then(() => there.add(each));
      for (let left = held.length; left > 0; left -= 1) {
        // Two go first, and one more for each answer: of those on the wire any may be answered next.
        const onWire = Math.min(left, 2 + held.length - left);
        await expect.poll(() => there.size, { interval: 5 }).toBe(onWire);
        const next = pick(random, [...there]);
        there.delete(next);
        next.release();
      }
      for (const [index, reply] of (await Promise.all(replies)).entries()) {
        expect(reply.status).toBe(200);
        expect((await issuer.issuer.introspect(String(reply.body.access_token)))['sub']).toBe(PEOPLE[index]);
      }
    }
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 60_000);

  it('[TK-06] after somebody else used the refresh token, nothing is left of the grant but why, and nobody is asked again', async () => {
    await signIn('ada');
    const stolen = issuer.issuer.minted.findLast(({ kind }) => kind === 'refresh_token')?.value ?? '';
    expect((await rawRefresh(await fetchMetadata(issuer.issuer.url), stolen)).status).toBe(200);
    expect((await ask('ada')).body).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
    expect(issuer.issuer.events.filter(({ name }) => name === 'grant.revoked')).toHaveLength(1);
    expect((await daemon.api('GET', '/v1/grants')).body.grants).toMatchObject([{ profile: 'ada', state: 'login_required' }]);
    expect(daemon.audit.events.filter(({ event, profile }) => event === 'grant_parked' && profile === 'ada').map(({ facts }) => facts['reason'])).toEqual(['revoked_or_reused']);
    expect(daemon.log.lines.filter(({ event }) => event === 'grant_parked').map(({ fields }) => fields['reason'])).toEqual(['revoked_or_reused']);
    const before = issuer.shim.requests('token').length;
    // Neither the cached token nor the refresh token is there any more: with interaction refused, each ask says so and sends nothing.
    for (let i = 0; i < 1_000; i += 50) {
      const replies = await Promise.all(Array.from({ length: 50 }, () => ask('ada', {})));
      expect(new Set(replies.map(({ body }) => String(body.code)))).toEqual(new Set(['login_required']));
    }
    expect(issuer.shim.requests('token').length).toBe(before);
  }, 60_000);

  it('costs one sign-in where a proxy sends a refresh twice, and no second request of ours', async () => {
    await signIn('ada');
    issuer.shim.next('token', { kind: 'send_twice' });
    expect((await ask('ada')).status).toBe(200); // the first answer; the family is dead by then
    const before = issuer.shim.requests('token').length;
    for (let i = 0; i < 10; i += 1) expect((await ask('ada')).body).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
    expect(issuer.shim.requests('token').length - before).toBe(1);
  });
});

describe('an issuer that is ill', () => {
  /** Asks once a second for so long; the clock of the daemon moves, not the wall's. */
  async function askEverySecond(person: string, seconds: number): Promise<readonly ApiReply[]> {
    const replies: ApiReply[] = [];
    for (let i = 0; i < seconds; i += 1) {
      replies.push(await ask(person));
      daemon.skipMs += 1_000;
    }
    return replies;
  }

  it('is asked less and less while it answers 5xx, and needs no sign-in when it is well again', async () => {
    await signIn('ada');
    const before = issuer.shim.requests('token').length;
    issuer.shim.judge = ({ endpoint }) => (endpoint === 'token' ? status(503) : { kind: 'pass' });
    for (const reply of await askEverySecond('ada', 600)) expect(reply.body).toMatchObject({ code: 'issuer_unreachable', retryable: true });
    const asked = issuer.shim.requests('token').length - before;
    expect(asked).toBeGreaterThan(5);
    // Doubling up to 30 s, of which jitter takes half at most: six steps, and then one each 15 s.
    expect(asked).toBeLessThanOrEqual(6 + 600 / 15);
    issuer.shim.clear();
    expect((await settled('ada')).status).toBe(200);
    publish('storm', { 'requests asked for by callers': 600, 'requests to an issuer that answers 503 for ten minutes': asked, 'sign-ins needed': 0 });
  }, 60_000);

  it('is not asked before its Retry-After is over', async () => {
    await signIn('ada');
    const before = issuer.shim.requests('token').length;
    issuer.shim.next('token', status(429, { 'retry-after': '120' }));
    const began = performance.now();
    const replies = await askEverySecond('ada', 121);
    // Each that is served is one request; the seconds of a slow machine come on top of those that are skipped.
    const served = replies.filter(({ status: code }) => code === 200).length;
    expect(issuer.shim.requests('token').length - before).toBe(1 + served);
    expect(served).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / 1_000));
    expect(replies.at(-1)?.status).toBe(200);
  }, 60_000);

  it('that is away takes nothing with it, and one that is back is used again', async () => {
    for (const person of ['ada', 'bob']) await signIn(person);
    await issuer.shim.down();
    for (const reply of await askEverySecond('ada', 120)) expect(reply.body).toMatchObject({ code: 'issuer_unreachable' });
    // What is cached is served meanwhile.
    expect((await ask('bob', {})).body).toMatchObject({ source: 'cache' });
    await issuer.shim.up();
    expect((await settled('ada')).status).toBe(200);
    expect((await settled('bob')).status).toBe(200);
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 60_000);

  it('breaks every connection at once, as a change of network does: kept connections cost no sign-in', async () => {
    await signIn('ada');
    for (let i = 0; i < 10; i += 1) {
      expect((await ask('ada')).status).toBe(200);
      issuer.shim.cut();
    }
    expect((await ask('ada')).status).toBe(200);
  });
});
