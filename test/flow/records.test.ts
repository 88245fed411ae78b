/** The gate of the records (AL-01): each verb of the API, over the real door, leaves its event with all that it has to say. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import { readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import { METHODS } from '../../shared/methods.ts';
import type { MethodName } from '../../shared/methods.ts';
import { someApprover } from '../support/parties.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { initWorkload, workloadToml } from '../support/workload-rig.ts';

const PASSPHRASE = 'correct horse EXAMPLE';
const POLICY = 'v = 1\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n[[rules]]\nname = "never"\ndecide = "deny"\nwhen = { scopes = { any = ["never:*"] } }\n[[rules]]\nname = "ask"\ndecide = "confirm"\nask = "each"\nwhen = { scopes = { all = ["api:write"] } }\n[[rules]]\nname = "rest"\ndecide = "allow"\n';

/** What every record of a decision says; null is an answer, a missing key is none. */
const OF_SIGN_IN = ['flow', 'issuer', 'client_id', 'tenant', 'account', 'acr', 'amr', 'signed_in_at', 'device', 'policy'] as const;
const GATE: Readonly<Record<string, readonly string[]>> = {
  token_released: [...OF_SIGN_IN, 'token', 'scopes', 'resource', 'rule', 'expires_at'],
  token_refused: [...OF_SIGN_IN, 'scopes', 'resource', 'rule', 'reason'],
  token_refreshed: [...OF_SIGN_IN, 'token', 'scopes', 'resource'],
  token_revoked: [...OF_SIGN_IN, 'token', 'token_kind', 'outcome'],
  grant_removed: [...OF_SIGN_IN, 'scopes', 'resource', 'reason'],
  jit_granted: [...OF_SIGN_IN, 'token', 'scopes', 'resource', 'reason', 'until', 'login'],
  jit_ended: [...OF_SIGN_IN, 'token', 'scopes', 'resource', 'why', 'login'],
  login_finished: ['login', 'flow', 'reason', 'issuer', 'client_id', 'scopes', 'resource', 'tenant', 'account', 'acr', 'amr', 'signed_in_at', 'device', 'policy'],
  login_decided: ['outcome', 'reason', 'rule', 'input', 'issuer', 'client_id', 'scopes', 'resource', 'device', 'policy'],
  login_failed: ['login', 'flow', 'issuer', 'code', 'device', 'policy'],
  config_reloaded: ['device', 'policy'],
  approval_given: ['approval', 'rule', 'scopes', 'resource', 'device', 'policy'],
  approval_denied: ['approval', 'rule', 'scopes', 'resource', 'device', 'policy'],
  approval_revoked: ['approval', 'device', 'policy'],
};
/** Whoever asked for it is named. What the daemon does by itself has no caller. */
const OF_NOBODY = ['token_refreshed', 'token_revoked', 'audit_checkpoint', 'daemon_started'];

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let hostile: HostileIssuer;
let vk: InProcess;
const records = (): AuditRecord[] => readFileSync(join(vk.stateDir, 'audit/audit.jsonl'), 'utf8').trimEnd().split('\n').flatMap((line) => readAuditLine(line)?.record ?? []);
const api = (method: MethodName, body?: unknown, path: string = METHODS[method].path) => vk.api(METHODS[method].verb, path, body);
const token = (ask: object = {}) => api('token', { profile: 'work', ...ask });

beforeAll(async () => {
  hostile = await startHostileIssuer({
    scopes: ['api:read', 'api:write', 'admin:all'], lifetimes: { accessTokenS: 300 },
  });
  hostile.fault('token', faults.editIdToken(hostile.issuer, (claims) => ({ ...claims, tid: 'tenant-1', acr: 'gold', amr: ['pwd', 'otp'] })), 100);
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url).replace('"email", ', '"api:read", "api:write", "admin:all", '), backend: 'passphrase', keepsAudit: true });
  await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true });
  await vk.policy('admin', POLICY);
});
afterAll(async () => {
  await vk?.stop();
  await hostile?.close();
});

