/** The slow start of refreshes at one issuer: by a clock that stands, and an issuer that answers when it is told to. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Grant, Profile } from '../../../../daemon/core/domain.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import type { IssuerOutcome, Transient } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { Window } from '../../../../daemon/tokens/window.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, someGrant, someProfile, someServer, someToken, T0 } from '../../../support/builders.ts';
import { engineRig } from '../../../support/engine-rig.ts';
import type { EngineRig } from '../../../support/engine-rig.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { refusal, tokenSet } from '../../../support/fakes.ts';

const expired = someToken({ expiresAt: (T0 + 1_000) as EpochMs });
const profilesOf = (many: number, issuer = 'https://issuer.example'): readonly Profile[] => Array.from({ length: many }, (_, n) => someProfile({ name: profileName(`${new URL(issuer).hostname.split('.')[0]}-${n}`), issuer }));
const stale = ({ name, issuer }: Profile, over: Partial<Grant> = {}): Grant => someGrant({
  profile: name, issuer, server: someServer({ issuer }), rotates: true,
  state: { kind: 'active', refreshToken: new Secret(`rt-${name}-EXAMPLE`), tokens: [expired] }, ...over,
});
const good: IssuerOutcome = { kind: 'tokens', tokens: tokenSet(2) };
const failing = (over: Partial<Transient>): Transient => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false, ...over });
const swallows = (): Promise<never> => new Promise(() => undefined);

let engine: EngineRig | null = null;
afterEach(() => engine?.stop.abort());
const rigOf = async (profiles: readonly Profile[]): Promise<EngineRig> => (engine = await engineRig(profiles.map((profile) => stale(profile)), profiles));

type Asked = { readonly ended: Promise<readonly unknown[]>; readonly done: () => number };
function ask({ get }: EngineRig, profiles: readonly Profile[]): Asked {
  let done = 0;
  const ended = Promise.all(profiles.map((profile) => get(profile).catch((cause: unknown) => cause).finally(() => { done += 1; })));
  return { ended, done: () => done };
}

/** Answers each refresh after so long; notes how many were on the wire at most. */
function answersAfter({ issuer, clock }: EngineRig, ms: number, outcome = good): { onWire: number; most: number } {
  const seen = { onWire: 0, most: 0 };
  issuer.onRefresh = async () => {
    seen.onWire += 1;
    seen.most = Math.max(seen.most, seen.onWire);
    await clock.sleep(ms, new AbortController().signal);
    seen.onWire -= 1;
    return outcome;
  };
  return seen;
}

const unreached = expect.objectContaining({ code: 'issuer_unreachable', facts: expect.objectContaining({ retryAfterS: expect.any(Number) }) });

