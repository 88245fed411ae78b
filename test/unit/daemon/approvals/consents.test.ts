import { beforeEach, describe, expect, it } from 'vitest';
import { Consents } from '../../../../daemon/approvals/consents.ts';
import type { Given, Wanted } from '../../../../daemon/approvals/consents.ts';
import type { ConsentKind } from '../../../../daemon/core/consents.ts';
import { profileName, scopes } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { FakeConsentStore } from '../../../support/fake-consents.ts';
import { LogSink } from '../../../support/fakes.ts';
import { someAsker } from '../../../support/parties.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const work = profileName('work');
const LEADER = { pid: 4900, startTime: '40' };

let clock: FakeClock;
let log: LogSink;
let store: FakeConsentStore;
let consents: Consents;
let dead: number[];
let kinds: Map<string, ConsentKind>;

/** Another daemon on the same disk; a clock of its own is one of another boot, or of another day. */
const start = (): Consents => (consents = new Consents({ clock, log, store, isRunning: ({ pid }) => !dead.includes(pid), kindOf: (name) => kinds.get(name) ?? null }));
async function restart(): Promise<void> {
  start();
  await consents.load();
}
/** The machine is off meanwhile, and its time of day goes on by so much. */
async function reboot(wallMs = 60_000): Promise<void> {
  clock = new FakeClock(clock.now() + wallMs);
  clock.bootId = 'boot-2';
  await restart();
}

beforeEach(() => {
  [clock, log, store, dead, kinds] = [new FakeClock(), new LogSink(), new FakeConsentStore(), [], new Map([['work', 'profile'], ['other', 'profile'], ['job', 'workload']])];
  start();
});

const given = (id: string, over: Partial<Given> = {}): Given => ({
  id, profile: work, resource: null, scopes: null, label: 'restic', program: 'restic-bytes', binding: 'program', holder: null, rule: 'asked-once', tier: 'normal',
  isStanding: false, isOnce: false, isOfBytes: true, givenBy: 'valetkey (pid 1)', lifeMs: 30 * DAY_MS, ...over,
});
const ofSession = (id: string, over: Partial<Given> = {}): Given => given(id, { binding: 'session', holder: LEADER, ...over });
const wanted = (over: Partial<Wanted> = {}): Wanted => ({
  asker: someAsker(), profile: work, resource: null, scopes: null, rule: 'asked-once', asking: { kind: 'for', ms: 30 * DAY_MS }, tier: 'normal', ...over,
});
const found = (over: Partial<Wanted> = {}): string | null => consents.find('restic-bytes', wanted(over));
const ids = (): readonly string[] => consents.list().map(({ id }) => id);
const onDisk = (): readonly string[] => store.kept?.consents.map(({ id }) => id) ?? [];

describe('a consent that is kept', () => {
  beforeEach(() => consents.load());

  it('[IP-10] holds as soon as it is given, and after a restart of the daemon, or of the machine', async () => {
    const kept = consents.add(given('a', { scopes: scopes('read write') }));
    expect(found({ scopes: scopes('write read') })).toBe('a');
    expect(await kept).toBe('reboot');
    await restart();
    expect(found({ scopes: scopes('read write') })).toBe('a');
    await reboot();
    expect(found({ scopes: scopes('read write') })).toBe('a');
    expect(consents.list()).toMatchObject([{ id: 'a', outlasts: 'reboot', label: 'restic', givenBy: 'valetkey (pid 1)' }]);
  });

  it('[IP-10] in a terminal outlasts the daemon and not the boot, whoever has its leader\'s number then', async () => {
    expect(await consents.add(ofSession('a'))).toBe('daemon');
    await restart();
    expect(found()).toBe('a');
    await reboot();
    expect([found(), ids()]).toEqual([null, []]);
  });

  it('[IP-10] in a terminal ends with it, also while no daemon runs', async () => {
    await consents.add(ofSession('a'));
    await consents.add(ofSession('b', { holder: { pid: 5, startTime: '5' } }));
    dead = [LEADER.pid];
    expect(ids()).toEqual(['b']);
    await restart();
    expect(ids()).toEqual(['b']);
    dead = [5];
    await restart();
    expect(ids()).toEqual([]);
  });

  it.each<[string, Partial<Given>]>([
    ['to each request', { isOnce: true, lifeMs: 120_000 }],
    ['to a program whose bytes nobody could read', { isOfBytes: false }],
    ['to a profile that is gone by then', { profile: profileName('gone') }],
  ])('is none that was given %s: that ends with the daemon', async (_what, over) => {
    expect(await consents.add(given('a', over))).toBeNull();
    expect([ids(), store.kept]).toEqual([['a'], null]);
    // Nor does it go along with one that is.
    await consents.add(given('b'));
    expect([ids(), onDisk()]).toEqual([['a', 'b'], ['b']]);
  });

  it('[WL-01] of a person\'s profile is none to the workload that took its name, and the reverse', async () => {
    await consents.add(given('a'));
    await consents.add(given('b', { profile: profileName('job') }));
    await consents.add(given('c', { profile: profileName('other') }));
    kinds = new Map([['work', 'workload'], ['job', 'profile'], ['other', 'profile']]);
    await restart();
    expect(ids()).toEqual(['c']);
  });

  it('[IP-10] without the PIN is none to what is privileged by now', async () => {
    await consents.add(given('a'));
    await consents.add(given('b', { tier: 'privileged', rule: 'proved' }));
    await restart();
    expect([found({ tier: 'privileged' }), found({ tier: 'privileged', rule: 'proved' }), found()]).toEqual([null, 'b', 'a']);
  });

  it('[GV-01] is measured by the rule as it is then', async () => {
    await consents.add(given('a'));
    await clock.advance(HOUR_MS);
    await restart();
    expect([found({ asking: { kind: 'for', ms: HOUR_MS } }), found({ asking: { kind: 'each' } }), found({ rule: 'other' }), found()]).toEqual([null, null, null, 'a']);
  });

  it('is one of 512 at most, the newest of them', async () => {
    for (let n = 0; n < 515; n += 1) await consents.add(given(`id-${n}`));
    await restart();
    expect([ids().length, ids()[0], ids().at(-1)]).toEqual([512, 'id-3', 'id-514']);
  });
});

