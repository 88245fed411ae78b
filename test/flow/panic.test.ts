/** valetkey panic against real issuers, with a vault on the disk (RV-02). */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const PASSPHRASE = 'correct horse EXAMPLE';
const A_PERSON = { origin: someOrigin() };
const AN_AGENT = { origin: someOrigin({ class: 'agent', agent: 'claude-code' }) };

let issuers: HostileIssuer[] = [];
let vk: InProcess;

/** One issuer a list of profiles. */
async function setUp(profiles: readonly (readonly string[])[], more: Partial<Parameters<typeof startInProcess>[0]> = {}): Promise<void> {
  issuers = await Promise.all(profiles.map(() => startHostileIssuer()));
  // Sign-ins are counted by resource: fifty at one would be too many.
  const config = MANY_CALLERS + profiles.flatMap((names, i) => names.map((name) => profileToml(name, issuers[i]?.url ?? '', `resource = "https://${name}.example"`))).join('');
  vk = await startInProcess({ config, backend: 'passphrase', issuerTimeoutMs: 8_000, ...more });
  vk.caller = A_PERSON;
  vk.isPlay = true;
  if (more.backend !== 'memory') expect((await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, create: true })).status).toBe(200);
}

const token = async (profile: string, ask: object = {}) => (await vk.api('POST', '/v1/token', { profile, ...ask })).body;
const panic = async () => (await vk.api('POST', '/v1/panic')).body;
const files = (folder: string): readonly string[] => readdirSync(join(vk.stateDir, folder)).filter((name) => name.endsWith('.jwe') || name.endsWith('.next'));
const alive = async (): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const { issuer } of issuers) {
    for (const { kind, value } of issuer.minted) {
      if ((kind === 'refresh_token' || kind === 'access_token') && (await issuer.introspect(value)).active) found.push(`${kind} at ${issuer.url}`);
    }
  }
  return found;
};

beforeEach(() => {
  issuers = [];
});
afterEach(async () => {
  await vk?.stop();
  for (const issuer of issuers) await issuer.close();
});

