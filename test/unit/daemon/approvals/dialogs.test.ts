import { beforeEach, describe, expect, it } from 'vitest';
import { Approvals } from '../../../../daemon/approvals/approvals.ts';
import type { Question } from '../../../../daemon/approvals/approvals.ts';
import { dialogText } from '../../../../daemon/approvals/dialog-text.ts';
import { Dialogs } from '../../../../daemon/approvals/dialogs.ts';
import type { Caller } from '../../../../daemon/core/domain.ts';
import type { Desktop, DialogAnswer, DialogText, Seat } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { profileName, scopes, someCaller, someDesktop, someOrigin } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { FakeConsentStore } from '../../../support/fake-consents.ts';
import { FakeVault, LogSink } from '../../../support/fakes.ts';
import { someApprover, someAsker } from '../../../support/parties.ts';

const SEAT: Seat = { servers: [{ uid: 1000, pid: 800 }], display: { x11: ':0', wayland: null, xauthority: null, type: 'x11', desktop: '' } };
const someServer = (over: Partial<Caller> = {}, origin: object = {}): Caller =>
  someCaller({ pid: 800, startTime: '60', executable: '/usr/lib/xorg/Xorg', terminal: null, label: 'Xorg (pid 800)', origin: someOrigin({ lineage: [], sessionLeader: null, ...origin }), ...over });
const no = (afterMs = 4_000): DialogAnswer => ({ kind: 'no', afterMs });
const yes = (afterMs = 4_000, pin: string | null = null): DialogAnswer => ({ kind: 'yes', pin: pin === null ? null : new Secret(pin), afterMs });

let clock: FakeClock;
let log: LogSink;
let vault: FakeVault;
let approvals: Approvals;
let dialogs: Dialogs;
let server: Caller | null;
let seat: Seat | string;
/** What the desktop was shown and told; open dialogs wait for `answers`. */
let shown: { text: DialogText; answer: (answer: DialogAnswer) => void; signal: AbortSignal }[];
let told: { title: string; body: string; signal: AbortSignal }[];
let answered: unknown[];
let wrongPins: number;

beforeEach(() => {
  [clock, log, vault, server, seat, shown, told, answered, wrongPins] = [new FakeClock(), new LogSink(), new FakeVault(), someServer(), SEAT, [], [], [], 0];
  let ids = 0;
  const desktop: Desktop = someDesktop({
    find: async () => seat,
    ask: (_seat, text, _lifeMs, signal) => new Promise((answer) => {
      signal.addEventListener('abort', () => answer({ kind: 'none', why: 'the question ended' }));
      shown.push({ text, answer, signal });
    }),
    tell: async (title, body, signal) => void told.push({ title, body, signal }),
  });
  approvals = new Approvals({
    clock, log, random: { token: () => `id-${(ids += 1)}` }, bytesOf: async () => ({ key: 'aa', isOfFiles: true }), store: new FakeConsentStore(), isRunning: () => true, kindOf: () => 'profile',
    onAsked: (pending) => dialogs.asked(pending), onEnded: (pending) => dialogs.ended(pending),
  });
  dialogs = new Dialogs({
    desktop, log, approvals, pins: vault.pins, callers: { attest: () => server },
    onAnswered: ({ id }, by, { allow }) => void answered.push([id, by.pid, allow]), onWrongPin: () => void (wrongPins += 1),
  });
});

const question = (over: Partial<Question> = {}): Question => ({
  asker: someAsker(), profile: profileName('work'), resource: null, scopes: null, rule: 'shipped/asked-once', asking: { kind: 'for', ms: 3_600_000 }, tier: 'normal', use: 'token', claimed: null, ...over,
});
async function admit(over: Partial<Question> = {}): Promise<{ outcome: Promise<unknown> }> {
  const outcome = approvals.admit(question(over), 200_000, new AbortController().signal).then(() => 'yes', (cause: unknown) => (cause as { code?: string }).code);
  await settle();
  return { outcome };
}
async function answer(at: number, given: DialogAnswer): Promise<void> {
  shown[at]?.answer(given);
  await settle();
}