describe('the time of a consent', () => {
  beforeEach(() => consents.load());

  it('[IP-10] goes on while no daemon runs and while the machine is off', async () => {
    await consents.add(given('a', { lifeMs: DAY_MS }));
    await clock.advance(DAY_MS - 1);
    await restart();
    expect(found()).toBe('a');
    await clock.advance(1);
    expect([found(), ids()]).toEqual([null, []]);
    await restart();
    expect(ids()).toEqual([]);
    await consents.add(given('b', { lifeMs: DAY_MS }));
    await reboot(DAY_MS);
    expect(ids()).toEqual([]);
  });

  it('[IP-10] is no longer for a clock that is set back by twelve hours, in the same boot', async () => {
    await consents.add(given('a', { lifeMs: DAY_MS }));
    await clock.advance(13 * HOUR_MS);
    clock.jump(-12 * HOUR_MS);
    await clock.advance(11 * HOUR_MS - 1);
    expect(found()).toBe('a');
    await restart();
    clock.jump(-12 * HOUR_MS);
    expect(found()).toBe('a');
    await clock.advance(1);
    expect(found()).toBeNull();
  });

  it('is shorter for one that is set ahead, as by a person who wants it to end', async () => {
    await consents.add(given('a', { lifeMs: HOUR_MS }));
    clock.jump(12 * HOUR_MS);
    expect([found(), ids()]).toEqual([null, []]);
  });

  it('[IP-10] is over where the clock tells, after a reboot, less than when the daemon wrote last', async () => {
    await consents.add(given('a'));
    await reboot(-12 * HOUR_MS);
    expect(ids()).toEqual([]);
    expect(log.lines).toContainEqual(expect.objectContaining({ event: 'consents_taken_up', fields: { held: 0, ended: 1 } }));
  });

  it('[IP-10] is told to the disk every hour, so that a clock which is set back by more is found out after a crash', async () => {
    const stop = new AbortController();
    void consents.tellTimeHourly(stop.signal);
    await consents.add(given('a'));
    await clock.advance(10 * DAY_MS);
    expect(store.kept?.consents).toMatchObject([{ ageMs: 10 * DAY_MS }]);
    stop.abort();
    await reboot(-2 * HOUR_MS);
    expect(ids()).toEqual([]);
  });

  it('is told at the end, with how old it is', async () => {
    await consents.add(given('a'));
    await clock.advance(DAY_MS);
    await consents.tellTime();
    expect(store.kept).toMatchObject({ at: { at: clock.now(), boot: { bootId: 'boot-1' } }, consents: [{ id: 'a', ageMs: DAY_MS }] });
    await reboot(0);
    expect(consents.list()).toMatchObject([{ leftMs: 29 * DAY_MS }]);
  });
});

