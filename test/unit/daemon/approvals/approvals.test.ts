import { beforeEach, describe, expect, it } from 'vitest';
import { Approvals } from '../../../../daemon/approvals/approvals.ts';
import type { Question } from '../../../../daemon/approvals/approvals.ts';
import { programLabel } from '../../../../daemon/approvals/consent-key.ts';
import type { Caller } from '../../../../daemon/core/domain.ts';
import { profileName, scopes } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { FakeConsentStore } from '../../../support/fake-consents.ts';
import { LogSink } from '../../../support/fakes.ts';
import { someApprover, someAsker } from '../../../support/parties.ts';

const WAIT_MS = 30_000;
const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

let clock: FakeClock;
let digests: Map<string, string>;
let asked: string[];
let ended: string[];
let approvals: Approvals;

beforeEach(() => {
  clock = new FakeClock();
  digests = new Map();
  asked = [];
  ended = [];
  let ids = 0;
  approvals = new Approvals({
    clock, log: new LogSink(), random: { token: () => `id-${(ids += 1)}` },
    bytesOf: async (asker) => ({ key: digests.get(asker.origin.program.executable ?? '') ?? '', isOfFiles: true }), store: new FakeConsentStore(), isRunning: () => true, kindOf: () => 'profile',
    onAsked: ({ id }) => void asked.push(id),
    onEnded: ({ id }) => void ended.push(id),
  });
});

const question = (over: Partial<Question> = {}): Question => ({
  asker: someAsker(), profile: profileName('work'), resource: null, scopes: null, rule: 'agents', asking: { kind: 'for', ms: HOUR_MS }, tier: 'normal', use: 'token', claimed: null, ...over,
});
const admit = (over: Partial<Question> = {}, waitMs = WAIT_MS): Promise<unknown> => approvals.admit(question(over), waitMs, never).then(() => 'yes', (cause: unknown) => (cause as { code?: string }).code);
const approver = (): Caller => someApprover();
describe('[IP-10] a yes to what an API answers', () => {
  it('is none to the token', async () => {
    const first = admit({ use: 'fetch' });
    await approve('id-1');
    expect(await first).toBe('yes');
    expect(await admit({ use: 'fetch' })).toBe('yes');
    const second = admit();
    await settle();
    expect(asked).toEqual(['id-1', 'id-2']);
    expect(approvals.consents.list().map(({ label }) => label)).toEqual([expect.stringMatching(/, without the token$/)]);
    approvals.answer('id-2', approver(), { allow: false });
    expect(await second).toBe('approval_denied');
    expect(await admit({ use: 'fetch' })).toBe('yes');
  });

  it('is in a yes to the token', async () => {
    const first = admit();
    await approve('id-1');
    expect(await first).toBe('yes');
    expect(await admit({ use: 'fetch' })).toBe('yes');
    expect(asked).toEqual(['id-1']);
  });

  it('is asked for apart, and a no to it is none to the token', async () => {
    const first = admit({ use: 'fetch' });
    await settle();
    approvals.answer('id-1', approver(), { allow: false });
    expect(await first).toBe('approval_denied');
    const second = admit();
    await approve('id-2');
    expect(await second).toBe('yes');
  });
});

async function approve(id: string, over: object = {}): Promise<void> {
  await settle();
  approvals.answer(id, approver(), { allow: true, binding: 'session', ms: null, ...over });
}

describe('a no', () => {
  it('[IP-10] holds a minute whatever bytes ask next, so that an edit or another process gets nobody tired', async () => {
    const first = admit();
    await settle();
    approvals.answer('id-1', approver(), { allow: false });
    expect(await first).toBe('approval_denied');
    digests.set('/usr/bin/curl', 'other bytes');
    expect(await admit()).toBe('approval_denied');
    expect(asked).toEqual(['id-1']);
    await clock.advance(61_000);
    void admit();
    await settle();
    expect(asked).toEqual(['id-1', 'id-2']);
  });

  it('is to no more than eight questions of one program, whatever bytes it has', async () => {
    for (let n = 0; n < 12; n += 1) {
      digests.set('/usr/bin/curl', `bytes ${n}`);
      void admit();
      await settle();
    }
    expect(asked).toHaveLength(8);
  });
});