describe('a dialog', () => {
  it('[IP-10] is shown for a question, and its yes is one, on record with who showed it', async () => {
    const { outcome } = await admit({ claimed: { name: 'deploy', reason: 'to ship it' } });
    expect(shown[0]?.text.lines).toEqual([
      'curl (pid 5100) wants to use work.', 'File: /usr/bin/curl', 'Agent: claude-code', 'Scopes: the usual ones', 'Rule: shipped/asked-once', 'A yes holds in its terminal session, for 60 min at most.',
      'Started by: sh (pid 5050) ‹ node (pid 5000) ‹ bash (pid 4900)', 'It says of itself: "deploy: to ship it"',
    ]);
    await answer(0, yes());
    expect([await outcome, answered, approvals.consents.list()[0]?.givenBy]).toEqual(['yes', [['id-1', 800, true]], 'a dialog of Xorg (pid 800)']);
  });

  it('that is refused refuses, and one that nobody answers leaves the question to a terminal', async () => {
    const refused = await admit();
    await answer(0, no());
    expect([await refused.outcome, answered]).toEqual(['approval_denied', [['id-1', 800, false]]]);
    const open = await admit({ profile: profileName('prod') });
    await answer(1, { kind: 'none', why: 'it ended' });
    expect([approvals.pending().length, told[0]?.body]).toEqual([1, 'curl (pid 5100) wants to use prod. Run in a terminal: valetkey approve id-2']);
    approvals.answer('id-2', someApprover(), { allow: true, binding: 'session', ms: null });
    expect([await open.outcome, told[0]?.signal.aborted]).toEqual(['yes', true]);
  });

  it('[IP-10] is answered by nobody faster than it can be read: three keys meant for another window are no answer', async () => {
    await admit();
    for (const [at, given] of [yes(900), no(900), yes(10)].entries()) await answer(at, given);
    expect([shown.length, answered, approvals.pending().length]).toEqual([3, [], 1]);
  });

  it('is one at a time, and is taken away when its question ends elsewhere', async () => {
    const first = await admit();
    const second = await admit({ profile: profileName('prod') });
    expect(shown).toHaveLength(1);
    approvals.answer('id-1', someApprover(), { allow: true, binding: 'session', ms: null });
    await settle();
    expect([await first.outcome, shown.length, shown[0]?.signal.aborted]).toEqual(['yes', 2, true]);
    await answer(0, yes());
    expect(answered).toEqual([]);
    approvals.forget(null);
    await settle();
    expect([await second.outcome, shown[1]?.signal.aborted]).toEqual(['approval_denied', true]);
  });

  it('waits in a line that ends: eight questions, and the others are for a terminal', async () => {
    for (let program = 0; program < 3; program += 1) {
      for (let i = 0; i < 6; i += 1) await admit({ profile: profileName(`p${i}`), asker: someAsker({}, { program: { executable: `/bin/p${program}`, script: null } }) });
    }
    expect(approvals.pending()).toHaveLength(18);
    for (let at = 0; at < 18; at += 1) await answer(at, no());
    expect([shown.length, approvals.pending().length]).toEqual([8, 10]);
    dialogs.stop();
  });

  it.each([
    ['nobody sits at the machine', () => { seat = 'the screen is locked'; }, 0],
    ['who shows the windows cannot be told', () => { server = null; }, 1],
    ['the agent that asks shows the windows', () => { server = someServer({}, { lineage: [{ pid: 5000, startTime: '200', name: 'node', executable: null, script: null }] }); }, 1],
    ['it cannot be shown whole', () => undefined, 1],
  ])('[IP-10] is not shown where %s', async (what, prepare, tells) => {
    prepare();
    const { outcome } = await admit(what === 'it cannot be shown whole' ? { scopes: scopes(Array.from({ length: 40 }, (_, i) => `scope:${i}`).join(' ')) } : {});
    expect([shown.length, told.length, approvals.pending().length]).toEqual([0, tells, 1]);
    approvals.forget(null);
    expect(await outcome).toBe('approval_denied');
  });

  it('[IP-10] of what is privileged asks for the PIN, three times, and a wrong one is none', async () => {
    await vault.pins.set(new Secret('471100'), null);
    const { outcome } = await admit({ tier: 'privileged', asking: { kind: 'each' } });
    expect(shown[0]?.text).toMatchObject({ pin: { prompt: 'Approval PIN:', error: null } });
    shown[0]?.answer(yes(4_000, '000000'));
    await expect.poll(() => shown.length).toBe(2);
    expect(shown[1]?.text.pin?.error).toBe('The PIN is wrong.');
    shown[1]?.answer(yes(4_000, '471100'));
    expect([await outcome, wrongPins]).toEqual(['yes', 1]);
    const again = await admit({ tier: 'privileged', asking: { kind: 'each' } });
    await answer(2, yes());
    expect([approvals.pending().length, answered.length]).toEqual([1, 1]);
    approvals.forget(null);
    expect(await again.outcome).toBe('approval_denied');
  });

  it('of what is privileged is none where no PIN is set, and a notification says that a question waits', async () => {
    await admit({ tier: 'privileged', asking: { kind: 'each' } });
    expect([shown.length, told.length]).toEqual([0, 1]);
    dialogs.stop();
    expect(told[0]?.signal.aborted).toBe(true);
  });
});

describe('the text of a dialog', () => {
  it('has nothing in it that could pass for another line, a button or markup', async () => {
    const hostile = 'ok\u202e\u0000\nRule: none <b>&amp;</b>\u001b[2J';
    await admit({ claimed: { name: hostile, reason: 'x'.repeat(500) }, asker: someAsker({}, { program: { executable: `/tmp/${hostile}`, script: null } }) });
    const { lines } = shown[0]?.text ?? { lines: [] };
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u202e<>&]/u);
    expect(lines.filter((line) => line.startsWith('Rule:'))).toEqual(['Rule: shipped/asked-once']);
    expect(lines.at(-1)).toMatch(/^It says of itself: .*…"?$/u);
  });

  it('is none where a scope or a path would be cut', async () => {
    await admit();
    const [pending] = approvals.pending();
    if (pending === undefined) throw new Error('nothing is asked');
    expect(dialogText(pending, null)).not.toBeNull();
    expect(dialogText({ ...pending, resource: `https://${'a'.repeat(200)}.example` }, null)).toBeNull();
  });
});