describe('what is taken back', () => {
  beforeEach(async () => {
    await consents.load();
    for (const id of ['a', 'b']) await consents.add(given(id));
    await consents.add(given('c', { profile: profileName('other') }));
  });

  it('[IP-10] is gone at once, and from the disk when that is told', async () => {
    let release = (): void => undefined;
    store.until = new Promise<void>((resolve) => { release = resolve; });
    let isTold = false;
    const ended = consents.end(({ id }) => id === 'a').then(() => { isTold = true; });
    expect([found(), ids()]).toEqual(['b', ['b', 'c']]);
    await settle();
    expect([isTold, onDisk()]).toEqual([false, ['a', 'b', 'c']]);
    release();
    await ended;
    expect(onDisk()).toEqual(['b', 'c']);
    await consents.end(({ profile }) => profile === work);
    expect(onDisk()).toEqual(['c']);
    await consents.end(() => true);
    expect(store.kept).toBeNull();
  });

  it('[IP-10] is no longer on a disk that takes no other copy: then all of it goes, and what holds ends with the daemon', async () => {
    store.refuses = ['write'];
    await consents.end(({ id }) => id === 'a');
    expect([store.kept, consents.list().map(({ id, outlasts }) => [id, outlasts])]).toEqual([null, [['b', null], ['c', null]]]);
    expect(consents.warnings()).toEqual([expect.stringMatching(/^vault_unwritable: consents end with the daemon/)]);
    // Once there is room they are kept again.
    store.refuses = [];
    await consents.tellTime();
    expect([onDisk(), consents.warnings()]).toEqual([['b', 'c'], []]);
  });

  it('[IP-10] is not told as gone where the disk keeps it, and goes when it lets it', async () => {
    store.refuses = ['write', 'remove'];
    await expect(consents.end(({ id }) => id === 'a')).rejects.toMatchObject({ code: 'vault_unwritable', message: expect.stringMatching(/^consents have ended, and would be back after the next start.+disk is full$/) as string });
    expect([ids(), onDisk()]).toEqual([['b', 'c'], ['a', 'b', 'c']]);
    expect(log.lines).toContainEqual(expect.objectContaining({ level: 'error', event: 'consents_not_removed' }));
    store.refuses = [];
    await consents.end(() => false);
    expect(onDisk()).toEqual(['b', 'c']);
  });

  it('[IP-10] goes also where the disk broke off in the middle of keeping it, and nobody knows whether it did', async () => {
    store.refuses = ['write'];
    expect(await consents.add(given('d'))).toBeNull();
    // The rename was done, and what came after it failed.
    store.kept = store.kept === null ? null : { ...store.kept, consents: [...store.kept.consents, { ...given('d'), kind: 'profile', ageMs: 0 }] };
    store.refuses = [];
    await consents.end(({ id }) => id === 'd');
    expect(onDisk()).toEqual(['a', 'b', 'c']);
  });

  it('waits for no disk where it never was on one', async () => {
    await consents.add(given('once', { isOnce: true }));
    const before = store.steps.length;
    await consents.end(({ id }) => id === 'once');
    expect(store.steps.length).toBe(before);
  });
});

describe('what was kept by an earlier run', () => {
  beforeEach(async () => {
    await consents.load();
    await consents.add(given('a'));
    await consents.add(given('b', { profile: profileName('other') }));
    start();
  });

  it('[IP-10] does not come back after everything was ended before it was read, by a vault that is still locked', async () => {
    store.isLocked = true;
    await consents.end(() => true);
    expect(store.kept).toBeNull();
    store.isLocked = false;
    await consents.load();
    expect(ids()).toEqual([]);
  });

  it('[IP-10] does not come back after it was ended while it was read', async () => {
    let release = (): void => undefined;
    store.until = new Promise<void>((resolve) => { release = resolve; });
    const loaded = consents.load();
    await settle();
    const ended = consents.end(({ profile }) => profile === work);
    release();
    await Promise.all([loaded, ended]);
    expect([ids(), onDisk()]).toEqual([['b'], ['b']]);
  });

  it('is not written over by a consent that is given before it was read', async () => {
    await consents.add(given('new'));
    expect([ids(), onDisk()]).toEqual([['a', 'b', 'new'], ['a', 'b', 'new']]);
  });

  it('[IP-10] opens nothing where it cannot be read, and is said to be lost', async () => {
    for (const why of ['vault_corrupt', 'file_too_new', 'rolled_back'] as const) {
      store.lost = why;
      start();
      await consents.load();
      expect([ids(), consents.warnings()]).toEqual([[], [expect.stringMatching(new RegExp(`^${why}: the consents that were kept .+ is asked again$`))]]);
    }
    expect(log.lines.filter(({ event }) => event === 'consents_lost').map(({ fields }) => fields)).toEqual([{ code: 'vault_corrupt' }, { code: 'file_too_new' }, { code: 'rolled_back' }]);
  });

  it('of a newer version is left as it is, until something is kept or taken back', async () => {
    store.lost = 'file_too_new';
    await consents.load();
    await consents.tellTime();
    expect(store.steps.filter((step) => step === 'remove')).toEqual([]);
    await consents.end(({ profile }) => profile === work);
    expect(store.kept).toBeNull();
  });

  it('waits for a vault that is not open, and says nothing of it', async () => {
    store.isLocked = true;
    await consents.load();
    expect([ids(), consents.warnings()]).toEqual([[], []]);
    store.isLocked = false;
    await consents.load();
    expect(ids()).toEqual(['a', 'b']);
    // Those who ask later do not wait for the disk.
    const before = store.steps.length;
    await consents.load();
    expect(store.steps.length).toBe(before);
  });
});

describe('a vault in memory', () => {
  it('keeps nothing, until another takes its place', async () => {
    store.isLasting = false;
    await consents.load();
    expect(await consents.add(given('a'))).toBeNull();
    expect([consents.warnings(), store.kept]).toEqual([[], null]);
    store.isLasting = true;
    await consents.tellTime();
    expect(consents.list()).toMatchObject([{ id: 'a', outlasts: 'reboot' }]);
  });
});
