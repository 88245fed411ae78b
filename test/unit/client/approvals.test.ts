import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { ActiveApproval, ApprovalChannels, PendingApproval } from '../../../shared/approval-schemas.ts';
import { NOW, run } from './fake-world.ts';

const pending: PendingApproval = {
  id: 'k3Jd9sQx', profile: 'work', resource: null, scopes: null, caller: 'curl (pid 5100)', executable: '/usr/bin/curl', script: null, agent: 'claude-code',
  lineage: ['sh (pid 5050)', 'node (pid 5000)'], claimed: { name: 'deploy', reason: 'to ship it' }, use: 'token', rule: 'agents', may_hold_s: 3_600, pin_needed: false, asked_at: NOW - 10, expires_at: NOW + 290,
};
const active: ActiveApproval = {
  id: 'zz19', profile: 'prod', resource: 'https://api.example', scopes: ['read', 'write'], caller: 'terraform (pid 1)', binding: 'program', rule: 'high', given_by: 'valetkey (pid 2)', expires_at: NOW + 3_000, outlasts: 'reboot',
};
const channels: ApprovalChannels = { terminal: null, dialog: null, no_dialog_because: 'the screen is locked', notifications: false, pin: 'set' };
const api = { approvals: () => ({ pending: [pending], active: [active], channels }), answerApproval: () => ({ ok: true, outlasts: 'daemon' } as const), revokeApproval: () => ({ ok: true } as const) };

describe('approvals', () => {
  it('shows who asks, above what, for what, what it claims, and how to answer; then what was agreed to', async () => {
    const { stdout, exit } = await run(['approvals'], { api });
    expect(exit).toBe(0);
    expect(stdout).toContain('Program      curl (pid 5100)\nFile         /usr/bin/curl\nAgent        claude-code\nStarted by   sh (pid 5050) < node (pid 5000)\nWants        work: its usual scopes\nSays         deploy: to ship it\n');
    expect(stdout).toContain('A yes holds  at most 60 min\nAsked        10 s ago, open for 5 min\n');
    expect(stdout).toContain('valetkey approve k3Jd9sQx');
    const elsewhere = { approvals: () => ({ pending: [pending], active: [], channels: { ...channels, terminal: 'was started by codex' } }) };
    expect((await run(['approvals'], { api: elsewhere })).stderr).toContain('A yes is not taken from here: this process was started by codex.');
    expect(stdout).toMatch(/zz19 +terraform \(pid 1\) +prod: read write for https:\/\/api\.example +this program, wherever it runs +in 50 min +a reboot/);
    const ending = { approvals: () => ({ pending: [], active: [{ ...active, outlasts: null }, { ...active, outlasts: 'daemon' as const }], channels }) };
    expect((await run(['approvals', '--active'], { api: ending })).stdout).toMatch(/OUTLASTS\n.+in 50 min +nothing\n.+in 50 min +the daemon\n/);
  });

  it('is a document with --json, and says so where there is nothing', async () => {
    expect(JSON.parse((await run(['approvals', '--json'], { api })).stdout)).toEqual(api.approvals());
    expect(JSON.parse((await run(['approvals', '--active', '--json'], { api })).stdout)).toEqual({ active: [active] });
    const none = { approvals: () => ({ pending: [], active: [], channels }) };
    expect((await run(['approvals'], { api: none })).stderr).toContain('Nothing waits for your word.');
    expect((await run(['approvals', '--active'], { api: none })).stderr).toContain('You agreed to nothing that still holds.');
  });

  it('revoke takes one back by its id', async () => {
    expect((await run(['approvals', 'revoke', 'zz19'], { api })).calls).toEqual([['revokeApproval', 'zz19']]);
    expect(await run(['approvals', 'revoke'], { api })).toMatchObject({ exit: 2, stderr: expect.stringContaining('approvals --active') as string });
    expect(await run(['approvals', 'drop'], { api })).toMatchObject({ exit: 2, stderr: expect.stringContaining('choices are revoke, pin') as string });
  });
});

