import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendTo, START } from '../../../daemon/audit/chain.ts';
import { parsePolicy } from '../../../daemon/config/policy/parse.ts';
import type { AuditEvent } from '../../../daemon/core/ports.ts';
import { compilePolicy, decide } from '../../../daemon/policy/decide.ts';
import type { PolicyExplainReply } from '../../../shared/policy-schemas.ts';
import { profileName, someCaller, someOrigin } from '../../support/builders.ts';
import { someRequest, someSubject } from '../../support/policies.ts';
import { run } from './fake-world.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'vk-policy-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const reply: PolicyExplainReply = {
  caller: '/usr/bin/git', decision: 'confirm', ask: 'once', outcome: 'approval_required', detail: 'no way to ask', rule: 'admin/rest', reason: 'because', tier: 'normal', scopes: [['api:**']], resources: [],
  max_token_life_s: 300, max_remaining_s: null, max_age_s: null, flows: null, acr: null, amr: [], max_session_s: null, max_idle_s: null,
  looked_at: [{ rule: 'admin/first', outcome: 'does not fit', why: 'class is agent, not human' }, { rule: 'admin/rest', outcome: 'fits', why: '' }],
};
const write = (name: string, text: string): string => {
  writeFileSync(join(base, name), text);
  return join(base, name);
};

describe('valetkey policy check', () => {
  it('sends the text of a file, and says what is in it', async () => {
    const file = write('p.toml', 'v = 1\n');
    const { stdout, calls, exit } = await run(['policy', 'check', file, '--admin'], { api: { checkPolicy: () => ({ files: [{ source: 'admin', file, rules: 3, tiers: 1, digest: 'ab'.repeat(32) }] }) } });
    expect(calls).toEqual([['checkPolicy', { name: file, draft: { source: 'admin', text: 'v = 1\n' } }]]);
    expect(stdout).toBe(`${file}: in order, 3 rules, 1 of tiers (admin, SHA-256 abababababab…)\n`);
    expect(exit).toBe(0);
  });

  it.each([
    ['that is longer than a draft may be', `v = 1\n#${' '.repeat(57_344)}\n`],
    ['that is so of quotes', `v = 1\n#${'"'.repeat(40_000)}\n`],
  ])('sends no file %s, and says how long one may be and where a longer one is checked', async (_, text) => {
    for (const args of [['policy', 'check', write('long.toml', text)], ['policy', 'explain', '--profile', 'work', '--draft', write('long.toml', text)]]) {
      const { calls, exit, stderr } = await run(args, { api: { checkPolicy: () => ({ files: [] }), explainPolicy: () => reply } });
      expect({ calls, exit }).toEqual({ calls: [], exit: 2 });
      expect(stderr).toMatch(/long\.toml has \d+ bytes: a draft is checked up to 56 KiB/);
      expect(stderr).toContain('put it in its place and run: valetkey policy check');
    }
  });

  it('looks at the files in their places without one, and names a file that cannot be read', async () => {
    expect((await run(['policy', 'check'], { api: { checkPolicy: () => ({ files: [] }) } })).stdout).toContain('the policy that ships decides');
    expect(await run(['policy', 'check', join(base, 'none.toml')])).toMatchObject({ exit: 2, stderr: expect.stringContaining('none.toml cannot be read (ENOENT)') });
  });
});

describe('valetkey policy explain', () => {
  it('asks about a program that need not run, and shows each rule with its why', async () => {
    const { stdout, calls } = await run(['policy', 'explain', '--profile', 'work', '--exe', '/usr/bin/git', '--class', 'agent', '--scope', 'a b', '--ancestor', 'bash'], { api: { explainPolicy: () => reply } });
    expect(calls).toEqual([['explainPolicy', { profile: 'work', scopes: ['a', 'b'], caller: { executable: '/usr/bin/git', class: 'agent', ancestors: ['bash'] } }]]);
    expect(stdout).toContain('confirm (once), by rule admin/rest: because');
    expect(stdout).toContain('approval_required: no way to ask');
    expect(stdout).toMatch(/Scopes within +api:\*\*/);
    expect(stdout).toMatch(/admin\/first +does not fit +class is agent, not human/);
  });

  it('takes a process or a program, not both', async () => {
    expect((await run(['policy', 'explain', '--profile', 'work', '--caller', '12'], { api: { explainPolicy: () => reply } })).calls).toEqual([['explainPolicy', { profile: 'work', pid: 12 }]]);
    expect(await run(['policy', 'explain', '--profile', 'work', '--caller', '12', '--exe', '/x'])).toMatchObject({ exit: 2 });
    expect(JSON.parse((await run(['policy', 'explain', '--profile', 'work', '--json'], { api: { explainPolicy: () => reply } })).stdout)).toEqual(reply);
  });
});

