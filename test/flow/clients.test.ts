/** How the daemon presents itself to an issuer: pushed requests, public clients, and the user's own secret. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../daemon/core/errors.ts';
import type { Vault } from '../../daemon/core/ports.ts';
import { openVaultWith } from '../../daemon/vault/open-vault.ts';
import { followLogin } from '../../demo/browser.ts';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { FakeKeychain, makeStateDir, vaultDeps } from '../support/vault-rig.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const setUp = async (options: Parameters<typeof startHostileIssuer>[0] = {}, toml: (url: string) => string = (url) => profileToml('work', url)) => {
  hostile = await startHostileIssuer(options);
  vk = await startInProcess({ config: toml(hostile.url) });
};
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const confidential = (url: string, auth: string) => ({ issuer: url, client_id: auth === 'client_secret_basic' ? 'confidential-basic' : 'confidential-post', client_auth: auth, scopes: ['openid'], redirect_path: '/callback', allow_loopback_http: true });

describe('pushed authorization requests', () => {
  it('[AZ-08] where the issuer demands them the browser sees only client_id and a one-time request_uri', async () => {
    await setUp({ par: 'required' });
    const login = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    const visit = await followLogin(login.start_url, { login: 'alice' });
    expect((await vk.api('GET', `/v1/logins/${login.id}?wait_s=5`)).body.state).toBe('complete');
    const [authorize] = visit.hops.map((hop) => new URL(hop.url)).filter((url) => url.pathname === '/auth' && url.search !== '');
    expect([...(authorize?.searchParams.keys() ?? [])].toSorted()).toEqual(['client_id', 'request_uri']);
    const again = await followLogin(authorize?.href ?? '', { login: 'alice' });
    expect(again.status).toBe(400);
  });

  it('where the issuer has none the request goes by the browser, with S256', async () => {
    await setUp({ par: 'none' });
    expect((await vk.signIn('work', 'alice')).end.body.state).toBe('complete');
    const asked = hostile.requestsTo('authorization').find((r) => r.params['response_type'] !== undefined);
    expect(asked?.params).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', code_challenge: expect.stringMatching(/^[\w-]{43}$/) });
  });
});

describe('[MD-07] client secrets', () => {
  it('are none of the product\'s own: presets hold none, sources hold none, and a public client sends none', async () => {
    await setUp();
    await vk.signIn('work', 'alice');
    for (const request of hostile.log) {
      expect(request.params).not.toHaveProperty('client_secret');
      expect(request.headers.authorization).toBeUndefined();
    }
    // What vendors' secrets look like: Google, GitHub, Entra, Atlassian, Auth0/Okta (64 characters of base64url).
    // A name of what a secret is called, with words for people beside it, is none (client/adopt/words.ts).
    const shapes = /GOCSPX-|gh[opsu]_[A-Za-z0-9]{20}|ATOA[A-Za-z0-9]{20}|["'][A-Za-z0-9_-]{60,}["']|client_secret["']?\s*[:=]\s*["'][^"'\s]+["']/;
    const files = ['shared', 'client', 'daemon'].flatMap((dir) => readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((file) => join(dir, file))).filter((file) => file.endsWith('.ts') && statSync(file).isFile());
    expect(files.length).toBeGreaterThan(100);
    expect(files.filter((file) => shapes.test(readFileSync(file, 'utf8')))).toEqual([]);
  });

  it.each(['client_secret_basic', 'client_secret_post'])('of the user are sealed, used as %s, and never in the configuration', async (auth) => {
    await setUp({}, () => '');
    const secret = auth === 'client_secret_basic' ? 'basic-client-secret-EXAMPLE' : 'post-client-secret-EXAMPLE';
    const refused = await vk.api('POST', '/v1/profiles', { name: 'own', profile: confidential(hostile.url, auth) });
    expect(refused.body).toMatchObject({ code: 'client_secret_required' });
    const added = await vk.api('POST', '/v1/profiles', { name: 'own', profile: confidential(hostile.url, auth), client_secret: secret });
    expect(added.body).toMatchObject({ profile: { confidential: true }, warnings: expect.arrayContaining([expect.stringContaining('not confidential')]) });
    expect((await vk.signIn('own', 'alice')).end.body.state).toBe('complete');
    expect((await vk.api('POST', '/v1/token', { profile: 'own' })).body.source).toBe('cache');
    expect(readFileSync(vk.configFile, 'utf8')).not.toContain(secret);
    expect(searchTree(vk.stateDir, collectCanaries([], { more: [secret] }))).toEqual([]);
  });

  it('of the user are not sent to another issuer when the profile is pointed there', async () => {
    await setUp({}, () => '');
    await vk.api('POST', '/v1/profiles', { name: 'own', profile: confidential(hostile.url, 'client_secret_post'), client_secret: 'post-client-secret-EXAMPLE' });
    const other = await startHostileIssuer();
    await vk.config(readFileSync(vk.configFile, 'utf8').replace(hostile.url, other.url));
    await vk.api('POST', '/v1/reload');
    expect((await vk.api('POST', '/v1/logins', { profile: 'own' })).body).toMatchObject({ code: 'client_secret_required' });
    expect(JSON.stringify(other.log)).not.toContain('post-client-secret-EXAMPLE');
    await other.close();
  });
});

describe('a profile is checked when it is added', () => {
  const add = (profile: object) => vk.api('POST', '/v1/profiles', { name: 'new', profile: { client_id: 'valetkey', allow_loopback_http: true, ...profile } });
  it('a wrong issuer is found here, and nothing is written', async () => {
    await setUp({}, () => '# mine\n');
    for (const [issuer, code] of [
      [`${hostile.url}/`, 'config_invalid'], [hostile.url.replace('127.0.0.1', 'localhost'), 'config_invalid'], [`${hostile.url}/nothing`, 'as_metadata_invalid'],
      ['http://127.0.0.1:9', 'issuer_unreachable'], ['ftp://x.example', 'config_invalid'], ['not a url', 'config_invalid'],
    ] as const) {
      const { body } = await add({ issuer });
      expect([code, 'as_metadata_invalid'], `${issuer}: ${body.code}`).toContain(body.code);
    }
    expect(readFileSync(vk.configFile, 'utf8')).toBe('# mine\n');
  });

  it('shows the redirect URI to register, keeps comments, and can be removed', async () => {
    await setUp({}, () => '# mine\n');
    expect((await add({ issuer: hostile.url })).body).toMatchObject({ profile: { redirect_uris: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:\{port\}\/cb\/[0-9a-f]{12}$/)] }, server: { token_endpoint: `${hostile.url}/token` } });
    expect((await add({ issuer: hostile.url })).body).toMatchObject({ code: 'profile_exists' });
    expect(readFileSync(vk.configFile, 'utf8')).toMatch(/^# mine\n[^]*\[profiles\.new\]/);
    expect((await vk.api('DELETE', '/v1/profiles/new')).body).toEqual({ ok: true });
    expect(readFileSync(vk.configFile, 'utf8')).not.toContain('profiles.new');
  });
});

describe('a profile that cannot be added or removed', () => {
  const SECRET = 'post-client-secret-EXAMPLE';
  const add = (secret: string, more: object = {}) => vk.api('POST', '/v1/profiles', { name: 'own', profile: { ...confidential(hostile.url, 'client_secret_post'), ...more }, client_secret: secret });
  const canSignIn = async (): Promise<unknown> => (await vk.signIn('own', 'alice')).end.body.state;

  it('keeps its secret where the name is taken, also where only the file says so', async () => {
    await setUp({}, () => '');
    expect((await add(SECRET)).status).toBe(200);
    const requests = hostile.log.length;
    expect((await add('other-secret-EXAMPLE')).body).toMatchObject({ code: 'profile_exists' });
    expect(hostile.log.length).toBe(requests); // found before anybody was asked
    const whole = readFileSync(vk.configFile, 'utf8');
    await vk.config('');
    await vk.api('POST', '/v1/reload');
    await vk.config(whole);
    expect((await add('other-secret-EXAMPLE')).body).toMatchObject({ code: 'profile_exists' });
    await vk.api('POST', '/v1/reload');
    expect(await canSignIn()).toBe('complete');
  });

  it('is not written where its secret cannot be sealed', async () => {
    const stateDir = makeStateDir();
    const vault = await openVaultWith(vaultDeps(stateDir.path, 'memory'), new FakeKeychain());
    const refusing: Vault = Object.assign(Object.create(vault) as Vault, {
      status: () => vault.status(), grants: () => vault.grants(), revocations: () => vault.revocations(), lock: () => vault.lock(), end: () => vault.end(), dropKept: () => vault.dropKept(),
      saveClientSecret: async () => { throw new BrokerError('vault_unwritable', 'the disk is full'); },
    });
    hostile = await startHostileIssuer();
    vk = await startInProcess({ config: '# mine\n', edges: { vault: refusing } });
    expect((await add(SECRET)).body).toMatchObject({ code: 'vault_unwritable' });
    expect(readFileSync(vk.configFile, 'utf8')).not.toContain('own');
    expect((await vk.api('GET', '/v1/profiles')).body.profiles).toEqual([]);
    stateDir.remove();
  });

  it('keeps its secret where the file cannot be edited', async () => {
    await setUp({}, () => '');
    await add(SECRET);
    const inline = `{ issuer = "${hostile.url}", client_id = "confidential-post", client_auth = "client_secret_post", scopes = ["openid"], redirect_path = "/callback", allow_loopback_http = true }`;
    await vk.config(`profiles = { own = ${inline}, b = { issuer = "${hostile.url}", client_id = "x", allow_loopback_http = true } }\n`);
    await vk.api('POST', '/v1/reload');
    expect(await vk.api('DELETE', '/v1/profiles/own')).toMatchObject({ status: 422 });
    expect(await canSignIn()).toBe('complete');
  });

  it('stays while tokens are to be revoked with its secret, and goes when they are', async () => {
    await setUp({}, () => '');
    await add(SECRET);
    await vk.signIn('own', 'alice');
    const away = hostile.fault('revocation', faults.status(503), 99);
    expect((await vk.api('DELETE', '/v1/grants/own')).body.revoked[0]).toMatchObject({ outcome: 'pending' });
    expect((await vk.api('DELETE', '/v1/profiles/own')).body).toMatchObject({ code: 'issuer_unreachable', retryable: true, detail: expect.stringContaining('to revoke') });
    away.cancel();
    await expect.poll(async () => (await vk.api('GET', '/v1/status')).body.pending_revocations, { timeout: 15_000, interval: 200 }).toBe(0);
    expect((await vk.api('DELETE', '/v1/profiles/own')).body).toEqual({ ok: true });
    expect(vk.audit.events.filter(({ event, facts }) => event === 'token_revoked' && facts['outcome'] === 'revoked').length).toBeGreaterThan(0);
  }, 25_000);

  it('is refused while somebody is signed in, also by a daemon that has not read its vault yet', async () => {
    hostile = await startHostileIssuer();
    const stateDir = makeStateDir();
    const keychain = new FakeKeychain();
    const launch = async () => startInProcess({ config: profileToml('work', hostile.url), edges: { vault: await openVaultWith(vaultDeps(stateDir.path, 'keychain'), keychain) } });
    const first = await launch();
    await first.signIn('work', 'alice');
    await first.stop();
    const [key] = keychain.items.values();
    keychain.answer = async () => {
      await sleep(500);
      return { kind: 'found', secret: Buffer.from(key ?? ''), beside: null };
    };
    vk = await launch();
    expect((await vk.api('DELETE', '/v1/profiles/work')).body).toMatchObject({ code: 'bad_request', detail: expect.stringContaining('signed in') });
    expect((await vk.api('GET', '/v1/grants')).body.grants).toMatchObject([{ profile: 'work', state: 'active' }]);
    stateDir.remove();
  });

  it('ends a sign-in that is in progress', async () => {
    await setUp();
    const { id } = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body;
    expect((await vk.api('DELETE', '/v1/profiles/work')).body).toEqual({ ok: true });
    expect((await vk.api('GET', `/v1/logins/${id}`)).body).toMatchObject({ state: 'failed', error: { code: 'login_cancelled' } });
  });
});

it('[AL-01] what a program claims of itself is in the record of the token that it took', async () => {
  await setUp();
  await vk.signIn('work', 'alice');
  await vk.api('POST', '/v1/token', { profile: 'work', claimed: { name: 'deploy', reason: 'nightly\u001b[2J run' } });
  const released = vk.audit.events.find(({ event }) => event === 'token_released');
  expect(released).toMatchObject({ caller: { pid: process.pid }, facts: { claimed: { name: 'deploy', reason: 'nightly run' } } });
});
