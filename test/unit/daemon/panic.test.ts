import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../daemon/core/errors.ts';
import type { LockoutMark, RevokeOutcome } from '../../../daemon/core/ports.ts';
import { Secret } from '../../../daemon/core/secret.ts';
import { Gate } from '../../../daemon/gate.ts';
import { Panic } from '../../../daemon/panic.ts';
import { createLockoutMark } from '../../../daemon/vault/lockout-mark.ts';
import type { EpochMs } from '../../../shared/names.ts';
import { profileName, someCaller, someGrant, someProfile, someServer, someToken, T0 } from '../../support/builders.ts';
import { engineRig } from '../../support/engine-rig.ts';
import type { EngineRig } from '../../support/engine-rig.ts';
import { fakeRandom, LogSink } from '../../support/fakes.ts';

const ISSUERS = ['https://one.example', 'https://two.example'];
const profiles = Array.from({ length: 30 }, (_, i) => someProfile({ name: profileName(`p${i}`), issuer: ISSUERS[i % 2] ?? '' }));
const grants = profiles.map(({ name, issuer }) => someGrant({
  profile: name, issuer, server: someServer({ issuer }),
  state: { kind: 'active', refreshToken: new Secret(`rt-${name}-EXAMPLE`), tokens: [someToken({ value: new Secret(`at-${name}-EXAMPLE`) })] },
}));
const HANGS = (): Promise<never> => new Promise(() => undefined);

let engine: EngineRig;
let gate: Gate;
let marks: string[];
let mark: LockoutMark;
let done: string[];

function makePanic(over: Partial<ConstructorParameters<typeof Panic>[0]> = {}): Panic {
  const { clock, log, vault, book, source, revocations, stop } = engine;
  return new Panic({
    gate, mark, clock, log, vault, book, source, revocations, signal: stop.signal,
    config: { current: () => ({ profiles: new Map(profiles.map((profile) => [profile.name, profile])) }) as never },
    logins: { abortAll: () => 2, stop: async () => undefined },
    load: () => book.load(),
    shutVault: async () => void done.push('shut'),
    forgetConsents: async () => void done.push('consents'),
    endWishes: () => done.push('wishes'),
    takeWorkloads: () => [],
    record: async () => void done.push('recorded'),
    ...over,
  });
}

beforeEach(async () => {
  engine = await engineRig(grants, profiles);
  gate = new Gate();
  marks = [];
  done = [];
  mark = {
    read: async () => null,
    write: async ({ isSwept }) => void marks.push(isSwept ? 'swept' : 'begun'),
    remove: async () => void marks.push('removed'),
  };
});
afterEach(() => engine.stop.abort());

/** Runs it to its end by the fake clock. */
async function toItsEnd<T>(running: Promise<T>): Promise<T> {
  await engine.clock.advance(5_000);
  return running;
}