describe('valetkey policy test', () => {
  const cases = 'v = 1\n[[cases]]\nname = "agents ask"\nprofile = "work"\ncaller = { class = "agent" }\nexpect = "confirm"\nrule = "admin/rest"\n[[cases]]\nprofile = "prod"\nexpect = "deny"\n';

  it('holds each case to what the daemon decides, and ends with 5 where one differs', async () => {
    const { stdout, calls, exit } = await run(['policy', 'test', write('cases.toml', cases)], { api: { explainPolicy: () => reply } });
    expect(calls).toEqual([['explainPolicy', { profile: 'work', caller: { class: 'agent' } }], ['explainPolicy', { profile: 'prod' }]]);
    expect(stdout).toBe('FAILED  number 2: expected deny, got confirm by admin/rest\n1 of 2 as expected\n');
    expect(exit).toBe(5);
    const good = await run(['policy', 'test', write('good.json', JSON.stringify({ v: 1, cases: [{ profile: 'work', expect: 'confirm' }] })), '--json'], { api: { explainPolicy: () => reply } });
    expect([good.exit, JSON.parse(good.stdout).failed]).toEqual([0, 0]);
  });

  it.each([
    ['v = 1\n', 'has no [[cases]]'], ['[[cases]]\n', '"v" must be 1'], ['v = 1\n[[cases]]\nprofile = "a"\nexpect = "yes"\n', '"expect" must be one of allow, confirm, deny'], ['v = 1\n[[cases]]\nexpect = "deny"\n', '"profile" is missing'], ['v = \n', 'cases.toml:1:'],
    ['v = 1\ncase = []\n', '"case" is not a key'],
  ])('says what is wrong with a table: %j', async (text, problem) => {
    expect(await run(['policy', 'test', write('cases.toml', text)])).toMatchObject({ exit: 2, stderr: expect.stringContaining(problem) });
  });
});