/** A verb, what it is asked, and which events it leaves; none for what only looks. */
type Step = { readonly verb: MethodName; readonly act: () => Promise<unknown>; readonly leaves: readonly string[] };
const looks = (verb: MethodName, path?: string, body?: object): Step => ({ verb, act: () => api(verb, body, path), leaves: [] });
async function pending(): Promise<string> {
  await expect.poll(async () => (await api('approvals')).body.pending.length).toBe(1);
  return (await api('approvals')).body.pending[0].id;
}
/** This process has no terminal of its own, so what a person may is played: who may is tested elsewhere. */
async function answered(allow: boolean): Promise<void> {
  const waiting = token({ scopes: ['api:write'], wait_s: 5 });
  const id = await pending();
  const before = vk.caller;
  vk.caller = { ...someApprover(), uid: process.getuid?.() ?? 0 };
  await api('answerApproval', { allow, ...(allow ? { binding: 'program' } : {}) }, `/v1/approvals/${id}`);
  vk.caller = before;
  await waiting;
}

const STEPS: readonly Step[] = [
  { verb: 'reload', act: () => api('reload'), leaves: ['config_reloaded'] },
  { verb: 'startLogin', act: () => vk.signIn('work', 'ada'), leaves: ['login_decided', 'login_finished'] },
  { verb: 'cancelLogin', act: async () => api('cancelLogin', undefined, `/v1/logins/${(await api('startLogin', { profile: 'work' })).body.id}`), leaves: ['login_decided', 'login_failed'] },
  { verb: 'token', act: () => token(), leaves: ['token_released'] },
  { verb: 'token', act: () => token({ force: true }), leaves: ['token_refreshed', 'token_released'] },
  { verb: 'token', act: () => token({ scopes: ['never:all'] }), leaves: ['token_refused'] },
  { verb: 'startLogin', act: () => vk.signIn('work', 'ada', { scopes: ['admin:all'], claimed: { reason: 'ticket 4711' } }), leaves: ['login_decided', 'jit_granted', 'login_finished'] },
  { verb: 'token', act: () => token({ scopes: ['admin:all'] }), leaves: ['token_released'] },
  { verb: 'answerApproval', act: () => answered(true), leaves: ['approval_given', 'token_released'] },
  { verb: 'profiles', act: () => api('profiles'), leaves: [] },
  { verb: 'addProfile', act: () => api('addProfile', { name: 'second', profile: { issuer: hostile.url, client_id: 'valetkey', allow_loopback_http: true } }), leaves: ['profile_added'] },
  { verb: 'removeProfile', act: () => api('removeProfile', undefined, '/v1/profiles/second'), leaves: ['profile_removed'] },
  looks('login', '/v1/logins/AAAAAAAAAAAAAAAAAAAAAA'), looks('confirmLogin', '/v1/logins/AAAAAAAAAAAAAAAAAAAAAA/confirm', { accept: true }),
  looks('explainLogin', undefined, { profile: 'work' }), looks('workloads'), looks('grants'), looks('approvals'), looks('checkPolicy', undefined, {}), looks('explainPolicy', undefined, { profile: 'work' }), looks('status'), looks('prompt', undefined, {}), looks('diagnosis'), looks('metrics'), looks('whoami'), looks('audit'),
  looks('trace', undefined, { token: 'a-token-of-nobody' }), looks('openapi'),
  { verb: 'logout', act: () => api('logout', undefined, '/v1/grants/work'), leaves: ['jit_ended', 'token_revoked', 'grant_removed'] },
  { verb: 'lock', act: () => api('lock'), leaves: ['locked'] },
  { verb: 'token', act: () => token(), leaves: ['token_refused'] },
  { verb: 'unlock', act: () => api('unlock', { passphrase: PASSPHRASE }), leaves: ['unlocked'] },
  { verb: 'purge', act: () => api('purge'), leaves: ['purged'] },
];
/** What takes a person, an end or a party of its own is recorded in the tests of that; the stream of events only shows. */
const ELSEWHERE: Readonly<Partial<Record<MethodName, readonly [string, string]>>> = {
  events: ['socket', 'events'], fetch: ['fetch', 'fetch_started'], shutdown: ['audit', 'daemon_stopped'], upgrade: ['audit', 'daemon_stopped'], endSession: ['end-session', 'browser_signed_out'], findResource: ['resources', 'client_registered'], panic: ['panic', 'panic'],
  askApproval: ['approvals', 'approval_given'], grantApproval: ['approvals', 'approval_given'], revokeApproval: ['approvals', 'approval_revoked'], revokeApprovals: ['approvals', 'approval_revoked'], setApprovalPin: ['approvals', 'pin_changed'],
  workloadToken: ['records', 'workload_token_released'], changeWorkloadKeys: ['records', 'workload_key_changed'], removeWorkload: ['records', 'workload_removed'],
};