describe('fifty grants that are asked for in one moment', () => {
  const fifty = profilesOf(50);

  it('cost two sign-ins at an issuer that takes refresh tokens and never answers, and the others are told in ten seconds and unharmed', async () => {
    const rig = await rigOf(fifty);
    rig.issuer.onRefresh = swallows;
    const asked = ask(rig, fifty);
    await rig.clock.advance(9_000);
    expect([asked.done(), rig.issuer.refreshes]).toEqual([0, ['rt-issuer-0-EXAMPLE', 'rt-issuer-1-EXAMPLE']]);
    await rig.clock.advance(500);
    expect(await asked.ended).toEqual(fifty.map(() => unreached));
    expect(rig.issuer.refreshes).toHaveLength(2);
    expect(rig.vault.steps.filter((step) => step === 'intent')).toHaveLength(2);
    for (const { name } of fifty.slice(2)) expect([rig.vault.stored.get(name)?.intent, rig.book.get(name)?.generation]).toEqual([null, 1]);
    rig.issuer.onRefresh = async () => good;
    await rig.clock.advance(5_000);
    for (const some of [fifty.slice(2, 3), fifty.slice(3)]) expect(await ask(rig, some).ended).toEqual(some.map(() => expect.objectContaining({ source: 'refresh' })));
  });

  it('are refreshed in five round trips, in the order of their coming, where it is well', async () => {
    const rig = await rigOf(fifty);
    answersAfter(rig, 50);
    const asked = ask(rig, fifty);
    const wentAfter: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await rig.clock.advance(round === 0 ? 49 : 50);
      wentAfter.push(rig.issuer.refreshes.length);
    }
    expect(wentAfter).toEqual([2, 6, 14, 30, 50]);
    await rig.clock.advance(1);
    expect(asked.done()).toBe(50);
    expect(rig.issuer.refreshes).toEqual(fifty.map(({ name }) => `rt-${name}-EXAMPLE`));
  });

  it('go on as fast where they are refused: that is an answer too', async () => {
    const rig = await rigOf(fifty);
    answersAfter(rig, 50, refusal('invalid_grant'));
    const asked = ask(rig, fifty);
    await rig.clock.advance(250);
    expect(asked.done()).toBe(50);
    expect(await asked.ended).toEqual(fifty.map(() => expect.objectContaining({ code: 'login_required' })));
  });

  it('are four requests to an issuer that answers with errors', async () => {
    const rig = await rigOf(fifty);
    answersAfter(rig, 50, failing({ reach: 'server', cause: 'http_503' }));
    expect(ask(rig, fifty)).toBeDefined();
    await rig.clock.advance(200);
    expect(rig.issuer.refreshes).toHaveLength(4);
  });

  it('are told at once when the first of them finds out that the issuer cannot be reached', async () => {
    const rig = await rigOf(fifty);
    answersAfter(rig, 50, failing({}));
    const asked = ask(rig, fifty);
    await rig.clock.advance(50);
    expect(await asked.ended).toEqual(fifty.map(() => unreached));
    expect(rig.issuer.refreshes).toHaveLength(2);
  });

  it('are told in ten seconds also by an issuer that takes 4 s for each, and are refreshed by and by', async () => {
    const rig = await rigOf(fifty);
    answersAfter(rig, 4_000);
    const first = ask(rig, fifty);
    await rig.clock.advance(9_500);
    expect(first.done()).toBe(50);
    const told = await first.ended;
    // 2 at 4 s, 4 more at 8 s; of the 8 that went then nobody waits for the answer, and it is kept.
    expect(told.filter((each) => each instanceof BrokerError)).toHaveLength(44);
    expect(told.slice(6)).toEqual(fifty.slice(6).map(() => unreached));
    expect(rig.issuer.refreshes).toHaveLength(14);
    const refused: number[] = [];
    for (let again = 0; again < 2; again += 1) {
      await rig.clock.advance(1_000);
      const asked = ask(rig, fifty);
      await rig.clock.advance(9_500);
      refused.push((await asked.ended).filter((each) => each instanceof BrokerError).length);
    }
    expect(refused).toEqual([28, 0]);
    expect(rig.issuer.refreshes).toHaveLength(50);
    expect(rig.circuits.outages()).toEqual([]);
  });
});