describe('approve', () => {
  it('shows the only question and agrees to it', async () => {
    const { calls, stdout, stderr } = await run(['approve'], { api });
    expect(calls).toEqual([['approvals'], ['answerApproval', 'k3Jd9sQx', { allow: true }]]);
    expect(stdout).toContain('curl (pid 5100)');
    expect(stderr).toContain('this program, in its terminal');
  });

  it('says of what cannot be kept that it ends with the daemon, and nothing of what was to end anyway', async () => {
    const unkept = { ...api, answerApproval: () => ({ ok: true, outlasts: null } as const) };
    expect((await run(['approve'], { api: unkept })).stderr).toContain('It ends with the daemon at the latest.');
    expect(JSON.parse((await run(['approve', '--json'], { api: unkept })).stdout)).toMatchObject({ id: 'k3Jd9sQx', allow: true, outlasts: null });
    const each = { ...unkept, approvals: () => ({ pending: [{ ...pending, may_hold_s: null }], active: [], channels }) };
    for (const { stderr } of [await run(['approve'], { api }), await run(['approve'], { api: each }), await run(['approve', '--deny'], { api: unkept })]) expect(stderr).not.toContain('with the daemon');
  });

  it.each([
    [['--for', '15m'], { allow: true, for_s: 900 }],
    [['--exe-only', '--for', '7d'], { allow: true, binding: 'program', for_s: 604_800 }],
    [['--this-terminal'], { allow: true, binding: 'session' }],
    [['--this-run'], { allow: true, binding: 'run' }],
    [['--deny'], { allow: false }],
  ])('takes %j', async (flags, answer) => {
    expect((await run(['approve', 'k3Jd9sQx', ...flags], { api })).calls.at(-1)).toEqual(['answerApproval', 'k3Jd9sQx', answer]);
  });

  it.each([
    [['approve', 'other'], 'no question of this id is open'],
    [['approve', '--for', 'ever'], 'a time like 15m'],
    [['approve', '--for', '0s'], 'a time like 15m'],
    [['approve', '--exe-only', '--this-run'], 'give one of'],
  ])('answers nothing by %j', async (words, why) => {
    const { exit, stderr, calls } = await run(words, { api });
    expect(exit).toBe(2);
    expect(stderr).toContain(why);
    expect(calls.map(([name]) => name)).not.toContain('answerApproval');
  });

  it('does not guess which one is meant', async () => {
    const two = { ...api, approvals: () => ({ pending: [pending, { ...pending, id: 'second' }], active: [], channels }) };
    expect(await run(['approve'], { api: two })).toMatchObject({ exit: 2, stderr: expect.stringContaining('more than one question') as string });
    expect(await run(['approve'], { api: { approvals: () => ({ pending: [], active: [], channels }) } })).toMatchObject({ exit: 2, stderr: expect.stringContaining('nothing waits') as string });
  });

  it('[IP-10] says why this process may not', async () => {
    const refuse = () => { throw ValetkeyError.local('approval_refused', 'this process may not approve: it was started by claude-code'); };
    expect(await run(['approve'], { api: { ...api, answerApproval: refuse } })).toMatchObject({ exit: 5, stderr: expect.stringContaining('started by claude-code') as string });
  });
});

describe('approvals revoke --all', () => {
  it.each([
    [['a', 'b'], '2 consents taken back'],
    [[], 'You agreed to nothing'],
  ])('says what it took back: %j', async (revoked, said) => {
    const { calls, stderr } = await run(['approvals', 'revoke', '--all'], { api: { revokeApprovals: () => ({ ok: true, revoked }) } });
    expect([calls, stderr]).toEqual([[['revokeApprovals']], expect.stringContaining(said) as string]);
  });

  it('takes no id besides', async () => {
    expect(await run(['approvals', 'revoke', 'zz19', '--all'], { api })).toMatchObject({ exit: 2, calls: [] });
  });
});

