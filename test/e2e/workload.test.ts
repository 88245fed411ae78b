/** A workload with the built programs, from its key to its end. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { registerKeys, workloadToml } from '../support/workload-rig.ts';
import { makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

describe('a workload of the built programs', { timeout: 30_000 }, () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let token = '';
  const configFile = (): string => join(home.base, 'config/valetkey/config.toml');

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer({ workloads: true });
    mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
    writeFileSync(configFile(), `# mine\n${profileToml('work', issuer.url)}\n# the backup\n${workloadToml('backup', issuer.url, 'scopes = ["read"]')}`, { mode: 0o600 });
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  it('gets a key that is registered, and a token by it', async () => {
    const made = await home.valetkey(['workload', 'init', 'backup']);
    expect(made).toMatchObject({ exit: 0, stderr: expect.stringContaining('Register this key for client backup-client') });
    const { keys } = JSON.parse(made.stdout) as { keys: Readonly<Record<string, string>>[] };
    expect(Object.keys(keys[0] ?? {}).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    registerKeys(issuer, 'backup', keys);
    const got = await home.valetkey(['workload', 'token', 'backup']);
    expect(got).toMatchObject({ exit: 0, stderr: '' });
    token = got.stdout.trim();
    expect(await issuer.introspect(token)).toMatchObject({ active: true, client_id: 'backup-client' });
    expect((await home.valetkey(['workload', 'token', 'backup', '--format', 'header'])).stdout).toBe(`Authorization: Bearer ${token}\n`);
  });

  it('[WL-01] is no profile, nor is a profile one: each verb names the other', async () => {
    expect(await home.valetkey(['token', 'backup'])).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('Run: valetkey workload token backup') });
    expect(await home.valetkey(['login', 'backup'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('human_flow_for_workload') });
    expect(await home.valetkey(['workload', 'token', 'work'])).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('Run: valetkey token work') });
  });

  it('is found by its leaked token, and stands in the inventory', async () => {
    const traced = await home.valetkey(['audit', 'trace'], { stdin: token });
    expect(traced).toMatchObject({ exit: 0, stderr: '' });
    expect(traced.stdout).toMatch(/Login +none: a workload's own \(private_key_jwt\)\n/);
    const { workloads } = JSON.parse((await home.valetkey(['inventory', '--json'])).stdout) as { workloads: { profile: string; callers: { releases: number }[]; stale: string[] }[] };
    expect(workloads).toMatchObject([{ profile: 'backup', owner: 'team EXAMPLE', callers: [{ releases: expect.any(Number) }], stale: [] }]);
    expect((await home.valetkey(['workload', 'show', 'backup'])).stdout).toMatch(/Last used +(just now|\d+ s ago)/);
  });

  it('changes its key, and is removed with its table, and nothing else of the configuration', async () => {
    for (const step of [[], ['--activate'], ['--retire']]) expect((await home.valetkey(['workload', 'rotate', 'backup', ...step])).exit).toBe(0);
    const jwks = JSON.parse((await home.valetkey(['workload', 'show', 'backup', '--jwks'])).stdout) as { keys: object[] };
    expect(jwks.keys.length).toBe(1);
    registerKeys(issuer, 'backup', jwks.keys);
    expect(await home.valetkey(['workload', 'remove', 'backup'])).toMatchObject({ exit: 0, stderr: expect.stringContaining('1 token of it revoked') });
    expect(await issuer.introspect(token)).toMatchObject({ active: false });
    const text = readFileSync(configFile(), 'utf8');
    expect(text).toContain('# mine');
    expect(text).toContain('[profiles.work]');
    expect(text).not.toContain('workloads');
    expect(await home.valetkey(['workload', 'token', 'backup'])).toMatchObject({ exit: 8, stderr: expect.stringContaining('there is no workload of this name') });
  });
});