describe('the id of a question', () => {
  it('is none that a command line takes for an option', async () => {
    approvals = new Approvals({ clock, log: new LogSink(), random: { token: () => '-RnHbBl4' }, bytesOf: async () => ({ key: '', isOfFiles: true }), store: new FakeConsentStore(), isRunning: () => true, kindOf: () => 'profile', onAsked: ({ id }) => void asked.push(id), onEnded: () => undefined });
    void admit();
    await settle();
    expect(asked).toEqual(['ARnHbBl4']);
  });
});

describe('a question', () => {
  it('[IP-10] is one for five hundred requests of the same thing, and one answer serves them all', async () => {
    const all = Promise.all(Array.from({ length: 500 }, () => admit()));
    await settle();
    expect([asked, approvals.pending().length]).toEqual([['id-1'], 1]);
    await approve('id-1');
    expect(new Set(await all)).toEqual(new Set(['yes']));
    expect(await admit()).toBe('yes');
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['another profile', { profile: profileName('prod') }],
    ['another resource', { resource: 'https://api.example' }],
    ['other scopes', { scopes: scopes('admin') }],
    ['another program', { asker: someAsker({}, { program: { executable: '/usr/bin/wget', script: null } }) }],
    ['another script of the same interpreter', { asker: someAsker({}, { program: { executable: '/usr/bin/curl', script: '/tmp/x.py' } }) }],
    ['another agent', { asker: someAsker({}, { agent: 'codex' }) }],
    ['another terminal session', { asker: someAsker({}, { sessionLeader: { pid: 1, startTime: '1' } }) }],
  ])('is another one for %s', async (_what, over) => {
    void admit();
    await approve('id-1');
    void admit(over);
    await settle();
    expect(asked).toEqual(['id-1', 'id-2']);
  });

  it('is told as open where nobody answers in time, and an answer that comes later is for who asks again', async () => {
    const first = admit();
    await settle();
    await clock.advance(WAIT_MS);
    expect(await first).toBe('approval_required');
    await approve('id-1');
    expect(await admit()).toBe('yes');
    expect(asked).toHaveLength(1);
  });

  it('says that it ended, however it did', async () => {
    for (const profile of ['a', 'b', 'c']) void admit({ profile: profileName(profile) });
    await approve('id-1');
    approvals.answer('id-2', question().asker, { allow: false });
    void approvals.forget(null);
    void admit({ profile: profileName('d') });
    await settle();
    await clock.advance(300_000);
    approvals.pending();
    expect(ended).toEqual(['id-1', 'id-2', 'id-3', 'id-4']);
  });

  it('ends after five minutes, and may be asked anew', async () => {
    void admit({}, 1);
    await settle();
    await clock.advance(300_000);
    expect(approvals.pending()).toEqual([]);
    expect(() => approvals.answer('id-1', approver(), { allow: true, binding: 'session', ms: null })).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('that was refused is refused for a minute, without asking anybody', async () => {
    const first = admit();
    await settle();
    approvals.answer('id-1', approver(), { allow: false });
    expect([await first, await admit(), asked.length]).toEqual(['approval_denied', 'approval_denied', 1]);
    await clock.advance(60_000);
    void admit();
    await settle();
    expect(asked).toHaveLength(2);
  });

  it('[IP-10] may be refused by anybody, and approved by nobody whom the asker could be', async () => {
    const first = admit();
    await settle();
    expect(() => approvals.answer('id-1', question().asker, { allow: true, binding: 'session', ms: null })).toThrow(expect.objectContaining({ code: 'approval_refused' }));
    expect(approvals.pending()).toHaveLength(1);
    approvals.answer('id-1', question().asker, { allow: false });
    expect(await first).toBe('approval_denied');
  });

  it('that nobody waits for any more frees nothing but its waiter', async () => {
    const gone = new AbortController();
    const waiting = approvals.admit(question(), WAIT_MS, gone.signal);
    await settle();
    gone.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    expect(approvals.pending()).toHaveLength(1);
  });

  it('is not put where too many are open: eight of a program, 64 in all', async () => {
    for (let i = 0; i < 8; i += 1) void admit({ profile: profileName(`p${i}`) });
    await settle();
    expect(await admit({ profile: profileName('one-more') })).toBe('approval_required');
    for (let program = 0; program < 7; program += 1) {
      for (let i = 0; i < 8; i += 1) void admit({ profile: profileName(`p${i}`), asker: someAsker({}, { program: { executable: `/bin/p${program}`, script: null } }) });
    }
    await settle();
    expect(approvals.pending()).toHaveLength(64);
    expect(await admit({ asker: someAsker({}, { program: { executable: '/bin/last', script: null } }) })).toBe('approval_required');
  });
});

describe('the name of who asks', () => {
  it('is that of the program that people think of', () => {
    const labelled = (program: { executable: string | null; script: string | null }): string => programLabel(someAsker({ label: 'valetkey (pid 5100)' }, { program }));
    expect(labelled({ executable: '/usr/bin/curl', script: null })).toBe('curl (pid 5100)');
    expect(labelled({ executable: '/usr/bin/node', script: '/opt/claude-code/cli.js' })).toBe('claude-code/cli.js (pid 5100)');
    expect(labelled({ executable: '/tmp/a\u001b[31mb', script: null })).not.toContain('\u001b');
    expect(labelled({ executable: null, script: null })).toBe('valetkey (pid 5100)');
  });
});

describe('a consent beforehand', () => {
  const CURL = { executable: '/usr/bin/curl', script: null, digest: 'aaaa' };
  const wish = { profile: profileName('work'), resource: null, scopes: null };
  const workload = (origin: object = {}) => ({ asker: someAsker({}, { class: 'workload', agent: null, agentProcess: null, ...origin }) });

  beforeEach(() => void digests.set('/usr/bin/curl', 'aaaa'));

  it('[IP-10] is of this file for this wish, wherever it runs, and asks nobody', async () => {
    approvals.grant(CURL, wish, 'valetkey (pid 1)', null);
    expect([await admit(workload()), await admit(workload({ sessionLeader: null })), asked]).toEqual(['yes', 'yes', []]);
    expect(approvals.consents.list()).toMatchObject([{ label: '/usr/bin/curl', binding: 'program', rule: 'any' }]);
  });

  it.each([
    ['its bytes changed', () => { digests.set('/usr/bin/curl', 'bbbb'); return workload(); }],
    ['it runs a script', () => workload({ program: { executable: '/usr/bin/curl', script: '/tmp/x' } })],
    ['an agent runs it', () => ({})],
    ['it wants another profile', () => ({ ...workload(), profile: profileName('prod') })],
    ['it wants other scopes', () => ({ ...workload(), scopes: scopes('admin') })],
    ['it is privileged', () => ({ ...workload(), tier: 'privileged' as const })],
    ['the rule asks each time', () => ({ ...workload(), asking: { kind: 'each' as const } })],
  ])('[IP-10] is none where %s', async (_what, over) => {
    approvals.grant(CURL, wish, 'valetkey (pid 1)', null);
    void admit(over());
    await settle();
    expect(asked).toHaveLength(1);
  });

  it('holds as long as was said, at most a month, and no longer than the rule lets a yes hold', async () => {
    approvals.grant(CURL, wish, 'valetkey (pid 1)', 90 * 24 * HOUR_MS);
    expect(await admit(workload())).toBe('yes');
    await clock.advance(HOUR_MS);
    void admit(workload());
    await settle();
    expect(asked).toHaveLength(1);
    expect(await admit({ ...workload(), asking: { kind: 'for', ms: 30 * 24 * HOUR_MS }, rule: 'once' })).toBe('yes');
    await clock.advance(30 * 24 * HOUR_MS);
    expect(approvals.consents.list()).toEqual([]);
  });
});

describe('all consents', () => {
  it('are taken back together, and what is asked stays asked', async () => {
    for (const profile of ['a', 'b', 'c']) void admit({ profile: profileName(profile) });
    await approve('id-1');
    await approve('id-2');
    expect(approvals.consents.list().map(({ id }) => id)).toEqual(['id-1', 'id-2']);
    await approvals.consents.end(() => true);
    expect([approvals.consents.list(), approvals.pending().length]).toEqual([[], 1]);
  });
});

describe('a consent', () => {
  it('ends by time: at the latest when the rule says so', async () => {
    void admit();
    await approve('id-1', { ms: 10 * HOUR_MS });
    await clock.advance(HOUR_MS - 1);
    expect(await admit()).toBe('yes');
    await clock.advance(1);
    expect(approvals.consents.list()).toEqual([]);
    void admit();
    await settle();
    expect(asked).toHaveLength(2);
  });

  it('[IP-10] ends with the bytes of the program', async () => {
    digests.set('/usr/bin/curl', 'aaaa');
    void admit();
    await approve('id-1', { binding: 'program' });
    expect(await admit()).toBe('yes');
    digests.set('/usr/bin/curl', 'bbbb');
    void admit();
    await settle();
    expect(asked).toHaveLength(2);
  });

  it('may be of the program wherever it runs, or of one run of the agent alone', async () => {
    const elsewhere = { asker: someAsker({}, { sessionLeader: { pid: 9, startTime: '9' }, agentProcess: { pid: 8, startTime: '8' } }) };
    void admit();
    await approve('id-1', { binding: 'program' });
    expect(await admit(elsewhere)).toBe('yes');
    void approvals.forget(null);
    void admit();
    await approve('id-2', { binding: 'run' });
    expect(await admit({ asker: someAsker({ pid: 5200, startTime: '400' }) })).toBe('yes');
    void admit(elsewhere);
    await settle();
    expect(asked).toHaveLength(3);
  });

  it('[GV-01] is not enough for another rule, nor where the rule asks more often by now', async () => {
    void admit();
    await approve('id-1');
    void admit({ rule: 'stricter' });
    await settle();
    expect(asked).toHaveLength(2);
    void admit({ asking: { kind: 'each' } });
    await settle();
    expect(asked).toHaveLength(3);
    await clock.advance(60_000);
    expect(await admit()).toBe('yes');
    void admit({ asking: { kind: 'for', ms: 60_000 } });
    await settle();
    expect(await admit({ asking: { kind: 'for', ms: 61_000 } })).toBe('yes');
    expect(asked).toHaveLength(4);
  });

  it('to each request is used up by it, and serves all who waited', async () => {
    const each = { asking: { kind: 'each' } } as const;
    const two = Promise.all([admit(each), admit(each)]);
    await approve('id-1');
    expect(await two).toEqual(['yes', 'yes']);
    void admit(each);
    await settle();
    expect(asked).toHaveLength(2);
    // Nobody waits when the answer comes: it is for one request of the next two minutes.
    await clock.advance(WAIT_MS);
    await approve('id-2');
    expect(await admit(each)).toBe('yes');
    void admit(each);
    await settle();
    expect(asked).toHaveLength(3);
  });

  it('is taken back by its id, and with a profile or with all', async () => {
    for (const name of ['a', 'b', 'c']) {
      void admit({ profile: profileName(name) });
    }
    await settle();
    for (const { id } of approvals.pending()) await approve(id);
    expect(approvals.consents.list().map(({ profile }) => profile)).toEqual(['a', 'b', 'c']);
    await approvals.consents.end(({ id }) => id === 'id-1');
    expect([approvals.consents.has('id-1'), approvals.consents.has('id-2')]).toEqual([false, true]);
    await approvals.forget(profileName('b'));
    expect(approvals.consents.list().map(({ profile }) => profile)).toEqual(['c']);
    const waiting = admit({ profile: profileName('d') });
    await settle();
    void approvals.forget(null);
    expect([await waiting, approvals.consents.list()]).toEqual(['approval_denied', []]);
  });
});