describe('valetkey policy learn', () => {
  const released = (executable: string | null, scopes: readonly string[], more: object = {}, script: string | null = null): AuditEvent => ({
    event: 'token_released', profile: profileName('work'), request: 'r', facts: { scopes, resource: null, ...more },
    caller: Object.assign(someCaller({ executable: '/usr/bin/node' }), { origin: someOrigin({ class: 'agent', program: { executable, script } }) }),
  });

  it('proposes rules that allow what was used, and nothing else', async () => {
    const audit = join(base, 's/valetkey/audit');
    mkdirSync(audit, { recursive: true });
    let head = START;
    const lines = [released('/usr/bin/git', ['read']), released('/usr/bin/git', ['read', 'write'], { more_since_last: 4 }), released(null, ['read']), released('/opt/a*b', ['read']), released('/opt/\u202eb\u009b', ['read']), released('/opt/b', ['read'], {}, '/tmp/link/../x.py'), { ...released('/usr/bin/gh', ['x']), event: 'token_refused' as const }].map((event) => {
      const made = appendTo(head, event, 1);
      head = made.head;
      return made.line;
    });
    writeFileSync(join(audit, 'audit.jsonl'), `${lines.join('')}{"torn`);
    const { stdout, stderr, exit } = await run(['policy', 'learn'], { base });
    expect(exit).toBe(0);
    expect(stderr).toContain('Left out: 1 releases to programs that could not be told, and 3 that no pattern can name');
    const policy = compilePolicy({ admin: parsePolicy(stdout, 'learned', 'admin'), user: null });
    const agent = (executable: string) => someSubject({ class: 'agent', program: { executable, script: null } });
    expect(decide(policy, agent('/usr/bin/git'), someRequest())).toMatchObject({ kind: 'allow', by: { source: 'admin' }, limits: { scopes: [{ patterns: ['read', 'write'] }] } });
    expect(decide(policy, agent('/usr/bin/gh'), someRequest())).toMatchObject({ by: { source: 'shipped' } });
    expect(decide(policy, agent('/usr/bin/git'), someRequest({ profile: 'prod' }))).toMatchObject({ by: { source: 'shipped' } });
  });

  it('proposes rules for what workloads took, by their flow and their service, that let no person\'s token out', async () => {
    const audit = join(base, 's/valetkey/audit');
    mkdirSync(audit, { recursive: true });
    const nightly = (unit: string): AuditEvent => ({
      event: 'workload_token_released', profile: profileName('backup'), request: 'r', facts: { scopes: ['backup:write'], resource: null, more_since_last: 2 },
      caller: Object.assign(someCaller(), { origin: someOrigin({ class: 'workload', unit, program: { executable: '/usr/bin/restic', script: null } }) }),
    });
    let head = START;
    const lines = [nightly('backup.service'), nightly('run-r51.service'), released('/usr/bin/git', ['read'])].map((event) => {
      const made = appendTo(head, event, 1);
      head = made.head;
      return made.line;
    });
    writeFileSync(join(audit, 'audit.jsonl'), lines.join(''));
    const { rules } = JSON.parse((await run(['policy', 'learn', '--json'], { base })).stdout);
    const when = { executable: '/usr/bin/restic', class: 'workload', profile: 'backup', flow: 'client_credentials' };
    expect(rules).toMatchObject([{ when: { ...when, unit: 'backup.service' }, ceiling: { scopes: ['backup:write'] } }, { when }, { when: { executable: '/usr/bin/git', profile: 'work' } }]);
    expect([rules[1].when.unit, rules[2].when.flow]).toEqual([undefined, undefined]);
    const { stdout } = await run(['policy', 'learn'], { base });
    const policy = compilePolicy({ admin: parsePolicy(stdout, 'learned', 'admin'), user: null });
    const restic = someSubject({ class: 'workload', unit: 'backup.service', program: { executable: '/usr/bin/restic', script: null } });
    const ask = (flow: 'client_credentials' | 'authorization_code', profile = 'backup') => decide(policy, restic, someRequest({ profile, flow }));
    expect(ask('client_credentials')).toMatchObject({ kind: 'allow', by: { source: 'admin' }, limits: { scopes: [{ patterns: ['backup:write'] }] } });
    expect(ask('authorization_code')).toMatchObject({ by: { source: 'shipped' } });
    expect(ask('client_credentials', 'other')).toMatchObject({ by: { source: 'shipped' } });
  });

  it('proposes no rule for an interpreter that ran no file, since that would be one for all that it can run', async () => {
    const audit = join(base, 's/valetkey/audit');
    mkdirSync(audit, { recursive: true });
    let head = START;
    const lines = [released('/usr/bin/python3.11', ['read'], { more_since_last: 2 }), released('/memfd:node (deleted)', ['read']), released('/usr/bin/python3.11', ['read'], {}, '/srv/report.py')].map((event) => {
      const made = appendTo(head, event, 1);
      head = made.head;
      return made.line;
    });
    writeFileSync(join(audit, 'audit.jsonl'), lines.join(''));
    const { stdout, stderr } = await run(['policy', 'learn'], { base });
    expect(stderr).toContain('Left out: 4 releases to interpreters that ran no file (/usr/bin/python3.11, /memfd:node (deleted))');
    const policy = compilePolicy({ admin: parsePolicy(stdout, 'learned', 'admin'), user: null });
    const python = (script: string | null) => decide(policy, someSubject({ class: 'agent', program: { executable: '/usr/bin/python3.11', script } }), someRequest());
    expect(python('/srv/report.py')).toMatchObject({ kind: 'allow', by: { source: 'admin' } });
    for (const script of [null, '/tmp/other.py']) expect(python(script)).toMatchObject({ by: { source: 'shipped' } });
  });

  it('says so where nothing was used', async () => {
    expect(await run(['policy', 'learn'], { base })).toMatchObject({ exit: 2, stderr: expect.stringContaining('no release of a token') });
  });
});
