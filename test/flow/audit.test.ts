/** The audit over the whole daemon: what each request leaves, and the way back from a token to who took it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditFiles, readLines } from '../../client/audit/log-files.ts';
import { takeInventory } from '../../client/audit/inventory.ts';
import { traceToken } from '../../client/audit/trace.ts';
import { verifyAudit } from '../../client/audit/verify-log.ts';
import { chooseFlow } from '../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../daemon/policy/chooser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import { someFacts } from '../support/builders.ts';
import { collectCanaries, searchBytes } from '../support/canaries.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { codeOf, readDocument, rowsOf, sectionOf } from '../unit/docs/markdown.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
const PASSPHRASE = 'correct horse EXAMPLE';
const file = (): string => join(vk.stateDir, 'audit/audit.jsonl');
const records = (): AuditRecord[] => readFileSync(file(), 'utf8').trimEnd().split('\n').map((line) => readAuditLine(line)?.record).filter((record) => record !== undefined);
const of = (event: string): AuditRecord[] => records().filter((record) => record.event === event);
const trace = async (token: string) => {
  const { body } = await vk.api('POST', '/v1/audit/trace', { token });
  return traceToken(body.fingerprint, readLines(await auditFiles(join(vk.stateDir, 'audit'))));
};

beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({ config: profileToml('work', issuer.url), backend: 'passphrase', keepsAudit: true });
  await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true });
  await vk.signIn('work', 'ada');
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

describe('from a token', () => {
  let token: string;
  it('[AL-02] names the login, the grant, the caller and every release, in one walk', async () => {
    token = (await vk.api('POST', '/v1/token', { profile: 'work' })).body.access_token;
    const traced = await trace(token);
    expect(traced.login).toMatchObject({ event: 'login_finished', profile: 'work', facts: { flow: 'authorization_code', sub: 'ada' } });
    expect(traced.decided).toMatchObject({ event: 'login_decided', facts: { outcome: 'pkce_loopback', reason: 'local_gui_ok' } });
    expect(traced.releases).toHaveLength(1);
    expect(traced.releases[0]).toMatchObject({ caller: { pid: process.pid, executable: process.execPath }, facts: { generation: 1, flow: 'authorization_code', signed_in_at: traced.login?.facts['signed_in_at'] } });
    expect(traced.releases[0]?.facts['account']).toBe(traced.login?.facts['account']);
  });

  it('[AL-02] does so after a restart, for a refreshed token, and tells its revocation', async () => {
    await vk.restart();
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    expect((await trace(token)).releases).toHaveLength(1);
    const { body } = await vk.api('POST', '/v1/token', { profile: 'work', force: true });
    const fresh = await trace(body.access_token);
    expect(fresh.minted).toMatchObject({ event: 'token_refreshed', facts: { generation: 2 } });
    expect(fresh.login?.seq).toBe((await trace(token)).login?.seq);
    expect(fresh.login).not.toBeNull();
    await vk.api('DELETE', '/v1/grants/work');
    expect((await trace(body.access_token)).revoked).toMatchObject([{ facts: { token_kind: 'access_token', outcome: 'revoked' } }]);
    await vk.signIn('work', 'ada');
  });

  it('a stranger\'s token leads nowhere, and no name can be had while the vault is locked', async () => {
    expect(await trace('a-token-of-nobody')).toMatchObject({ releases: [], revoked: [], minted: null, login: null });
    await vk.api('POST', '/v1/lock');
    expect((await vk.api('POST', '/v1/audit/trace', { token })).body).toMatchObject({ code: 'vault_locked' });
    expect((await vk.api('GET', '/v1/audit')).body).toMatchObject({ key: null });
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
  });

  it('the name is of no use to who has the log and a token, but not the vault', () => {
    const names = new Set(of('token_released').map(({ facts }) => String(facts['token'])));
    expect(names.size).toBeGreaterThan(0);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(searchBytes('log', readFileSync(file(), 'utf8'), collectCanaries(issuer.minted, { more: [PASSPHRASE] }))).toEqual([]);
  });
});

describe('the log', () => {
  it('is whole, signed, and as the daemon and the vault remember it', async () => {
    const { body } = await vk.api('GET', '/v1/audit');
    expect(body.key).toMatchObject({ lasting: true, x: expect.stringMatching(/^[\w-]{43}$/) });
    const heads = [body.head, body.key.remembered].filter((head) => head !== null);
    expect(await verifyAudit(file(), { heads, kid: body.key.kid })).toMatchObject({ kind: 'intact', kids: [body.key.kid], signed: { kid: body.key.kid } });
  });

  it('[FC-13] each login left one decision, and what is in the file replays to it', () => {
    const decided = of('login_decided');
    expect(decided).toHaveLength(of('login_finished').length);
    expect(new Set(decided.map(({ facts }) => facts['decision_id'])).size).toBe(decided.length);
    for (const { facts } of decided) {
      const { outcome, reason, rule, failedProbes } = chooseFlow(facts['input'] as ChooserInput);
      expect({ outcome, reason, rule, failedProbes }).toEqual({ outcome: facts['outcome'], reason: facts['reason'], rule: facts['rule'], failedProbes: facts['failed_probes'] });
    }
  });

  it('[AL-07] the inventory is what the vault has, with what the log knows of it', async () => {
    const { grants } = (await vk.api('GET', '/v1/grants')).body;
    const { profiles } = (await vk.api('GET', '/v1/profiles')).body;
    const inventory = await takeInventory(grants, profiles, readLines(await auditFiles(join(vk.stateDir, 'audit'))), Math.floor(Date.now() / 1000));
    expect(inventory).toMatchObject([{
      profile: 'work', issuer: issuer.url, state: 'active', subject: 'ada', refreshable: true, signed_in_at: grants[0].signed_in_at,
      flows_used: { authorization_code: 2 }, callers: [{ program: expect.stringMatching(/./), releases: 2 }], stale: [],
    }]);
    expect(searchBytes('inventory', JSON.stringify(inventory), collectCanaries(issuer.minted, {}))).toEqual([]);
  });

  it('[AL-06] what is unusual is a record, and stands in the status and the state of the log', async () => {
    vk.caller = { uid: 4_242 };
    for (let n = 0; n < 7; n += 1) expect((await vk.api('POST', '/v1/token', { profile: 'work' })).body).toMatchObject({ code: 'policy_denied' });
    vk.caller = {};
    expect(of('detected')).toMatchObject([{ profile: 'work', caller: { uid: 4_242 }, facts: { detector: 'repeated_denials', path: expect.any(String), refusals: 5 } }]);
    expect((await vk.api('GET', '/v1/audit')).body.detections).toMatchObject([{ detector: 'repeated_denials', profile: 'work' }]);
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^noticed: .* was refused 5 times within five minutes/));
    await vk.restart();
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    vk.caller = { uid: 4_242 };
    // The window goes on: what the log ends with was learned.
    for (let n = 0; n < 7; n += 1) await vk.api('POST', '/v1/token', { profile: 'work' });
    vk.caller = {};
    expect(of('detected')).toHaveLength(1);
  });

  it('[AL-01] every verb leaves its event, with the facts that docs/audit.md names and no others', async () => {
    vk.facts = someFacts({ automation: 'CI' });
    await vk.api('POST', '/v1/logins', { profile: 'work' });
    vk.facts = someFacts();
    const cancelled = await vk.api('POST', '/v1/logins', { profile: 'work' });
    await vk.api('DELETE', `/v1/logins/${cancelled.body.id}`);
    await vk.api('POST', '/v1/lock');
    await vk.api('POST', '/v1/token', { profile: 'work', claimed: { name: 'me', reason: 'because' } });
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    await vk.api('POST', '/v1/reload');
    await vk.api('POST', '/v1/profiles', { name: 'second', profile: { issuer: issuer.url, client_id: 'valetkey', allow_loopback_http: true } });
    await vk.api('DELETE', '/v1/profiles/second');
    await vk.api('DELETE', '/v1/grants/work');
    await vk.api('POST', '/v1/purge');
    const documented = new Map(rowsOf(sectionOf(readDocument('docs/audit.md'), 'What is recorded')).filter(([event]) => /^`[a-z_]+`$/.test(event ?? '')).map(([event, , facts]) => [codeOf(event), [...(facts ?? '').matchAll(/`([a-z_]+)`/g)].map(([, name]) => name)]));
    const common = rowsOf(sectionOf(readDocument('docs/audit.md'), 'Common facts')).map(([fact]) => codeOf(fact)).filter((fact) => fact !== '');
    const seen = new Set(records().map(({ event }) => event));
    expect([...seen].toSorted()).toEqual([
      'audit_checkpoint', 'config_reloaded', 'daemon_started', 'daemon_stopped', 'detected', 'grant_removed', 'locked', 'login_decided', 'login_failed', 'login_finished',
      'profile_added', 'profile_removed', 'purged', 'token_refreshed', 'token_refused', 'token_released', 'token_revoked', 'unlocked',
    ]);
    for (const { event, facts } of records()) {
      expect(documented.has(event), event).toBe(true);
      expect(Object.keys(facts).filter((name) => documented.get(event)?.includes(name) !== true && !common.includes(name)), event).toEqual([]);
    }
    const required = { token_released: ['flow', 'tenant', 'account', 'issuer', 'client_id', 'scopes', 'resource', 'acr', 'amr', 'rule', 'token', 'signed_in_at'], login_finished: ['login', 'flow', 'reason', 'issuer', 'client_id', 'scopes', 'resource', 'tenant', 'account', 'acr', 'amr', 'signed_in_at'], login_decided: ['outcome', 'reason', 'rule', 'input', 'issuer', 'client_id', 'scopes'], token_refreshed: ['token', 'flow', 'issuer', 'scopes', 'resource', 'acr'], token_refused: ['rule', 'reason'], token_revoked: ['token', 'issuer', 'outcome'] } as const;
    for (const [event, names] of Object.entries(required)) for (const record of of(event)) expect(Object.keys(record.facts), event).toEqual(expect.arrayContaining([...names]));
    for (const event of ['token_released', 'token_refused', 'login_decided', 'login_finished', 'locked', 'profile_added', 'grant_removed', 'purged']) {
      for (const each of of(event)) expect(each.caller, event).toMatchObject({ pid: process.pid });
    }
    expect(await verifyAudit(file())).toMatchObject({ kind: 'intact' });
  });
});
