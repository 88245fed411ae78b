/** What becomes of workloads' tokens at a panic and at a purge: revoked by the workload's own client, or named with their end. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { decodeAssertion, initWorkload, registerKeys, workloadToml } from '../support/workload-rig.ts';

const PASSPHRASE = 'correct horse EXAMPLE';

let well: HostileIssuer;
let ill: HostileIssuer;
let vk: InProcess;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vk-'));
  const options = { workloads: true, lifetimes: { accessTokenS: 600 } };
  [well, ill] = await Promise.all([startHostileIssuer(options), startHostileIssuer(options)]);
});
afterEach(async () => {
  await vk?.stop();
  await Promise.all([well.close(), ill.close()]);
  await rm(dir, { recursive: true, force: true });
});

async function start(config: string): Promise<void> {
  vk = await startInProcess({ config, backend: 'passphrase', issuerTimeoutMs: 8_000 });
  vk.caller = { origin: someOrigin() };
  vk.isPlay = true;
  expect((await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true })).status).toBe(200);
}
const token = async (profile: string, more: object = {}) => (await vk.api('POST', '/v1/workload-tokens', { profile, ...more })).body;
const panic = async () => (await vk.api('POST', '/v1/panic')).body;
const isAlive = async ({ issuer }: HostileIssuer, value: string): Promise<boolean> => (await issuer.introspect(value)).active;
const tombstones = async () => (await readdir(join(vk.stateDir, 'revocations')).catch(() => [])).filter((name) => name.endsWith('.jwe'));
const pending = async () => (await vk.api('GET', '/v1/status')).body.pending_revocations;
const unlock = () => vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });

describe('panic', () => {
  it('[RV-02] revokes the access tokens of workloads, each by its own client, and says so', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]') + workloadToml('hourly', ill.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    await initWorkload(vk, ill.issuer, 'hourly');
    const held = [await token('nightly'), await token('nightly', { scopes: ['write'] }), await token('hourly')];
    const reply = await panic();
    expect(reply.grants).toEqual([]);
    expect(reply.workloads).toEqual([
      { profile: 'nightly', issuer: well.url, revoked: Array.from({ length: 2 }, () => ({ token: 'access_token', outcome: 'revoked', until: null })) },
      { profile: 'hourly', issuer: ill.url, revoked: [{ token: 'access_token', outcome: 'revoked', until: null }] },
    ]);
    for (const [i, { access_token: value }] of held.entries()) expect(await isAlive(i < 2 ? well : ill, value)).toBe(false);
    const [sent] = well.requestsTo('revocation');
    expect(decodeAssertion(sent?.params['client_assertion'])).toMatchObject({ claims: { iss: 'nightly-client', aud: well.url } });
    expect(await token('nightly')).toMatchObject({ code: 'locked_out' });
    const [recorded] = vk.audit.events.filter(({ event }) => event === 'panic');
    expect(recorded?.facts).toMatchObject({ grants: [], workloads: ['nightly', 'hourly'], workloads_alive: [], not_revoked: 0 });
    expect(vk.audit.events.filter(({ event }) => event === 'workload_token_revoked')).toHaveLength(3);
    expect(vk.audit.events.filter(({ event }) => event === 'token_revoked')).toEqual([]);
    expect(await tombstones()).toEqual([]);
  }, 60_000);

  it('does so with somebody else\'s word as well, which is read anew', async () => {
    await start(workloadToml('job', well.url, `scopes = ["read"]\nassertion_from = "jwt"\nassertion_file = "${join(dir, 'token')}"`));
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    registerKeys(well.issuer, 'job', [{ ...(await exportJWK(publicKey)), kid: 'service', alg: 'ES256', use: 'sig' }]);
    const put = async (jti: string): Promise<void> => {
      const nowS = Math.floor(Date.now() / 1000);
      const jwt = await new SignJWT({ iss: 'job-client', sub: 'job-client', aud: well.url, jti, iat: nowS, exp: nowS + 60 })
        .setProtectedHeader({ alg: 'ES256', kid: 'service', typ: 'client-authentication+jwt' }).sign(privateKey);
      await writeFile(join(dir, 'token'), jwt, { mode: 0o600 });
    };
    await put('for-the-token');
    const { access_token: value } = await token('job');
    await put('for-the-revocation');
    expect((await panic()).workloads).toMatchObject([{ profile: 'job', revoked: [{ outcome: 'revoked' }] }]);
    expect(await isAlive(well, value)).toBe(false);
    expect(decodeAssertion(well.requestsTo('revocation')[0]?.params['client_assertion']).claims['jti']).toBe('for-the-revocation');
  }, 60_000);

  it('is not held up by a workload that cannot prove itself', async () => {
    const config = (issuer: HostileIssuer): string => workloadToml('nightly', issuer.url, 'scopes = ["read"]') + workloadToml('broken', issuer.url, 'scopes = ["read"]');
    await start(config(well));
    await initWorkload(vk, well.issuer, 'broken');
    await initWorkload(vk, well.issuer, 'nightly');
    for (const scopes of [['read'], ['write'], ['admin'], ['read', 'write'], ['read', 'admin'], ['write', 'admin']]) expect(await token('broken', { scopes })).toMatchObject({ source: 'issuer' });
    const { access_token: value } = await token('nightly');
    // Its sealed key does not open any more.
    await writeFile(join(vk.stateDir, 'workloads', 'broken.jwe'), 'damaged', { mode: 0o600 });
    const { workloads } = await panic();
    const outcomesOf = (profile: string) => new Set(workloads.find((each: { profile: string }) => each.profile === profile).revoked.map(({ outcome }: { outcome: string }) => outcome));
    expect([outcomesOf('broken'), outcomesOf('nightly')]).toEqual([new Set(['pending']), new Set(['revoked'])]);
    expect(await isAlive(well, value)).toBe(false);
  }, 60_000);

  it('names what lives on and until when, keeps it sealed alone, and has it revoked after the next unlock', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]') + workloadToml('hourly', ill.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    await initWorkload(vk, ill.issuer, 'hourly');
    await token('nightly');
    const { access_token: value, expires_at: until } = await token('hourly');
    const hanging = ill.fault('revocation', { kind: 'hang' }, 100);
    const reply = await panic();
    expect(reply.workloads).toEqual([
      { profile: 'nightly', issuer: well.url, revoked: [{ token: 'access_token', outcome: 'revoked', until: null }] },
      { profile: 'hourly', issuer: ill.url, revoked: [{ token: 'access_token', outcome: 'pending', until }] },
    ]);
    const [recorded] = vk.audit.events.filter(({ event }) => event === 'panic');
    expect(recorded?.facts).toMatchObject({ not_revoked: 1, workloads_alive: [`hourly until ${new Date(until * 1_000).toISOString().slice(0, 19)}Z`] });
    expect(await isAlive(ill, value)).toBe(true);
    const [file, ...others] = await tombstones();
    expect(others).toEqual([]);
    expect(await readFile(join(vk.stateDir, 'revocations', file ?? ''), 'utf8')).not.toContain(value);
    hanging.cancel();
    // Its proof takes a key that is in the vault, which nobody has opened yet.
    await vk.restart();
    expect(await isAlive(ill, value)).toBe(true);
    expect((await unlock()).status).toBe(200);
    await expect.poll(pending, { timeout: 60_000 }).toBe(0);
    expect(await isAlive(ill, value)).toBe(false);
    expect(await tombstones()).toEqual([]);
  }, 120_000);

  it('has what waited for the vault revoked as soon as that opens, also in the same run', async () => {
    await start(workloadToml('hourly', ill.url, 'scopes = ["read"]'));
    await initWorkload(vk, ill.issuer, 'hourly');
    const { access_token: value } = await token('hourly');
    ill.fault('revocation', faults.status(503, 3_000));
    expect((await panic()).workloads).toMatchObject([{ revoked: [{ outcome: 'pending' }] }]);
    expect((await unlock()).status).toBe(200);
    await expect.poll(pending, { timeout: 60_000 }).toBe(0);
    expect(await isAlive(ill, value)).toBe(false);
  }, 120_000);

  it('[RV-02] is not outrun by a lock, which any program may ask for', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    const { access_token: first } = await token('nightly');
    expect((await vk.api('POST', '/v1/lock')).status).toBe(200);
    expect((await unlock()).status).toBe(200);
    const second = await token('nightly');
    expect(second).toMatchObject({ source: 'issuer' }); // what was set aside is not served
    expect((await vk.api('POST', '/v1/lock')).status).toBe(200);
    expect((await panic()).workloads).toMatchObject([{ profile: 'nightly', revoked: [{}, {}] }]);
    // Its proof takes the vault's key.
    expect((await unlock()).status).toBe(200);
    await expect.poll(async () => [await isAlive(well, first), await isAlive(well, second.access_token)], { timeout: 60_000 }).toEqual([false, false]);
  }, 90_000);

  it('says where an issuer cannot revoke', async () => {
    const issuer = await startHostileIssuer({ workloads: true, lifetimes: { accessTokenS: 600 }, editMetadata: ({ revocation_endpoint: _none, ...rest }) => rest });
    try {
      await start(workloadToml('nightly', issuer.url, 'scopes = ["read"]'));
      await initWorkload(vk, issuer.issuer, 'nightly');
      const { expires_at: until } = await token('nightly');
      expect((await panic()).workloads).toEqual([{ profile: 'nightly', issuer: issuer.url, revoked: [{ token: 'access_token', outcome: 'unsupported', until }] }]);
    } finally {
      await issuer.close();
    }
  }, 60_000);

  it('has a token revoked whose answer comes after it', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    well.fault('token', faults.drip(64, 100));
    const waiting = token('nightly');
    const minted = () => well.issuer.minted.filter(({ kind }) => kind === 'access_token');
    await expect.poll(() => minted().length).toBe(1);
    await panic();
    expect(await waiting).toMatchObject({ status: 423 });
    // Where the key was gone by then, it waits for the vault.
    await unlock();
    await expect.poll(() => isAlive(well, minted()[0]?.value ?? ''), { timeout: 60_000 }).toBe(false);
  }, 120_000);
});

describe('purge and the removal of keys', () => {
  it('revoke the tokens of workloads before what proves them is gone', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]') + workloadToml('hourly', ill.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    await initWorkload(vk, ill.issuer, 'hourly');
    const kept = await token('hourly');
    expect((await vk.api('POST', '/v1/workloads/hourly/keys', { step: 'forget' })).body).toMatchObject({ workload: { keys: [] }, revoked: [{ outcome: 'revoked' }] });
    expect(await isAlive(ill, kept.access_token)).toBe(false);
    const { access_token: value, expires_at: until } = await token('nightly');
    well.fault('revocation', faults.status(503));
    expect((await vk.api('POST', '/v1/purge')).body).toEqual({ grants: [], workloads: [{ profile: 'nightly', issuer: well.url, revoked: [{ token: 'access_token', outcome: 'failed', until }] }], not_revoked: null });
    expect(await isAlive(well, value)).toBe(true);
    expect(vk.audit.events.find(({ event }) => event === 'purged')?.facts).toMatchObject({ workloads: ['nightly'], workloads_alive: [`nightly until ${new Date(until * 1_000).toISOString().slice(0, 19)}Z`] });
  }, 60_000);

  it('purge has them revoked', async () => {
    await start(workloadToml('nightly', well.url, 'scopes = ["read"]'));
    await initWorkload(vk, well.issuer, 'nightly');
    const { access_token: value } = await token('nightly');
    expect((await vk.api('POST', '/v1/purge')).body).toMatchObject({ workloads: [{ profile: 'nightly', revoked: [{ outcome: 'revoked' }] }] });
    expect(await isAlive(well, value)).toBe(false);
  }, 60_000);
});