describe('the records', () => {
  it('have a step for each verb', () => {
    expect([...new Set(STEPS.map(({ verb }) => verb)), ...Object.keys(ELSEWHERE)].toSorted()).toEqual(Object.keys(METHODS).toSorted());
    for (const [file, event] of Object.values(ELSEWHERE)) expect(readFileSync(new URL(`./${file}.test.ts`, import.meta.url), 'utf8'), event).toMatch(new RegExp(`['/]${event}\\b`));
  });

  it('[AL-01] of each verb are there with method, tenant, account, device, caller, resource, scopes, acr, amr, reason and version of the policy', async () => {
    for (const { verb, act, leaves } of STEPS) {
      const before = records().length;
      await act();
      const own = () => records().slice(before).filter(({ event }) => !event.startsWith('audit_') && event !== 'detected');
      await expect.poll(() => [...new Set(own().map(({ event }) => event))].toSorted(), { message: verb }).toEqual([...leaves].toSorted());
      for (const { event, facts, caller, profile } of own()) {
        expect(Object.keys(facts), `${verb}: ${event}`).toEqual(expect.arrayContaining([...(GATE[event] ?? [])]));
        expect(caller === null, `${verb}: ${event}`).toBe(OF_NOBODY.includes(event));
        if (GATE[event] === undefined) continue;
        expect(facts).toMatchObject({ device: 'test-machine', policy: { admin: expect.stringMatching(/^[0-9a-f]{64}$/) as string, user: null } });
        if (event === 'config_reloaded') continue;
        expect(profile, event).toBe('work');
        if (GATE[event].includes('account') && facts['signed_in_at'] !== null) expect(facts, event).toMatchObject({ flow: 'authorization_code', tenant: 'tenant-1', account: expect.stringMatching(/^[\w-]{22}$/) as string, acr: 'gold', amr: ['pwd', 'otp'], client_id: 'valetkey' });
      }
    }
    expect(records().filter(({ event }) => event === 'token_refused').map(({ facts }) => [facts['rule'], facts['reason'] === null])).toEqual([['admin/never', true], ['user-lock', false]]);
  });

  it('[AL-01] names who took a policy out of force, and under which the next token leaves', async () => {
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true });
    const versions = () => records().filter(({ event }) => event === 'config_reloaded').slice(-2).map(({ facts, caller }) => [facts['policy'], caller?.['pid']]);
    const strict = 'v = 1\n[[rules]]\nname = "none"\ndecide = "deny"\n';
    await vk.policy('user', strict);
    await api('reload');
    await vk.policy('user', 'v = 1\n');
    await api('reload');
    const admin = sha256(POLICY);
    expect(versions()).toEqual([[{ admin, user: sha256(strict) }, process.pid], [{ admin, user: sha256('v = 1\n') }, process.pid]]);
  });

  it('[AL-01] of a workload say the same of it, from its first key to its end', async () => {
    const issuer = await startIssuer({ workloads: true, lifetimes: { accessTokenS: 600 } });
    const broker = await startInProcess({ config: workloadToml('backup', issuer.url, 'scopes = ["read"]') });
    try {
      await initWorkload(broker, issuer, 'backup');
      await broker.api('POST', '/v1/workload-tokens', { profile: 'backup' });
      await broker.api('POST', '/v1/workload-tokens', { profile: 'backup', scopes: ['never:granted'], resource: 'https://other.example' });
      await broker.api('DELETE', '/v1/workloads/backup');
      const own = broker.audit.events.filter(({ event }) => event.startsWith('workload_'));
      expect([...new Set(own.map(({ event }) => event))]).toEqual(expect.arrayContaining(['workload_key_changed', 'workload_token_obtained', 'workload_token_released', 'workload_token_revoked', 'workload_removed']));
      for (const { event, profile, facts } of own) {
        expect(profile, event).toBe('backup');
        expect(facts, event).toMatchObject({ device: 'test-machine', policy: { admin: null, user: null }, issuer: issuer.url });
      }
      for (const event of ['workload_key_changed', 'workload_token_released', 'workload_removed']) expect(own.find((each) => each.event === event)?.caller, event).toMatchObject({ pid: process.pid });
    } finally {
      await broker.stop();
      await issuer.close();
    }
  });
});
