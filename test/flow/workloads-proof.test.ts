/** By what workloads prove themselves: to an issuer that claims another's endpoints, and by somebody else's word. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAudit } from '../../daemon/audit/open-audit.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { collectCanaries, searchBytes, searchTree } from '../support/canaries.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { decodeAssertion, initWorkload, registerKeys, workloadToml } from '../support/workload-rig.ts';

describe('[AU-07] an issuer that claims the endpoints of another', () => {
  let honest: EmbeddedIssuer;
  let hostile: EmbeddedIssuer;
  let vk: InProcess;
  const claimed = new Map<string, string>();

  beforeAll(async () => {
    honest = await startIssuer({ workloads: true });
    hostile = await startIssuer({ workloads: true, editMetadata: (metadata) => ({ ...metadata, ...Object.fromEntries(claimed) }) });
    vk = await startInProcess({ config: workloadToml('backup', hostile.url, 'scopes = ["read"]') });
    await initWorkload(vk, hostile, 'backup');
    // The same client, and the same key: whoever runs the hostile one could have asked for that.
    const { workloads: [view] } = (await vk.api('GET', '/v1/workloads')).body;
    registerKeys(honest, 'backup', view.keys.map(({ jwk }: { jwk: object }) => jwk));
  });
  afterAll(async () => {
    await vk?.stop();
    await Promise.all([honest?.close(), hostile?.close()]);
  });

  const fresh = async (claims: Readonly<Record<string, string>>): Promise<void> => {
    claimed.clear();
    for (const [name, url] of Object.entries(claims)) claimed.set(name, url);
    await vk.restart(); // nothing that was discovered before
    await initWorkload(vk, hostile, 'backup');
    const { workloads: [view] } = (await vk.api('GET', '/v1/workloads')).body;
    registerKeys(honest, 'backup', view.keys.map(({ jwk }: { jwk: object }) => jwk));
  };
  const at = (issuer: EmbeddedIssuer, endpoint: string) => issuer.requests.filter((request) => request.endpoint === endpoint);

  it('gets assertions for itself alone, so that nothing is given for them there', async () => {
    await fresh({ token_endpoint: `${honest.url}/token`, pushed_authorization_request_endpoint: `${honest.url}/request` });
    const reply = await vk.api('POST', '/v1/workload-tokens', { profile: 'backup' });
    expect(reply.body).toMatchObject({ code: 'issuer_refused', detail: expect.stringContaining('invalid_client') });
    const [sent, ...more] = at(honest, 'token');
    expect(more).toEqual([]);
    expect(sent?.status).toBe(401);
    expect(decodeAssertion(sent?.params['client_assertion'])).toMatchObject({ header: { typ: 'client-authentication+jwt' }, claims: { aud: hostile.url } });
    expect(at(honest, 'par')).toEqual([]);
  });

  it('nor does a revocation prove anything to the other', async () => {
    await fresh({ revocation_endpoint: `${honest.url}/token/revocation` });
    expect((await vk.api('POST', '/v1/workload-tokens', { profile: 'backup' })).status).toBe(200);
    expect((await vk.api('DELETE', '/v1/workloads/backup')).body).toMatchObject({ revoked: [{ outcome: 'failed' }] });
    const [sent] = at(honest, 'revocation');
    expect(sent?.status).toBe(401);
    expect(decodeAssertion(sent?.params['client_assertion']).claims).toMatchObject({ aud: hostile.url });
  });

  it('and the honest one would have taken one for itself', async () => {
    await vk.config(workloadToml('control', honest.url, 'scopes = ["read"]'));
    await vk.api('POST', '/v1/reload');
    await initWorkload(vk, honest, 'control');
    expect((await vk.api('POST', '/v1/workload-tokens', { profile: 'control' })).status).toBe(200);
  });
});

describe('[WL-03] a workload that somebody vouches for', () => {
  let issuer: EmbeddedIssuer;
  let vk: InProcess;
  let dir: string;
  let vouch: (jti: string, over?: object) => Promise<string>;

  beforeAll(async () => {
    issuer = await startIssuer({ workloads: true });
    dir = await mkdtemp(join(tmpdir(), 'vk-vouch-'));
    vk = await startInProcess({
      config: workloadToml('job', issuer.url, `scopes = ["read"]\nassertion_file = "${join(dir, 'token')}"`)
        + workloadToml('tool', issuer.url, `scopes = ["read"]\nassertion_command = ["/bin/cat", "${join(dir, 'tool-token')}"]`),
      backend: 'passphrase',
    });
    const audit = await openAudit({ dir: join(vk.stateDir, 'audit'), clock: createClock(), log: vk.log });
    vk.audit.append = (event) => audit.append(event);
    vk.audit.close = () => audit.close();
    await vk.api('POST', '/v1/unlock', { passphrase: 'correct horse EXAMPLE', create: true });
    // The token service: this issuer takes its word for both clients.
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'service', alg: 'ES256', use: 'sig' };
    for (const name of ['job', 'tool']) registerKeys(issuer, name, [jwk]);
    vouch = (jti, over = {}) => {
      const nowS = Math.floor(Date.now() / 1000);
      const claims = { iss: 'job-client', sub: 'job-client', aud: issuer.url, jti, iat: nowS, exp: nowS + 60, ...over };
      return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'service', typ: 'client-authentication+jwt' }).sign(privateKey);
    };
  });
  afterAll(async () => {
    await vk?.stop();
    await issuer?.close();
    await rm(dir, { recursive: true, force: true });
  });

  const put = async (text: string, name = 'token'): Promise<void> => writeFile(join(dir, name), text, { mode: 0o600 });
  const token = (profile: string) => vk.api('POST', '/v1/workload-tokens', { profile, force: true });

  it('gets a token by the assertion that is in the file now', async () => {
    const [first, second] = [await vouch('first'), await vouch('second')];
    await put(first);
    expect((await token('job')).body).toMatchObject({ source: 'issuer', scope: 'read' });
    await put(second);
    expect((await token('job')).status).toBe(200);
    const sent = issuer.requests.filter(({ endpoint }) => endpoint === 'token').map(({ params }) => params['client_assertion']);
    expect(sent).toEqual([first, second]);
  });

  it('and by what a command prints now', async () => {
    await put(await vouch('command', { iss: 'tool-client', sub: 'tool-client' }), 'tool-token');
    expect((await token('tool')).body).toMatchObject({ source: 'issuer', scope: 'read' });
  });

  it.each([['for another audience', { aud: 'https://elsewhere.example' }], ['that is over', { exp: Math.floor(Date.now() / 1000) - 60 }]])('sends nothing %s', async (_, over) => {
    await put(await vouch(`wrong-${JSON.stringify(over)}`, over));
    const before = issuer.requests.length;
    expect((await token('job')).body).toMatchObject({ code: 'assertion_invalid', detail: expect.stringContaining('workload job') });
    expect(issuer.requests.slice(before).filter(({ endpoint }) => endpoint === 'token')).toEqual([]);
  });

  it('has no key, and no way to one', async () => {
    expect((await vk.api('POST', '/v1/workloads/job/keys', { step: 'init' })).body).toMatchObject({ code: 'workload_key_conflict' });
  });

  it('leaves no trace of an assertion or a private key: not in the vault, the audit, the log or any reply', async () => {
    await vk.config(workloadToml('job', issuer.url, `scopes = ["read"]\nassertion_file = "${join(dir, 'token')}"`) + workloadToml('backup', issuer.url, 'scopes = ["read"]'));
    await vk.api('POST', '/v1/reload');
    await initWorkload(vk, issuer, 'backup');
    await put(await vouch('last'));
    const texts = [(await vk.api('POST', '/v1/workloads/backup/keys', { step: 'rotate' })).text];
    for (const profile of ['job', 'backup']) await token(profile);
    for (const { verb, path } of Object.values<Method>(METHODS)) {
      if (verb === 'GET' && path !== '/v1/events') texts.push((await vk.api(verb, path.replace(/\{\w+\}/, 'backup'))).text);
    }
    const minted = issuer.minted.filter(({ kind }) => kind === 'client_assertion');
    expect(minted.length).toBeGreaterThan(3);
    const canaries = collectCanaries(minted);
    for (const text of texts) {
      expect(searchBytes('a reply', text, canaries)).toEqual([]);
      expect(text).not.toMatch(/"d"\s*:|privateJwk|PRIVATE KEY/);
    }
    expect(searchBytes('log', JSON.stringify(vk.log.lines), canaries)).toEqual([]);
    expect(searchTree(vk.stateDir, canaries)).toEqual([]);
    expect(searchTree(vk.stateDir, collectCanaries([], { more: ['"privateJwk"', '"crv":"P-256"'] })).filter(({ where }) => !where.includes('audit'))).toEqual([]);
  });
});
