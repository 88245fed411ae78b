import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { WorkloadTokenReply, WorkloadView } from '../../../shared/workload-schemas.ts';
import { NOW, run } from './fake-world.ts';
import { privateDirectory } from './stand-in.ts';

const jwk = (kid: string) => ({ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' });
const key = (kid: string, state: 'active' | 'next' | 'retiring' = 'active') => ({ kid, alg: 'ES256' as const, state, made_at: NOW - 86_400, jwk: jwk(kid) });
const view: WorkloadView = {
  profile: 'backup', issuer: 'https://login.example.com', client_id: 'backup-client', scopes: ['read'], resource: null, tier: 'normal', auth: 'private_key_jwt', assertion: null,
  owner: 'storage team', purpose: 'the nightly backup', expires_at: NOW + 30 * 86_400, last_used_at: NOW - 3_600, keys: [key('k1')], flags: [],
};
const orphan: WorkloadView = { ...view, profile: 'orphan', auth: 'federated', assertion: '/run/token', owner: null, purpose: null, expires_at: null, last_used_at: NOW - 40 * 86_400, keys: [], flags: ['nobody owns it', 'it has no purpose', 'it never expires', 'not used for 40 days'] };
const reply: WorkloadTokenReply = { profile: 'backup', access_token: 'at-EXAMPLE', token_type: 'Bearer', expires_at: NOW + 600, scope: 'read', resource: null, source: 'cache', granted_beyond: [], rule: 'shipped/login-session' };

describe('workload token', () => {
  it('prints the token alone, as a header, for a shell, or as a document', async () => {
    const api = { workloadToken: () => reply };
    expect(await run(['workload', 'token', 'backup'], { api })).toMatchObject({ exit: 0, stdout: 'at-EXAMPLE\n', stderr: '' });
    expect((await run(['workload', 'token', 'backup', '--format', 'header'], { api })).stdout).toBe('Authorization: Bearer at-EXAMPLE\n');
    expect((await run(['workload', 'token', 'backup', '--format', 'env'], { api })).stdout).toContain("export VALETKEY_TOKEN='at-EXAMPLE'");
    expect(JSON.parse((await run(['workload', 'token', 'backup', '--json'], { api })).stdout)).toEqual(reply);
    expect((await run(['workload', 'token', 'backup', '--scope', 'a b', '--scope', 'c', '--resource', 'https://api.example.com', '--min-ttl', '300', '--force'], { api })).calls).toEqual([
      ['workloadToken', { profile: 'backup', scopes: ['a', 'b', 'c'], resource: 'https://api.example.com', min_ttl_s: 300, force: true }, expect.anything()],
    ].map((call) => call.slice(0, 2)).map((call) => expect.arrayContaining(call)));
  });

  it('takes the profile from the command line alone, and says what is wrong with the rest', async () => {
    expect(await run(['workload', 'token'], { env: { VALETKEY_PROFILE: 'backup' }, api: { workloadToken: () => reply } })).toMatchObject({ exit: 2, stdout: '' });
    expect((await run(['workload', 'token', 'backup', '--json', '--format', 'raw'], {})).exit).toBe(2);
    expect((await run(['workload', 'token', 'backup', '--min-ttl', 'x'], {})).exit).toBe(2);
    const refused = () => { throw ValetkeyError.local('workload_flow_for_human', 'work is a person\'s profile', { hint: 'Run: valetkey token work' }); };
    expect(await run(['workload', 'token', 'work'], { api: { workloadToken: refused } })).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('Run: valetkey token work') });
  });
});

describe('workload keys', () => {
  const changed = (keys = [key('k1')], lasting = true) => ({ changeWorkloadKeys: () => ({ workload: { ...view, keys }, lasting, revoked: [] }) });

  it('are printed as the set to be registered, and nothing else on standard output', async () => {
    const { exit, stdout, stderr, calls } = await run(['workload', 'init', 'backup', '--alg', 'PS256'], { api: changed() });
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ keys: [jwk('k1')] });
    expect(stderr).toContain('Register this key for client backup-client at https://login.example.com');
    expect(calls[0]?.slice(0, 3)).toEqual(['changeWorkloadKeys', 'backup', { step: 'init', alg: 'PS256' }]);
    expect(JSON.parse((await run(['workload', 'init', 'backup', '--json'], { api: changed() })).stdout)).toMatchObject({ workload: { profile: 'backup' }, lasting: true, jwks: { keys: [jwk('k1')] } });
  });

  it('that end with the daemon are warned of', async () => {
    expect((await run(['workload', 'init', 'backup'], { api: changed([key('k1')], false) })).stderr).toContain('this key ends with the daemon');
  });

  it('rotate in three steps, each of which names the next', async () => {
    const both = [key('k1'), key('k2', 'next')];
    const first = await run(['workload', 'rotate', 'backup'], { api: changed(both) });
    expect(JSON.parse(first.stdout)).toEqual({ keys: [jwk('k1'), jwk('k2')] });
    expect(first.stderr).toContain('valetkey workload rotate backup --activate');
    const second = await run(['workload', 'rotate', 'backup', '--activate'], { api: changed(both) });
    expect(second.stderr).toContain('valetkey workload rotate backup --retire');
    const third = await run(['workload', 'rotate', 'backup', '--retire'], { api: changed() });
    expect(third.stderr).toContain('Take it out at https://login.example.com as well');
    expect([first, second, third].map(({ calls }) => calls[0]?.[2])).toEqual([{ step: 'rotate' }, { step: 'activate' }, { step: 'retire' }]);
    expect((await run(['workload', 'rotate', 'backup', '--activate', '--retire'], { api: changed() })).exit).toBe(2);
  });
});