describe('the approval PIN', () => {
  const privileged = { ...api, approvals: () => ({ pending: [{ ...pending, pin_needed: true, may_hold_s: null }], active: [], channels }) };
  const pinApi = (pin: ApprovalChannels['pin'], over: Partial<ApprovalChannels> = {}) => ({ approvals: () => ({ pending: [], active: [], channels: { ...channels, pin, ...over } }), setApprovalPin: () => ({ ok: true } as const) });

  it('[IP-10] is asked at /dev/tty, unseen, for what is privileged, and is in no output', async () => {
    const { calls, questions, stdout, stderr } = await run(['approve'], { api: privileged, person: ['471100'], stdin: 'not-this' });
    expect(calls.at(-1)).toEqual(['answerApproval', 'k3Jd9sQx', { allow: true, pin: '471100' }]);
    expect(questions).toEqual([{ question: 'Approval PIN:', hidden: true }]);
    expect(stdout).toContain('Needs        the approval PIN\n');
    expect(stdout + stderr).not.toContain('471100');
    expect((await run(['approve', '--json'], { api: privileged, person: ['471100'] })).stdout).not.toContain('471100');
  });

  it('is not asked for a no, nor where the daemon would refuse anyway', async () => {
    expect((await run(['approve', '--deny'], { api: privileged })).calls.at(-1)).toEqual(['answerApproval', 'k3Jd9sQx', { allow: false }]);
    const unset = { ...privileged, approvals: () => ({ ...privileged.approvals(), channels: { ...channels, pin: 'not_set' as const } }), answerApproval: () => { throw ValetkeyError.local('pin_required', 'none is set'); } };
    expect(await run(['approve'], { api: unset })).toMatchObject({ exit: 5, questions: [], stderr: expect.stringContaining('valetkey approvals pin set') as string });
  });

  it('without a terminal is not asked at all', async () => {
    expect(await run(['approve'], { api: privileged, stdin: '471100\n' })).toMatchObject({ exit: 5, stderr: expect.stringContaining('Run it at a terminal') as string, calls: [['approvals']] });
  });

  it.each([
    ['set', 'not_set', ['471100', '471100'], { pin: '471100' }],
    ['change', 'set', ['471100', '999999', '999999'], { pin: '999999', old: '471100' }],
    ['remove', 'set', ['471100'], { pin: null, old: '471100' }],
  ] as const)('is %s', async (action, before, person, request) => {
    const { calls, questions, exit } = await run(['approvals', 'pin', action], { api: pinApi(before), person });
    expect([exit, calls.at(-1), questions.every(({ hidden }) => hidden)]).toEqual([0, ['setApprovalPin', request], true]);
  });

  it.each([
    [['set'], 'set', [], {}, 'is set already'],
    [['change'], 'not_set', [], {}, 'no approval PIN is set'],
    [['remove'], 'not_set', [], {}, 'no approval PIN is set'],
    [['set'], 'not_set', ['471100', '471101'], {}, 'not the same'],
    [['set'], 'not_set', [''], {}, 'nothing was typed'],
    [['set'], 'not_set', ['471100'], { terminal: 'was started by codex' }, 'it was started by codex'],
    [['show'], 'set', [], {}, 'set, change or remove'],
    [[], 'set', [], {}, 'set, change or remove'],
  ] as const)('is left as it is: %j, %s, %j %j', async (words, before, person, over, why) => {
    const { calls, stderr, exit } = await run(['approvals', 'pin', ...words], { api: pinApi(before, over), person });
    expect([exit === 0, calls.some(([name]) => name === 'setApprovalPin'), stderr]).toEqual([false, false, expect.stringContaining(why) as string]);
  });
});

describe('approve --caller-exe', () => {
  const given: ActiveApproval = { ...active, caller: '/usr/bin/restic', scopes: null, resource: null, profile: 'backup', rule: 'any', expires_at: NOW + 7_200 };
  const grantApi = (over: Partial<ApprovalChannels> = {}) => ({ approvals: () => ({ pending: [], active: [], channels: { ...channels, ...over } }), grantApproval: () => given });
  const words = ['approve', '--caller-exe', '/usr/bin/restic', '--profile', 'backup'];

  it('[IP-10] agrees to a program before it asks, with the PIN', async () => {
    const { calls, stderr } = await run([...words, '--scope', 'a', '--scope', 'b', '--for', '2h'], { api: grantApi(), person: ['471100'] });
    expect(calls.at(-1)).toEqual(['grantApproval', { executable: '/usr/bin/restic', profile: 'backup', scopes: ['a', 'b'], for_s: 7_200, pin: '471100' }]);
    expect(stderr).toContain('Agreed: /usr/bin/restic may use backup: its usual scopes, for 2 h, as long as its file stays as it is.');
    expect((await run([...words, '--caller-script', '/x.py'], { api: grantApi({ pin: 'not_set' }) })).calls.at(-1)).toEqual(['grantApproval', { executable: '/usr/bin/restic', profile: 'backup', script: '/x.py' }]);
    expect(JSON.parse((await run([...words, '--json'], { api: grantApi(), person: ['471100'] })).stdout)).toEqual(given);
  });

  it.each([
    [['approve', '--profile', 'backup'], 'names a program and a profile'],
    [['approve', '--caller-exe', '/usr/bin/restic'], 'names a program and a profile'],
    [[...words, '--deny'], 'answers no question'],
    [['approve', 'k3Jd9sQx', ...words.slice(1)], 'answers no question'],
  ])('asks the daemon nothing by %j', async (argv, why) => {
    expect(await run(argv, { api: grantApi() })).toMatchObject({ exit: 2, calls: [], stderr: expect.stringContaining(why) as string });
  });
});