describe('what is known of an issuer', () => {
  it('bounds a larger crowd to 32 at once', async () => {
    const crowd = profilesOf(300);
    const rig = await rigOf(crowd);
    const seen = answersAfter(rig, 50);
    const asked = ask(rig, crowd);
    await rig.clock.advance(800);
    expect([asked.done(), seen.most]).toEqual([300, 32]);
  });

  it.each([['no answer came for three seconds', 3_000, 1], ['an answer came a second ago', 1_000, 10]])('counts for as long as it is fresh: %s', async (_, pauseMs, more) => {
    const crowd = profilesOf(41);
    const rig = await rigOf(crowd);
    const { onRefresh } = (answersAfter(rig, 50), rig.issuer);
    // One of thirty is not answered, so that something stays on the wire.
    rig.issuer.onRefresh = (n) => (n === 1 ? swallows() : onRefresh(n));
    ask(rig, crowd.slice(0, 31));
    await rig.clock.advance(500);
    expect(rig.issuer.refreshes).toHaveLength(31);
    rig.issuer.onRefresh = swallows;
    await rig.clock.advance(pauseMs);
    ask(rig, crowd.slice(31));
    await settle();
    expect(rig.issuer.refreshes).toHaveLength(31 + more);
  });

  it('is forgotten when nothing is on the wire', async () => {
    const crowd = profilesOf(50);
    const rig = await rigOf(crowd);
    answersAfter(rig, 50);
    ask(rig, crowd.slice(0, 20));
    await rig.clock.advance(200);
    expect(rig.issuer.refreshes).toHaveLength(20);
    rig.issuer.onRefresh = swallows;
    ask(rig, crowd.slice(20));
    await settle();
    expect(rig.issuer.refreshes).toHaveLength(22);
  });

  it('is no more than was needed: answers to one at a time let nobody else go', async () => {
    const crowd = profilesOf(40);
    const rig = await rigOf(crowd);
    rig.issuer.onRefresh = swallows;
    ask(rig, crowd.slice(0, 1));
    await settle();
    rig.issuer.onRefresh = async () => good;
    for (const each of crowd.slice(1, 20)) expect(await rig.get(each)).toMatchObject({ source: 'refresh' });
    rig.issuer.onRefresh = swallows;
    ask(rig, crowd.slice(20));
    await settle();
    expect(rig.issuer.refreshes).toHaveLength(21);
  });

  it('is nothing any more when the machine wakes up', async () => {
    const crowd = profilesOf(60);
    const rig = await rigOf(crowd);
    const { onRefresh } = (answersAfter(rig, 50), rig.issuer);
    rig.issuer.onRefresh = (n) => (n === 1 ? swallows() : onRefresh(n));
    ask(rig, crowd.slice(0, 31));
    await rig.clock.advance(500);
    rig.issuer.onRefresh = swallows;
    await rig.clock.suspend(3_600_000);
    ask(rig, crowd.slice(31));
    await settle();
    expect(rig.issuer.refreshes).toHaveLength(32);
  });

  it('starts anew after it failed: it is found by a probe, and then two go', async () => {
    const crowd = profilesOf(50);
    const rig = await rigOf(crowd);
    rig.issuer.onRefresh = async () => failing({});
    rig.issuer.onProbe = async () => failing({});
    await ask(rig, crowd).ended;
    const before = rig.issuer.refreshes.length;
    rig.issuer.onProbe = async () => {
      await rig.clock.sleep(100, new AbortController().signal);
      return { kind: 'reached' };
    };
    rig.issuer.onRefresh = swallows;
    await rig.clock.advance(5_000);
    ask(rig, crowd);
    await rig.clock.advance(5_000);
    expect([rig.issuer.probes, rig.issuer.refreshes.length - before]).toEqual([1, 2]);
  });

  it('is not spoilt by what was sent before it was well again, and is given up a minute later', async () => {
    const crowd = profilesOf(4);
    const [a, b, c] = crowd;
    if (a === undefined || b === undefined || c === undefined) throw new Error('there are four');
    const rig = await rigOf(crowd);
    answersAfter(rig, 60_000, failing({ answerLost: true, cause: 'timeout', timedOut: true }));
    const lost = ask(rig, [a, b]);
    await rig.clock.advance(12_000);
    rig.issuer.onRefresh = async () => good;
    expect(await rig.get(c)).toMatchObject({ source: 'refresh' });
    await rig.clock.advance(50_000);
    expect(await lost.ended).toEqual([unreached, unreached]);
    expect(rig.book.get(a.name)?.state).toMatchObject({ kind: 'parked', reason: 'refresh_answer_lost' });
    expect(rig.circuits.outages()).toEqual([]);
  });

  it('is known of one issuer: another is asked while this one hangs', async () => {
    const [here, there] = [profilesOf(50), profilesOf(2, 'https://other.example')];
    const rig = await rigOf([...here, ...there]);
    rig.issuer.onRefresh = () => (rig.issuer.refreshes.at(-1)?.includes('-other-') === true ? Promise.resolve(good) : swallows());
    ask(rig, here);
    expect(await ask(rig, there).ended).toEqual(there.map(() => expect.objectContaining({ source: 'refresh' })));
  });

  it('leaves no timer behind, whether it was answered or given up', async () => {
    const crowd = profilesOf(50);
    const rig = await rigOf(crowd);
    const before = rig.clock.sleepers;
    answersAfter(rig, 50);
    ask(rig, crowd.slice(0, 25));
    await rig.clock.advance(250);
    expect(rig.clock.sleepers).toBe(before);
    rig.issuer.onRefresh = swallows;
    ask(rig, crowd);
    await settle();
    expect(rig.clock.sleepers).toBeGreaterThan(before);
    await rig.clock.advance(10_000);
    expect(rig.clock.sleepers).toBe(before);
  });
});

