/** Workloads against a real authorization server: keys, tokens, their renewal, and their end. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { Caller } from '../../daemon/core/domain.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { someApprover, someAsker } from '../support/parties.ts';
import { decodeAssertion, initWorkload, registerKeys, workloadToml } from '../support/workload-rig.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;

beforeAll(async () => {
  issuer = await startIssuer({ workloads: true, lifetimes: { accessTokenS: 600 } });
});
afterEach(async () => vk?.stop());
afterAll(async () => issuer?.close());

const start = async (toml: string): Promise<void> => {
  vk = await startInProcess({ config: toml });
};
const token = (profile: string, more: object = {}) => vk.api('POST', '/v1/workload-tokens', { profile, ...more });
const assertions = (from = 0) => issuer.requests.slice(from).filter(({ params }) => params['client_assertion'] !== undefined).map(({ params }) => decodeAssertion(params['client_assertion']));

describe('[WL-02] a workload', () => {
  it.each(['ES256', 'PS256', 'RS256'])('gets a token by an assertion that its own %s key signed, and by nothing else', async (alg) => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    const from = issuer.requests.length;
    expect((await token('backup')).body).toMatchObject({ code: 'workload_key_required', hint: expect.stringContaining('valetkey workload init backup') });
    await initWorkload(vk, issuer, 'backup', alg);
    const reply = await token('backup');
    expect(reply.body).toMatchObject({ profile: 'backup', token_type: 'Bearer', scope: 'read', source: 'issuer' });
    expect(await issuer.introspect(reply.body.access_token)).toMatchObject({ active: true, client_id: 'backup-client', scope: 'read' });
    const [sent, ...others] = issuer.requests.slice(from).filter(({ endpoint }) => endpoint === 'token');
    expect(others).toEqual([]);
    expect(Object.keys(sent?.params ?? {}).toSorted()).toEqual(['client_assertion', 'client_assertion_type', 'client_id', 'grant_type', 'scope']);
    expect(sent?.headers['authorization']).toBeUndefined();
    expect(sent?.params).toMatchObject({ grant_type: 'client_credentials', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' });
    // From the cache, and anew where more life or a newer one is asked for.
    expect((await token('backup')).body).toMatchObject({ access_token: reply.body.access_token, source: 'cache' });
    expect((await token('backup', { force: true })).body.access_token).not.toBe(reply.body.access_token);
    expect((await token('backup', { min_ttl_s: 3_600 })).body).toMatchObject({ code: 'min_ttl_unmet' });
  });

  it('gives no token out of a cache that was there before a panic, and outruns no lock with one that is being recorded', async () => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    await initWorkload(vk, issuer, 'backup');
    await token('backup');
    expect((await token('backup')).body).toMatchObject({ source: 'cache' });
    await vk.api('POST', '/v1/panic');
    expect((await token('backup')).body).toMatchObject({ code: 'locked_out' });
    vk.isPlay = true;
    const { uid: _uid, ...person } = someApprover();
    vk.caller = person;
    expect((await vk.api('POST', '/v1/unlock', {})).status).toBe(200);
    expect((await token('backup')).body).toMatchObject({ source: 'issuer' });
    const append = vk.audit.append.bind(vk.audit);
    let write: () => void = () => undefined;
    vk.audit.append = async (event) => {
      if (event.event === 'workload_token_released') await new Promise<void>((resolve) => { write = resolve; });
      return append(event);
    };
    const leaving = token('backup', { force: true });
    await expect.poll(() => String(write)).not.toBe(String(() => undefined));
    await vk.api('POST', '/v1/lock');
    write();
    expect((await leaving).body).toMatchObject({ code: 'vault_locked' });
  });

  it('[AU-07] proves itself by assertions for the issuer alone, typed, each its own, and good for a minute', async () => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    await initWorkload(vk, issuer, 'backup');
    const from = issuer.requests.length;
    for (let n = 0; n < 3; n += 1) expect((await token('backup', { force: true })).status).toBe(200);
    // The revocation of its tokens is proved in the same way.
    expect((await vk.api('DELETE', '/v1/workloads/backup')).body).toMatchObject({ profile: 'backup', revoked: [{ outcome: 'revoked' }] });
    expect(issuer.requests.slice(from).filter(({ endpoint }) => endpoint === 'revocation').map(({ status }) => status)).toEqual([200]);
    const all = assertions(from);
    expect(all.length).toBe(4);
    for (const { header, claims } of all) {
      expect(header).toMatchObject({ alg: 'ES256', typ: 'client-authentication+jwt' });
      expect(claims).toMatchObject({ iss: 'backup-client', sub: 'backup-client', aud: issuer.url });
      expect(Number(claims['exp']) - Number(claims['iat'])).toBeLessThanOrEqual(60);
    }
    expect(new Set(all.map(({ claims }) => claims['jti'])).size).toBe(4);
  });

  it('asks once for a hundred callers of the same scopes, and once more for others', async () => {
    await start(`[limits]\nconnections_per_process = 1000\n${workloadToml('backup', issuer.url, 'scopes = ["read"]')}`);
    await initWorkload(vk, issuer, 'backup');
    const before = issuer.count('token', 'client_credentials');
    const replies = await Promise.all(Array.from({ length: 100 }, () => token('backup')));
    expect(new Set(replies.map(({ body }) => body.access_token)).size).toBe(1);
    expect(issuer.count('token', 'client_credentials')).toBe(before + 1);
    expect((await token('backup', { scopes: ['write'], resource: 'https://api.example.com' })).body).toMatchObject({ scope: 'write', resource: 'https://api.example.com' });
    expect(issuer.count('token', 'client_credentials')).toBe(before + 2);
  });

  it('changes its key while the old one is still known, so that no request fails', async () => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    await initWorkload(vk, issuer, 'backup');
    const step = async (name: string) => (await vk.api('POST', '/v1/workloads/backup/keys', { step: name })).body;
    const kidOf = (at: number) => assertions(at).map(({ header }) => header['kid']);
    const rotated = await step('rotate');
    expect(rotated.workload.keys.map(({ state }: { state: string }) => state)).toEqual(['active', 'next']);
    const [old, next] = rotated.workload.keys;
    // It is listed, and does not sign: nobody has registered it yet.
    let at = issuer.requests.length;
    expect((await token('backup', { force: true })).status).toBe(200);
    expect(kidOf(at)).toEqual([old.kid]);
    expect(await step('rotate')).toMatchObject({ code: 'workload_key_conflict', hint: expect.stringContaining('--activate') });
    registerKeys(issuer, 'backup', [old.jwk, next.jwk]);
    expect((await step('activate')).workload.keys.map(({ state }: { state: string }) => state)).toEqual(['retiring', 'active']);
    at = issuer.requests.length;
    expect((await token('backup', { force: true })).status).toBe(200);
    expect(kidOf(at)).toEqual([next.kid]);
    expect((await step('retire')).workload.keys.map(({ kid }: { kid: string }) => kid)).toEqual([next.kid]);
    expect(await step('retire')).toMatchObject({ code: 'workload_key_conflict' });
  });

  it('says what the issuer said, and does not ask again at once', async () => {
    await start(workloadToml('stranger', issuer.url, 'scopes = ["read"]'));
    await vk.api('POST', '/v1/workloads/stranger/keys', { step: 'init' });
    const before = issuer.count('token', 'client_credentials');
    for (let n = 0; n < 5; n += 1) expect((await token('stranger')).body).toMatchObject({ code: 'issuer_refused', detail: expect.stringContaining('invalid_client') });
    expect(issuer.count('token', 'client_credentials')).toBe(before + 1);
  });

  it('gives none after its last day, when it is locked, or under another issuer', async () => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    await initWorkload(vk, issuer, 'backup');
    expect((await token('backup')).status).toBe(200);
    await vk.api('POST', '/v1/lock');
    expect((await token('backup')).body.code).toBe('vault_locked');
    await vk.api('POST', '/v1/unlock', {});
    expect((await token('backup')).body.source).toBe('issuer');
    await vk.config(workloadToml('backup', issuer.url, 'scopes = ["read"]').replace('2099-01-01', '2020-01-01'));
    await vk.api('POST', '/v1/reload');
    expect((await token('backup')).body).toMatchObject({ code: 'workload_expired', detail: expect.stringContaining('team EXAMPLE owns it') });
    await vk.config(workloadToml('backup', issuer.url, 'scopes = ["read"]').replace('backup-client', 'another-client'));
    await vk.api('POST', '/v1/reload');
    expect((await token('backup')).body).toMatchObject({ code: 'workload_key_required', detail: expect.stringContaining('another issuer or client') });
  });

  it('[WL-04] of a privileged tier is asked about each time, whoever asks, and an agent is on record as one', async () => {
    await start(workloadToml('deploy', issuer.url, 'scopes = ["admin"]\ntier = "privileged"'));
    await initWorkload(vk, issuer, 'deploy');
    const as = ({ uid: _uid, ...facts }: Caller): void => { vk.caller = facts; };
    vk.isPlay = true;
    as(someApprover());
    expect((await vk.api('POST', '/v1/approval-pin', { pin: '471100' })).status).toBe(200);
    as(someAsker());
    const before = issuer.count('token', 'client_credentials');
    expect((await token('deploy', { wait_s: 0, scopes: ['read'] })).body).toMatchObject({ code: 'approval_required', reason: 'shipped/privileged-each' });
    expect(issuer.count('token', 'client_credentials')).toBe(before);
    expect(vk.audit.events.findLast(({ event }) => event === 'workload_token_refused')).toMatchObject({ caller: { origin: { class: 'agent' } }, facts: { code: 'approval_required' } });
    const agree = async (): Promise<void> => {
      // The first question is open still; the other one has been put when whoever asked was looked at.
      const pending = async () => (await vk.api('GET', '/v1/approvals')).body.pending;
      await expect.poll(async () => (await pending()).length).toBe(2);
      const question = (await pending()).at(-1);
      as(someApprover());
      expect((await vk.api('POST', `/v1/approvals/${question.id}`, { allow: true, pin: '471100' })).status).toBe(200);
      as(someAsker());
    };
    // The ceiling of the tier holds after the yes: five minutes, and this issuer gives ten.
    const waiting = token('deploy', { wait_s: 60 });
    await agree();
    expect((await waiting).body).toMatchObject({ code: 'as_token_too_long', reason: 'tier/privileged' });
    issuer.setLifetimes({ accessTokenS: 300 });
    try {
      const again = token('deploy', { wait_s: 60, force: true });
      await agree();
      expect((await again).body).toMatchObject({ source: 'issuer', rule: 'shipped/privileged-each' });
      expect(vk.audit.events.findLast(({ event }) => event === 'workload_token_released')).toMatchObject({ caller: { origin: { class: 'agent' } }, facts: { approval: expect.any(String) } });
    } finally {
      issuer.setLifetimes({ accessTokenS: 600 });
    }
  });

  it('is asked about anew where the consent was taken back while its token was fetched', async () => {
    const hostile = await startHostileIssuer({ workloads: true });
    try {
      await start(workloadToml('backup', hostile.url, 'scopes = ["read"]'));
      await vk.policy('user', 'v = 1\n[[rules]]\nname = "ask"\ndecide = "confirm"\nask = "for:1h"\n');
      await vk.api('POST', '/v1/reload');
      vk.isPlay = true;
      const as = ({ uid: _uid, ...facts }: Caller): void => { vk.caller = facts; };
      as(someApprover());
      await initWorkload(vk, hostile.issuer, 'backup');
      as(someAsker());
      const first = token('backup', { wait_s: 30 });
      await expect.poll(async () => (await vk.api('GET', '/v1/approvals')).body.pending.length).toBe(1);
      const [{ id }] = (await vk.api('GET', '/v1/approvals')).body.pending;
      as(someApprover());
      await vk.api('POST', `/v1/approvals/${id}`, { allow: true });
      as(someAsker());
      expect((await first).body).toMatchObject({ rule: 'user/ask' });
      const slow = hostile.fault('token', faults.delay(400));
      const waiting = token('backup', { force: true, wait_s: 2 });
      await expect.poll(() => slow.hits).toBe(1);
      expect((await vk.api('DELETE', `/v1/approvals/${id}`)).status).toBe(200);
      expect((await waiting).body).toMatchObject({ code: 'approval_required', reason: 'user/ask' });
    } finally {
      await hostile.close();
    }
  });

  it('is decided on anew where policy or profile changed while its token was fetched', async () => {
    const hostile = await startHostileIssuer({ workloads: true });
    try {
      await start(workloadToml('backup', hostile.url, 'scopes = ["read"]'));
      await initWorkload(vk, hostile.issuer, 'backup');
      const slowly = async (change: () => Promise<unknown>) => {
        const before = hostile.requestsTo('token').length;
        hostile.fault('token', faults.delay(400));
        const waiting = token('backup', { force: true });
        await expect.poll(() => hostile.requestsTo('token').length).toBeGreaterThan(before);
        await change();
        await vk.api('POST', '/v1/reload');
        return (await waiting).body;
      };
      expect(await slowly(async () => undefined)).toMatchObject({ profile: 'backup', access_token: expect.any(String) });
      expect(await slowly(() => vk.policy('admin', 'v = 1\n[[rules]]\nname = "none"\ndecide = "deny"'))).toMatchObject({ code: 'policy_denied', reason: 'admin/none' });
      await vk.policy('admin', 'v = 1\n[[rules]]\nname = "all"\ndecide = "allow"');
      await vk.api('POST', '/v1/reload');
      expect(await slowly(() => vk.config(profileToml('backup', hostile.url)))).toMatchObject({ code: 'workload_flow_for_human' });
    } finally {
      await hostile.close();
    }
  });

  it('is decided on like everybody, as what it is: client_credentials', async () => {
    await start(workloadToml('backup', issuer.url, 'scopes = ["read"]') + workloadToml('deploy', issuer.url, 'scopes = ["write"]\ntier = "high"') + profileToml('work', issuer.url));
    await vk.policy('admin', [
      'v = 1',
      '[[rules]]\nname = "no-deploys"\nwhen = { flow = "client_credentials", profile = "deploy" }\ndecide = "deny"\nreason = "not from here"',
      '[[rules]]\nname = "people-only"\nwhen = { scopes = { any = ["admin"] } }\ndecide = "allow"\nceiling = { flows = ["authorization_code"] }',
      '[[rules]]\nname = "backups"\nwhen = { flow = "client_credentials" }\ndecide = "allow"\nceiling = { scopes = ["read"] }',
    ].join('\n'));
    await vk.api('POST', '/v1/reload');
    await initWorkload(vk, issuer, 'backup');
    await initWorkload(vk, issuer, 'deploy');
    expect((await token('backup')).body).toMatchObject({ rule: 'admin/backups' });
    expect((await token('backup', { scopes: ['read', 'write'] })).body).toMatchObject({ code: 'policy_denied' });
    expect((await token('backup', { scopes: ['admin'] })).body).toMatchObject({ code: 'policy_denied', reason: 'admin/people-only' });
    expect((await token('deploy')).body).toMatchObject({ code: 'policy_denied', reason: 'admin/no-deploys' });
    expect((await vk.api('POST', '/v1/policy/explain', { profile: 'backup' })).body).toMatchObject({ decision: 'allow', rule: 'admin/backups', outcome: 'allow' });
    expect((await vk.api('POST', '/v1/policy/explain', { profile: 'backup', scopes: ['admin'] })).body).toMatchObject({ outcome: 'policy_denied' });
    expect(vk.audit.events.filter(({ event }) => event === 'workload_token_refused').map(({ facts }) => facts['rule'])).toEqual(['admin/backups', 'admin/people-only', 'admin/no-deploys']);
  });
});
