/**
 * WL-01: people's grants and workloads have separate stores, verbs, caches and records, and no request crosses over. The
 * issuer itself tells which is which: what a person signed in for has a subject, what a client got for itself has none.
 */
import { readdirSync } from 'node:fs';
import { cp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { initWorkload, workloadToml } from '../support/workload-rig.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
const PASSPHRASE = 'correct horse EXAMPLE';
const PEOPLE = ['work', 'home'];
const WORKLOADS = ['backup', 'deploy'];

beforeAll(async () => {
  issuer = await startIssuer({ workloads: true, resources: ['https://api.example.com'] });
  vk = await startInProcess({
    config: PEOPLE.map((name) => profileToml(name, issuer.url)).join('\n') + WORKLOADS.map((name) => workloadToml(name, issuer.url, 'scopes = ["read"]')).join('\n'),
    backend: 'passphrase',
  });
  await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true });
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});

const token = (profile: string, more: object = {}) => vk.api('POST', '/v1/token', { profile, ...more });
const workloadToken = (profile: string, more: object = {}) => vk.api('POST', '/v1/workload-tokens', { profile, ...more });

describe('[WL-01] people and workloads', () => {
  it('with only a human grant a workload gets nothing, and the reverse', async () => {
    await vk.signIn('work', 'alice');
    expect((await token('work')).status).toBe(200);
    expect((await workloadToken('work')).body).toMatchObject({ code: 'workload_flow_for_human', hint: 'Run: valetkey token work' });
    expect((await workloadToken('backup')).body).toMatchObject({ code: 'workload_key_required' });
    await initWorkload(vk, issuer, 'backup');
    expect((await workloadToken('backup')).status).toBe(200);
    expect((await token('backup')).body).toMatchObject({ code: 'human_flow_for_workload', hint: 'Run: valetkey workload token backup' });
    expect((await token('home')).body).toMatchObject({ code: 'login_required' });
  });

  it.each([
    ['POST', '/v1/logins', { profile: 'backup' }], ['POST', '/v1/logins', { profile: 'backup', flow: 'device' }],
    ['POST', '/v1/token', { profile: 'backup', interaction: 'allowed' }], ['DELETE', '/v1/grants/backup', undefined], ['DELETE', '/v1/profiles/backup', undefined],
  ])('nobody signs in to a workload, or out of it: %s %s %o', async (verb, path, body) => {
    const before = issuer.requests.length;
    expect((await vk.api(verb, path, body)).body).toMatchObject({ code: 'human_flow_for_workload' });
    expect(issuer.requests.slice(before)).toEqual([]);
  });

  it.each([['POST', '/v1/workloads/work/keys', { step: 'init' }], ['DELETE', '/v1/workloads/work', undefined]])('a person\'s profile has no keys: %s %s', async (verb, path, body) => {
    expect((await vk.api(verb, path, body)).body).toMatchObject({ code: 'workload_flow_for_human' });
  });

  it('one name is one thing: a profile and a workload of the same name are no configuration', async () => {
    await vk.config(profileToml('work', issuer.url) + workloadToml('work', issuer.url));
    expect((await vk.api('POST', '/v1/reload')).body).toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('"work" in [workloads] is the name of a profile too') });
  });

  it('no request gets what belongs to the other, whatever is asked for in which order', async () => {
    await initWorkload(vk, issuer, 'deploy');
    await vk.signIn('home', 'bob');
    const kinds = new Map<string, boolean>();
    const isPersons = async (value: string): Promise<boolean> => {
      const known = kinds.get(value) ?? 'sub' in (await issuer.introspect(value));
      kinds.set(value, known);
      return known;
    };
    const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
    const request = fc.record({
      path: fc.constantFrom('/v1/token', '/v1/workload-tokens'), profile: fc.constantFrom(...PEOPLE, ...WORKLOADS, 'nobody'),
      scopes: rarely(fc.subarray(['read', 'write', 'openid', 'email', 'admin'])),
      resource: rarely(fc.constant('https://api.example.com')), force: fc.option(fc.boolean(), { nil: undefined }), min_ttl_s: fc.option(fc.constantFrom(0, 60, 600), { nil: undefined }),
    });
    let released = 0;
    await fc.assert(fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), async (requests) => {
      const replies = await Promise.all(requests.map(async ({ path, ...body }) => ({ path, body, reply: await vk.api('POST', path, JSON.parse(JSON.stringify(body))) })));
      for (const { path, body, reply } of replies) {
        const isForPeople = path === '/v1/token';
        if (reply.status !== 200) continue;
        released += 1;
        expect(isForPeople ? PEOPLE : WORKLOADS).toContain(body.profile);
        expect(reply.body.profile).toBe(body.profile);
        expect(await isPersons(reply.body.access_token)).toBe(isForPeople);
      }
    }), { numRuns: 60 });
    expect(released).toBeGreaterThan(40);
    expect(new Set(kinds.values())).toEqual(new Set([true, false]));
  }, 60_000);

  it('are on record by events of their own', () => {
    const names = (of: string) => new Set(vk.audit.events.filter(({ event }) => event === of).map(({ profile }) => profile));
    for (const name of WORKLOADS) expect(names('token_released')).not.toContain(name);
    for (const name of PEOPLE) for (const event of ['workload_token_released', 'workload_token_obtained']) expect(names(event)).not.toContain(name);
    expect([...names('workload_token_released')].toSorted()).toEqual(WORKLOADS);
  });

  it('are sealed in folders of their own, and a file of one kind does not open as the other', async () => {
    expect(readdirSync(join(vk.stateDir, 'workloads')).toSorted()).toEqual(['backup.jwe', 'deploy.jwe']);
    expect(readdirSync(join(vk.stateDir, 'grants')).toSorted()).toEqual(['home.jwe', 'work.jwe']);
    await vk.api('POST', '/v1/lock');
    await rename(join(vk.stateDir, 'workloads', 'backup.jwe'), join(vk.stateDir, 'grants', 'work.jwe'));
    await cp(join(vk.stateDir, 'grants', 'home.jwe'), join(vk.stateDir, 'workloads', 'deploy.jwe'));
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    expect((await token('work')).body).toMatchObject({ code: 'login_required', reason: 'vault_corrupt' });
    expect((await token('home')).status).toBe(200);
    expect((await workloadToken('backup')).body).toMatchObject({ code: 'workload_key_required' });
    expect((await workloadToken('deploy')).body).toMatchObject({ code: 'vault_corrupt' });
    expect(readdirSync(join(vk.stateDir, 'workloads'))).toEqual(['deploy.jwe.corrupt-1']);
  });
});