describe('a refresh that waits for its turn', () => {
  const crowd = profilesOf(5);
  const held = async (): Promise<EngineRig & { readonly answer: (outcome?: IssuerOutcome) => Promise<void>; readonly third: Profile }> => {
    const rig = await rigOf(crowd);
    const answers: ((outcome: IssuerOutcome) => void)[] = [];
    rig.issuer.onRefresh = () => new Promise((resolve) => answers.push(resolve));
    ask(rig, crowd.slice(0, 2));
    await settle();
    const [, , third] = crowd;
    if (third === undefined) throw new Error('there are five');
    return { ...rig, third, answer: async (outcome = good) => { answers.shift()?.(outcome); await settle(); } };
  };
  const sentAs = ({ name }: Profile): string => `rt-${name}-EXAMPLE`;

  it('goes on when its caller stops waiting, once', async () => {
    const { get, third, issuer, answer } = await held();
    const impatient = new AbortController();
    const waiting = expect(get(third, {}, impatient.signal)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    impatient.abort(new BrokerError('deadline_exceeded', 'the deadline passed'));
    await waiting;
    const other = get(third);
    await answer();
    await answer();
    await answer();
    expect(await other).toMatchObject({ source: 'refresh' });
    expect(issuer.refreshes.filter((sent) => sent === sentAs(third))).toHaveLength(1);
  });

  it.each([['vault_locked', 'a lock'], ['shutting_down', 'a stop']] as const)('ends with %s at %s, which waits only for what is on the wire', async (code, _) => {
    const { get, third, source, issuer, answer, vault } = await held();
    const waiting = expect(get(third)).rejects.toMatchObject({ code });
    let isSettled = false;
    const settled = source.settle(new BrokerError(code, 'nothing more is sent')).then(() => { isSettled = true; });
    await waiting;
    await settle();
    expect(isSettled).toBe(false);
    await answer();
    await answer();
    await settled;
    expect([issuer.refreshes.length, vault.steps.filter((step) => step === 'intent').length]).toEqual([2, 2]);
  });

  it('is not sent where the lock came before its turn', async () => {
    const { get, third, gate, issuer, answer } = await held();
    const waiting = expect(get(third)).rejects.toMatchObject({ code: 'vault_locked' });
    gate.isLocked = true;
    await answer();
    await waiting;
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('is not sent where a logout came before its turn', async () => {
    const { get, third, book, issuer, answer } = await held();
    const waiting = expect(get(third)).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'signed_out' } });
    await book.take(third.name, async () => undefined);
    await answer();
    await waiting;
    expect(issuer.refreshes).not.toContain(sentAs(third));
  });

  it('tells nothing of the issuer where it was overtaken', async () => {
    const rig = await rigOf(profilesOf(20));
    const answers: ((outcome: IssuerOutcome) => void)[] = [];
    rig.issuer.onRefresh = () => new Promise((resolve) => answers.push(resolve));
    ask(rig, profilesOf(20));
    await settle();
    for (const { name } of profilesOf(4).slice(2)) await rig.book.take(name, async () => undefined);
    answers.shift()?.(good);
    await settle();
    // Two more for the one answer, after the two that left again.
    expect(rig.issuer.refreshes).toEqual([0, 1, 4, 5].map((n) => `rt-issuer-${n}-EXAMPLE`));
  });

  it('is not sent where a new sign-in came before its turn, and whoever asked gets the token of that', async () => {
    const { get, third, book, issuer, answer } = await held();
    const waiting = get(third);
    await settle();
    await book.commit(stale(third, { generation: book.nextGeneration(third.name), state: { kind: 'active', refreshToken: new Secret('rt-new-EXAMPLE'), tokens: [someToken()] } }), null);
    await answer();
    expect(await waiting).toMatchObject({ grant: { generation: 2 } });
    expect(issuer.refreshes).toHaveLength(2);
  });
});

describe('a window', () => {
  it('lets nobody in whose wait is over before it began, and is empty when the last one leaves', async () => {
    let emptied = 0;
    const window = new Window(new FakeClock(), () => { emptied += 1; });
    const never = new AbortController().signal;
    await expect(window.enter(AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
    const turns = [await window.enter(never), await window.enter(never)];
    const late = new AbortController();
    const waiting = expect(window.enter(late.signal)).rejects.toThrow('late');
    const last = window.enter(never);
    late.abort(new Error('late'));
    await waiting;
    for (const turn of turns) turn.leave();
    for (const turn of turns) turn.leave(); // twice is once
    expect(emptied).toBe(0);
    (await last).leave();
    expect(emptied).toBe(1);
  });
});