describe('panic', () => {
  it('[RV-02] ends fifty grants at three issuers within five seconds, and nothing is issued until somebody signs in', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `p${i}`);
    await setUp([names.slice(0, 17), names.slice(17, 34), names.slice(34)]);
    for (const name of names) expect((await vk.signIn(name, 'alice')).end.body.state).toBe('complete');
    const before = await Promise.all(names.map((name) => token(name)));
    expect(before.filter(({ source }) => source !== 'cache')).toEqual([]);
    expect(await alive()).toHaveLength(100);
    expect(files('grants')).toHaveLength(50);

    const reply = await panic();
    console.log(`panic: 50 grants, 100 tokens, 3 issuers, ${reply.took_ms} ms`);
    expect(reply).toMatchObject({ not_reached: null, not_durable: null });
    expect(reply.grants).toHaveLength(50);
    const late = reply.grants.flatMap((grant: { revoked: unknown }) => grant.revoked).filter(({ outcome }: { outcome: string }) => outcome !== 'revoked');
    // The product's promise is five seconds; a machine under load gets twice that here, and prints the figure above.
    expect(reply.took_ms).toBeLessThan(10_000);
    // What does not fit into them on such a machine is told as late, and comes all the same.
    if (reply.took_ms < 4_000) expect(late).toEqual([]);
    await expect.poll(alive, { timeout: 60_000 }).toEqual([]);
    expect(files('grants')).toEqual([]);
    for (const name of names) expect(await token(name)).toMatchObject({ code: 'locked_out', status: 423 });

    // The key went with it: its owner comes back with the passphrase, and signs in.
    expect((await vk.api('POST', '/v1/logins', { profile: 'p0' })).body).toMatchObject({ code: 'vault_locked' });
    expect((await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE })).status).toBe(200);
    await expect.poll(() => files('revocations')).toEqual([]);
    expect(await token('p0')).toMatchObject({ code: 'login_required', reason: 'signed_out' });
    await vk.signIn('p0', 'alice');
    expect(await token('p0')).toMatchObject({ source: 'cache' });
    expect(vk.audit.events.filter(({ event }) => event === 'panic' || event === 'lockout_lifted')).toHaveLength(2);
  }, 180_000);

  it('tells what could not be revoked, where, and until when it lives; and has it revoked later', async () => {
    await setUp([['well'], ['ill']]);
    for (const name of ['well', 'ill']) await vk.signIn(name, 'alice');
    const { expires_at: until } = await token('ill');
    const [well, ill] = issuers;
    const hanging = ill?.fault('revocation', { kind: 'hang' }, 100);
    const reply = await panic();
    const of = (profile: string) => reply.grants.find((grant: { profile: string }) => grant.profile === profile);
    expect(of('well')).toMatchObject({ issuer: well?.url, revoked: [{ outcome: 'revoked' }, { outcome: 'revoked' }] });
    expect(of('ill')).toEqual({ profile: 'ill', issuer: ill?.url, revoked: [{ token: 'refresh_token', outcome: 'pending', until: null }, { token: 'access_token', outcome: 'pending', until }] });
    expect((await vk.api('GET', '/v1/status')).body).toMatchObject({ pending_revocations: 2, locked_out_since: reply.locked_out_since });
    expect(await alive()).toHaveLength(2);
    expect(files('revocations')).toHaveLength(2);
    hanging?.cancel();
    // The next run finds them sealed, and sends them once it has the key.
    await vk.restart();
    expect(await token('ill')).toMatchObject({ code: 'locked_out' });
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    await expect.poll(async () => (await vk.api('GET', '/v1/status')).body.pending_revocations).toBe(0);
    expect(await alive()).toEqual([]);
  }, 60_000);

  it('keeps nothing of a refresh and of a sign-in that were on the wire', async () => {
    await setUp([['work', 'new']]);
    await vk.signIn('work', 'alice');
    const [issuer] = issuers;
    // The issuer answers at once, and the answers take a while to arrive.
    issuer?.fault('token', faults.drip(64, 100), 2);
    const waiting = token('work', { force: true });
    const signingIn = vk.signIn('new', 'alice');
    const minted = () => issuer?.issuer.minted.filter(({ kind }) => kind === 'refresh_token').length;
    await expect.poll(minted).toBe(3);
    await panic();
    expect(await waiting).toMatchObject({ code: 'locked_out' });
    expect((await signingIn).end.body).toMatchObject({ state: 'failed' });
    expect(minted()).toBe(3);
    await expect.poll(alive).toEqual([]);
    expect(files('grants')).toEqual([]);
    expect((await vk.api('GET', '/v1/status')).body).toMatchObject({ grants: [], logins: [] });
  }, 60_000);

  it('works behind a locked vault: nothing in it is ever served, and it is revoked as soon as it opens', async () => {
    await setUp([['work']]);
    await vk.signIn('work', 'alice');
    await vk.api('POST', '/v1/lock');
    expect(await panic()).toMatchObject({ grants: [], not_reached: 'vault_locked', not_durable: null });
    await vk.restart();
    expect(await token('work')).toMatchObject({ code: 'locked_out' });
    expect(await alive()).toHaveLength(2);
    expect((await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE })).status).toBe(200);
    await expect.poll(alive).toEqual([]);
    expect(await token('work')).toMatchObject({ code: 'login_required' });
    // What came after it is not of it.
    await vk.signIn('work', 'alice');
    await vk.restart();
    await vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE });
    expect(await token('work')).toMatchObject({ source: 'cache' });
  }, 60_000);

  it('is ended by a person and by nothing that it cut off', async () => {
    await setUp([['work']], { backend: 'memory' });
    await vk.signIn('work', 'alice');
    vk.caller = AN_AGENT;
    expect(await panic()).toMatchObject({ grants: [{ profile: 'work' }] });
    expect(await token('work', { interaction: 'allowed' })).toMatchObject({ code: 'locked_out' });
    for (const [path, body] of [['/v1/logins', { profile: 'work' }], ['/v1/unlock', {}]] as const) {
      expect((await vk.api('POST', path, body)).body).toMatchObject({ code: 'locked_out', detail: expect.stringContaining('claude-code') });
    }
    vk.caller = A_PERSON;
    await vk.signIn('work', 'alice');
    expect(await token('work')).toMatchObject({ source: 'cache' });
    expect((await vk.api('GET', '/v1/status')).body.locked_out_since).toBeNull();
    await vk.restart();
    expect((await vk.api('GET', '/v1/status')).body.locked_out_since).toBeNull();
  }, 60_000);

  it('takes every question and consent back', async () => {
    await setUp([['work']], { backend: 'memory' });
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "ask"\ndecide = "confirm"\nask = "once"\n');
    await vk.api('POST', '/v1/reload');
    await vk.signIn('work', 'alice');
    vk.caller = AN_AGENT;
    const waiting = token('work');
    await expect.poll(async () => (await vk.api('GET', '/v1/approvals')).body.pending.length).toBe(1);
    await panic();
    expect(await waiting).toMatchObject({ code: 'locked_out' });
    expect((await vk.api('GET', '/v1/approvals')).body).toMatchObject({ pending: [], active: [] });
  }, 60_000);

  it('ends privileged access, which no vault knows of', async () => {
    issuers = [await startHostileIssuer({ scopes: ['admin:all'], lifetimes: { accessTokenS: 300 } })];
    vk = await startInProcess({ config: profileToml('work', issuers[0]?.url ?? ''), issuerTimeoutMs: 8_000 });
    vk.caller = A_PERSON;
    vk.isPlay = true;
    await vk.policy('admin', 'v = 1\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n[[rules]]\nname = "all"\ndecide = "allow"\n');
    await vk.api('POST', '/v1/reload');
    const asked = { scopes: ['admin:all'] };
    expect((await vk.signIn('work', 'alice', { scopes: ['openid', 'admin:all'], claimed: { reason: 'a test' } })).end.body.state).toBe('complete');
    expect(await token('work', asked)).toMatchObject({ source: 'cache' });
    await panic();
    await expect.poll(alive).toEqual([]);
    await vk.api('POST', '/v1/unlock', {});
    expect(await token('work', asked)).toMatchObject({ code: 'login_required', reason: 'privileged' });
  }, 60_000);

  it('keeps in a token whose release was being recorded', async () => {
    await setUp([['work']], { backend: 'memory' });
    await vk.signIn('work', 'alice');
    let written: () => void = () => undefined;
    const append = vk.audit.append.bind(vk.audit);
    vk.audit.append = async (event) => {
      if (event.event === 'token_released') await new Promise<void>((resolve) => { written = resolve; });
      return append(event);
    };
    const leaving = token('work');
    const reply = panic();
    await expect.poll(async () => (await vk.api('GET', '/v1/status')).body.locked_out_since).not.toBeNull();
    written();
    expect(await leaving).toMatchObject({ code: 'locked_out' });
    await reply;
  }, 60_000);

  it('asked for twice at once is one', async () => {
    await setUp([['work']], { backend: 'memory' });
    await vk.signIn('work', 'alice');
    const [one, other] = await Promise.all([panic(), panic()]);
    expect(one).toEqual(other);
    expect(one.grants).toHaveLength(1);
    expect(vk.audit.events.filter(({ event }) => event === 'panic')).toHaveLength(1);
  }, 60_000);
});