describe('workloads', () => {
  const api = { workloads: () => ({ workloads: [view, orphan] }) };

  it('are listed with what to look at, by name with --quiet, and as a document', async () => {
    const { stdout } = await run(['workload', 'list'], { api });
    expect(stdout).toMatch(/^WORKLOAD +ISSUER +PROOF +OWNER +EXPIRES +LAST USED +LOOK AT\n/);
    expect(stdout).toMatch(/orphan .* federated +- +never +40 d ago +nobody owns it; it has no purpose; it never expires; not used for 40 days/);
    expect((await run(['workload', 'list', '--quiet'], { api })).stdout).toBe('backup\norphan\n');
    expect(JSON.parse((await run(['workload', 'list', '--json'], { api })).stdout)).toEqual(api.workloads());
    expect((await run(['workload', 'list'], { api: { workloads: () => ({ workloads: [] }) } })).stderr).toContain('[workloads.NAME]');
  });

  it('are shown one by one, and their keys alone', async () => {
    const { stdout } = await run(['workload', 'show', 'backup'], { api });
    expect(stdout).toMatch(/Owner +storage team\n/);
    expect(stdout).toMatch(/Key +k1, ES256, active, made 24 h ago\n/);
    expect((await run(['workload', 'show', 'orphan'], { api })).stdout).toMatch(/Proves itself by +an assertion from \/run\/token\n/);
    expect(JSON.parse((await run(['workload', 'show', 'backup', '--jwks'], { api })).stdout)).toEqual({ keys: [jwk('k1')] });
    expect(await run(['workload', 'show', 'nope'], { api })).toMatchObject({ exit: 8, stderr: expect.stringContaining('there are: backup, orphan') });
  });

  it('are removed, with a word on what lives on', async () => {
    const removed = { removeWorkload: () => ({ profile: 'backup', revoked: [{ outcome: 'revoked' as const, until: NOW + 60 }, { outcome: 'failed' as const, until: NOW + 600 }] }) };
    const { exit, stderr } = await run(['workload', 'remove', 'backup'], { api: removed });
    expect(exit).toBe(0);
    expect(stderr).toContain('could not be revoked; it lives for 10 min');
    expect(stderr).toContain('1 token of it revoked');
    const kept = await run(['workload', 'remove', 'backup', '--keep-profile'], { api: { changeWorkloadKeys: () => ({ workload: { ...view, keys: [] }, lasting: true, revoked: [] }) } });
    expect(kept.calls[0]?.slice(0, 3)).toEqual(['changeWorkloadKeys', 'backup', { step: 'forget' }]);
  });

  it('[WL-05] stand in the inventory, and --stale 30d lists the orphans alone', async () => {
    const base = privateDirectory();
    const all = { ...api, grants: () => ({ grants: [] }), profiles: () => ({ profiles: [] }) };
    const { stdout, stderr } = await run(['inventory'], { base, api: all });
    expect(stdout).toMatch(/^WORKLOAD +OWNER +PROOF/);
    expect(stdout).toMatch(/^backup +storage team/m);
    expect(stderr).toContain('1 workload to look at');
    const stale = JSON.parse((await run(['inventory', '--stale', '30d', '--json'], { base, api: all })).stdout) as { workloads: { profile: string; stale: string[] }[] };
    expect(stale.workloads.map(({ profile, stale: why }) => [profile, why])).toEqual([['orphan', orphan.flags]]);
    // By another number of days than the daemon's own.
    const strict = JSON.parse((await run(['inventory', '--stale', '1h', '--json'], { base, api: { ...all, workloads: () => ({ workloads: [{ ...view, last_used_at: NOW - 7_200 }] }) } })).stdout) as { workloads: { stale: string[] }[] };
    expect(strict.workloads[0]?.stale).toEqual(['not used for 2 hours']);
    const loose = await run(['inventory', '--stale', '60d', '--json'], { base, api: all });
    expect((JSON.parse(loose.stdout) as { workloads: { stale: string[] }[] }).workloads[0]?.stale).toEqual(['nobody owns it', 'it has no purpose', 'it never expires']);
    expect((await run(['inventory', '--stale', 'soon'], { base, api: all })).exit).toBe(2);
  });
});