describe('panic', () => {
  it('shuts the gate at once, and does nothing before the block is on the disk', async () => {
    let written: () => void = () => undefined;
    mark = { ...mark, write: () => new Promise((resolve) => { written = resolve; }) };
    const running = makePanic().run(someCaller());
    expect(gate.shut).toBe('panic');
    expect(done).toEqual(['consents', 'wishes']);
    await engine.clock.advance(500);
    expect([engine.vault.steps.includes('tombstone'), engine.issuer.revoked]).toEqual([false, []]);
    written();
    await engine.clock.advance(0);
    written();
    await toItsEnd(running);
    expect(engine.issuer.revoked).toHaveLength(60);
    expect(done).toEqual(['consents', 'wishes', 'recorded', 'shut']);
  });

  it('sends refresh tokens first, to all issuers beside each other, and six to each at most', async () => {
    const inFlight = new Map<string, number>();
    const seen = { most: 0, issuers: 0 };
    const answers: (() => void)[] = [];
    engine.issuer.revoke = async ({ server }, token) => {
      engine.issuer.revoked.push(token.reveal());
      inFlight.set(server.issuer, (inFlight.get(server.issuer) ?? 0) + 1);
      seen.most = Math.max(seen.most, ...inFlight.values());
      seen.issuers = Math.max(seen.issuers, [...inFlight.values()].filter((n) => n > 0).length);
      await new Promise<void>((resolve) => answers.push(resolve));
      inFlight.set(server.issuer, (inFlight.get(server.issuer) ?? 0) - 1);
      return { kind: 'revoked' };
    };
    const running = makePanic().run(someCaller());
    for (let round = 0; round < 30; round += 1) {
      await engine.clock.advance(0);
      for (const answer of answers.splice(0)) answer();
    }
    const { grants: ended } = await toItsEnd(running);
    expect(seen).toEqual({ most: 6, issuers: 2 });
    expect(engine.issuer.revoked.slice(0, 24).filter((token) => !token.startsWith('rt-'))).toEqual([]);
    expect(ended).toHaveLength(30);
    expect(ended.flatMap(({ revoked }) => revoked).filter(({ outcome }) => outcome !== 'revoked')).toEqual([]);
  });

  it('waits for no issuer that hangs: the other is done, its own are named as alive, and are tried again', async () => {
    let answer: (outcome: RevokeOutcome) => void = () => undefined;
    const late = new Promise<RevokeOutcome>((resolve) => { answer = resolve; });
    engine.issuer.revoke = async ({ server }) => (server.issuer === ISSUERS[0] ? late : { kind: 'revoked' });
    const { grants: ended, tookMs } = await toItsEnd(makePanic().run(someCaller()));
    expect(tookMs).toBeLessThanOrEqual(5_000);
    const outcomes = (issuer: string | undefined) => [...new Set(ended.filter((each) => each.issuer === issuer).flatMap(({ revoked }) => revoked.map(({ outcome }) => outcome)))];
    expect([outcomes(ISSUERS[0]), outcomes(ISSUERS[1])]).toEqual([['pending'], ['revoked']]);
    expect(engine.revocations.count).toBe(30);
    expect(engine.vault.kept.size).toBe(30);
    answer({ kind: 'revoked' });
    await engine.clock.advance(60_000);
    expect([engine.revocations.count, engine.vault.kept.size]).toEqual([0, 0]);
  });

  it('does not wait for a keychain that hangs, and ends what is in the vault as soon as it is read', async () => {
    const panic = makePanic({ vault: { unlock: HANGS } });
    const reply = await toItsEnd(panic.run(someCaller()));
    expect(reply).toMatchObject({ grants: [], notReached: 'vault_unavailable', notDurable: null, loginsEnded: 2 });
    expect(reply.tookMs).toBeLessThanOrEqual(5_000);
    expect(marks).toEqual(['begun']);
    expect(engine.book.list()).toHaveLength(30);
    await panic.endWhatWasLeft();
    expect(engine.book.list()).toEqual([]);
    expect(marks).toEqual(['begun', 'swept']);
    await engine.clock.advance(0);
    expect(engine.issuer.revoked).toHaveLength(60);
    // Once: what is signed in later is nobody's to end.
    await engine.book.commit(someGrant({ profile: profileName('new'), generation: 9 }), null);
    await panic.endWhatWasLeft();
    expect(engine.book.list()).toHaveLength(1);
  });

  it('a second time finds a vault that is closed, with nothing in it, and says so', async () => {
    let isClosed = false;
    const panic = makePanic({
      vault: { unlock: async () => {
        if (isClosed) throw new BrokerError('vault_locked', 'the vault opens with a passphrase');
      } },
    });
    expect(await toItsEnd(panic.run(someCaller()))).toMatchObject({ notReached: null, grants: expect.objectContaining({ length: 30 }) });
    isClosed = true;
    expect(await toItsEnd(panic.run(someCaller()))).toMatchObject({ notReached: null, grants: [] });
    // Of a vault that was never reached it says the other thing, as often as it is asked.
    const blind = makePanic({ vault: { unlock: async () => { throw new BrokerError('vault_locked', 'the vault opens with a passphrase'); } }, gate: new Gate() });
    for (let i = 0; i < 2; i += 1) expect(await toItsEnd(blind.run(someCaller()))).toMatchObject({ notReached: 'vault_locked' });
  });

  it('goes on where the disk refuses the block, says so, and writes it as soon as it can', async () => {
    let refuses = true;
    mark = {
      ...mark,
      write: async ({ isSwept }) => {
        if (refuses) throw new BrokerError('vault_unwritable', 'the disk is full');
        marks.push(isSwept ? 'swept' : 'begun');
      },
    };
    expect(await toItsEnd(makePanic().run(someCaller()))).toMatchObject({ notDurable: 'vault_unwritable', notReached: null });
    expect(engine.issuer.revoked).toHaveLength(60);
    refuses = false;
    await engine.clock.advance(5_000);
    expect(marks).toEqual(['swept']);
  });

  it('leaves to be ended what the disk keeps, and lets nobody in before', async () => {
    engine.vault.failOn = 'remove';
    const panic = makePanic();
    expect(await toItsEnd(panic.run(someCaller()))).toMatchObject({ notReached: 'vault_unwritable', grants: expect.objectContaining({ length: 30 }) });
    expect(marks).toEqual(['begun']);
    engine.book.forget();
    await engine.book.load();
    await expect(panic.endWhatWasLeft()).rejects.toMatchObject({ code: 'vault_unwritable' });
    engine.vault.failOn = null;
    engine.book.forget();
    await engine.book.load();
    await panic.endWhatWasLeft();
    expect(marks).toEqual(['begun', 'swept']);
  });
});

describe('the mark of a panic', () => {
  let stateDir: string;
  const store = () => createLockoutMark({ stateDir, clock: engine.clock, random: fakeRandom(), log: new LogSink() });
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'vk-mark-'));
  });
  afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

  it('is what was written, until it is removed', async () => {
    expect(await store().read()).toBeNull();
    await store().write({ at: T0, isSwept: false });
    expect(await store().read()).toEqual({ at: T0, isSwept: false });
    expect(JSON.parse(readFileSync(join(stateDir, 'lockout.json'), 'utf8'))).toEqual({ v: 1, at: T0, swept: false });
    await store().remove();
    await store().remove();
    expect(await store().read()).toBeNull();
  });

  it.each(['', '{', '[]', 'null', '{"v":1}', '{"v":1,"at":"1","swept":true}', '{"v":0,"at":1,"swept":true}'])('blocks, with everything still to be ended, where it reads %s', async (text) => {
    writeFileSync(join(stateDir, 'lockout.json'), text, { mode: 0o600 });
    expect(await store().read()).toEqual({ at: engine.clock.now(), isSwept: false });
  });

  it('of a newer version is not guessed at', async () => {
    writeFileSync(join(stateDir, 'lockout.json'), '{"v":2,"at":1,"swept":true}', { mode: 0o600 });
    await expect(store().read()).rejects.toMatchObject({ code: 'file_too_new' });
  });

  it('is in force from the start', async () => {
    const panic = makePanic({ mark: { ...mark, read: async () => ({ at: (T0 - 1) as EpochMs, isSwept: true }) } });
    await panic.takeUp();
    expect([gate.shut, gate.lockedOutSince]).toEqual(['panic', T0 - 1]);
    await panic.endWhatWasLeft();
    expect(engine.book.list()).toHaveLength(30);
    expect(await panic.lift()).toBe(true);
    expect([gate.shut, marks]).toEqual([null, ['removed']]);
    expect(await panic.lift()).toBe(false);
  });
});
