/** Which key store, in which state, told how: the vault before keychains that answer as told. */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Vault } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { KeychainOutcome } from '../../../../daemon/vault/keychain.ts';
import { openVaultWith } from '../../../../daemon/vault/open-vault.ts';
import type { VaultDeps } from '../../../../daemon/vault/open-vault.ts';
import { profileName } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { smallDisk } from '../../../support/small-disk.ts';
import { clear, FakeKeychain, grantOf, makeStateDir, PASSPHRASE, readAll, tree, vaultDeps } from '../../../support/vault-rig.ts';
import type { StateDir } from '../../../support/vault-rig.ts';

const work = profileName('work');

let dir: StateDir;
let keychain: FakeKeychain;
let clock: FakeClock;
let deps: ReturnType<typeof vaultDeps>;

const at = (...names: string[]): string => join(dir.path, ...names);
const open = (backend: VaultDeps['backend'] = 'auto'): Promise<Vault> => {
  deps = vaultDeps(dir.path, backend, clock);
  return openVaultWith(deps, keychain);
};
const generations = async (vault: Vault) => (await vault.grants()).grants.map(({ grant }) => grant.generation);
const failed = (why: Extract<KeychainOutcome, { kind: 'failed' }>['why']) => (): KeychainOutcome => ({ kind: 'failed', why });

beforeEach(() => {
  dir = makeStateDir();
  keychain = new FakeKeychain();
  clock = new FakeClock();
});
afterEach(() => dir.remove());

describe('a vault keyed by the keychain', () => {
  beforeEach(async () => {
    const earlier = await open();
    await earlier.save(grantOf(1));
    await earlier.lock();
    keychain.calls.length = 0;
  });

  it('removes what a crash left half written beside vault.json', async () => {
    writeFileSync(at('vault.json.r1.tmp'), 'half', { mode: 0o600 });
    await open();
    expect(tree(dir.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(existsSync(at('vault.json'))).toBe(true);
  });

  it('asks the keychain once in a daemon\'s life, and once more after each lock', async () => {
    const vault = await open();
    await Promise.all(Array.from({ length: 20 }, () => vault.grants()));
    expect(keychain.calls).toEqual(['read']);
    vault.lock();
    await Promise.all([vault.unlock(null, false), vault.unlock(null, false)]);
    expect(await generations(vault)).toEqual([1]);
    expect(keychain.calls).toEqual(['read', 'read']);
  });

  it('makes callers wait 3 s for a person at the dialog, and opens when she answered', async () => {
    let answer = (): void => undefined;
    const held = new Promise<KeychainOutcome>((resolve) => {
      answer = () => resolve({ kind: 'found', secret: Buffer.from([...keychain.items.values()][0] ?? []), beside: [...keychain.items.values()][1] ?? null });
    });
    keychain.answer = () => held;
    const vault = await open();
    const early = vault.grants().catch((error: { code: string }) => error.code);
    await clock.advance(3_000);
    expect(await early).toBe('vault_unavailable');
    const late = generations(vault);
    await clock.advance(1_000);
    answer();
    expect(await late).toEqual([1]);
    expect(clock.sleepers).toBe(0);
  });

  it('looks again for a keychain that did not answer, at most every 2 s', async () => {
    keychain.answer = failed('absent');
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable' });
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable' });
    expect(keychain.calls).toHaveLength(1);
    keychain.answer = null;
    await clock.advance(1_999);
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable' });
    await clock.advance(1);
    expect(await generations(vault)).toEqual([1]);
  });

  it('looks again also where only its status is asked, and warns once of the same trouble', async () => {
    keychain.answer = failed('frozen');
    const vault = await open();
    await clock.advance(2_000);
    for (let i = 0; i < 5; i += 1) expect(vault.status().state).toBe('unavailable');
    await clock.advance(0);
    expect(keychain.calls).toEqual(['read', 'read']);
    expect(deps.log.lines.filter(({ event }) => event === 'vault_not_open')).toHaveLength(1);
    keychain.answer = null;
    await clock.advance(2_000);
    await expect.poll(() => vault.status().state, { interval: 5 }).toBe('open');
    expect(keychain.calls).toHaveLength(3);
  });

  it('refuses a passphrase, open or not, and makes no other key', async () => {
    const before = readAll(dir.path);
    const vault = await open();
    const refuses = async (): Promise<void> => {
      await expect(vault.unlock(PASSPHRASE, false)).rejects.toMatchObject({ code: 'bad_request', message: 'this vault is opened by the keychain; it takes no passphrase', hint: 'Run: valetkey unlock' });
      await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'bad_request', message: 'this vault has a key already, in the keychain', hint: expect.stringContaining('valetkey purge') });
      await expect(vault.unlock(null, true)).rejects.toMatchObject({ code: 'bad_request', message: 'a new vault needs a passphrase' });
    };
    await vault.grants();
    await refuses();
    expect(await generations(vault)).toEqual([1]);
    vault.lock();
    await refuses();
    expect(vault.status().state).toBe('locked');
    expect(readAll(dir.path)).toEqual(before);
  });

  it('asks a locked keychain again only when a person says so', async () => {
    keychain.answer = failed('locked');
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_locked' });
    await clock.advance(60_000);
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_locked' });
    expect(keychain.calls).toHaveLength(1);
    keychain.answer = null;
    await vault.unlock(null, false);
    expect(await generations(vault)).toEqual([1]);
  });

  it.each(['before', 'after'])('does not call a keychain locked that has not answered, where the vault was locked, and asked for %s that', async (when) => {
    const vault = await open();
    await vault.grants();
    let answer: (outcome: KeychainOutcome) => void = () => undefined;
    const held = new Promise<KeychainOutcome>((resolve) => { answer = resolve; });
    const silent = (): Promise<KeychainOutcome> => held;
    if (when === 'before') {
      void vault.lock();
      keychain.answer = silent;
      void vault.unlock(null, false).catch(() => null);
    }
    void vault.lock();
    keychain.answer = silent;
    const asked = vault.unlock(null, false).catch((error: unknown) => error);
    await clock.advance(3_000);
    expect(await asked).toMatchObject({ code: 'vault_unavailable', message: expect.stringContaining('has not answered yet') as string, hint: 'Answer the keychain, then run the command again' });
    expect(vault.status()).toMatchObject({ state: 'unavailable', detail: expect.stringContaining('has not answered yet') as string });
    keychain.answer = null;
    answer({ kind: 'failed', why: 'frozen' });
    await clock.advance(1);
    await vault.unlock(null, false);
    expect(await generations(vault)).toEqual([1]);
  });

  it('says that it is locked where somebody locked it while another waited for the keychain', async () => {
    const vault = await open();
    await vault.grants();
    void vault.lock();
    keychain.answer = () => new Promise(() => undefined);
    const asked = vault.unlock(null, false).catch((error: unknown) => error);
    void vault.lock();
    await clock.advance(3_000);
    expect(await asked).toMatchObject({ code: 'vault_locked' });
  });

  it('does not take a key that comes after it was locked', async () => {
    let answer: (outcome: KeychainOutcome) => void = () => undefined;
    const held = new Promise<KeychainOutcome>((resolve) => { answer = resolve; });
    keychain.answer = () => held;
    const vault = await open();
    vault.lock();
    answer({ kind: 'found', secret: Buffer.from([...keychain.items.values()][0] ?? []), beside: [...keychain.items.values()][1] ?? null });
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_locked' });
    expect(vault.status().state).toBe('locked');
  });

  it.each([
    ['another key', JSON.stringify({ v: 1, key: Buffer.alloc(32, 7).toString('base64url') })],
    ['a short key', JSON.stringify({ v: 1, key: 'AAAA' })],
    ['no JSON', 'hello'],
    ['nothing', ''],
  ])('sets nothing aside when the keychain holds %s', async (_, item) => {
    for (const account of keychain.items.keys()) keychain.items.set(account, Buffer.from(item));
    const before = tree(dir.path);
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable', message: 'The key in the keychain is not the one of this vault.' });
    expect(tree(dir.path)).toEqual(before);
  });

  it('refuses a key item of a newer version', async () => {
    for (const account of keychain.items.keys()) keychain.items.set(account, Buffer.from('{"v":2,"key":"AAAA"}'));
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'file_too_new' });
    expect(vault.status()).toMatchObject({ backend: 'keychain', state: 'unavailable' });
  });

  it('reads a key item with keys that this version does not know', async () => {
    const [[account, item] = ['', '']] = keychain.items;
    keychain.items.set(account, Buffer.from(JSON.stringify({ ...JSON.parse(item.toString()), more: { work: 7 } })));
    expect(await generations(await open())).toEqual([1]);
  });

  it.each(['absent', 'frozen', 'locked', 'refused', 'unloadable'] as const)('[ST-01] never becomes a vault in memory when the keychain is %s', async (why) => {
    keychain.answer = failed(why);
    const vault = await open('auto');
    await expect(vault.save(grantOf(2))).rejects.toMatchObject({ code: why === 'locked' ? 'vault_locked' : 'vault_unavailable' });
    expect(vault.status().backend).toBe('keychain');
    expect(tree(dir.path)).toContain('grants/work.jwe');
  });

  it('says that the configuration asks for another key store', async () => {
    const vault = await open('passphrase');
    await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'vault_unavailable', message: expect.stringContaining('sealed by keychain') });
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable' });
  });

  it('stays untouched by a daemon that is told to keep to memory', async () => {
    const before = readAll(dir.path);
    const vault = await open('memory');
    await vault.save(grantOf(9));
    expect(await generations(vault)).toEqual([9]);
    expect(readAll(dir.path)).toEqual(before);
    expect(keychain.calls).toEqual([]);
  });

  it('is not replaced by a new one when vault.json is gone', async () => {
    rmSync(at('vault.json'));
    const before = tree(dir.path);
    for (const backend of ['auto', 'keychain', 'passphrase'] as const) {
      const vault = await open(backend);
      await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unavailable', message: expect.stringContaining('vault.json is missing') });
      expect(tree(dir.path)).toEqual(before);
    }
  });

  it('is erased also while it is locked', async () => {
    keychain.answer = failed('locked');
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_locked' });
    keychain.answer = null;
    await vault.erase();
    expect(tree(dir.path)).toEqual([]);
    expect(keychain.items.size).toBe(0);
  });

  it('says that a key is left where the keychain does not give it up', async () => {
    const vault = await open();
    await vault.grants();
    keychain.answer = failed('frozen');
    await expect(vault.erase()).rejects.toMatchObject({ code: 'vault_unavailable', message: expect.stringMatching(/stays in the keychain \(service valetkey, vault-/) });
    expect(tree(dir.path)).toEqual([]);
  });

  it('starts afresh after it was erased, under another key', async () => {
    const vault = await open();
    await vault.grants();
    const [before] = keychain.items.keys();
    await vault.erase();
    await vault.save(grantOf(1));
    expect([...keychain.items.keys()]).not.toContain(before);
    expect(await generations(await open())).toEqual([1]);
  });

  it('refuses a vault.json of a newer version unread, and leaves it', async () => {
    const text = '{"v":2,"something":"else"}';
    writeFileSync(at('vault.json'), text);
    await expect(open()).rejects.toMatchObject({ code: 'file_too_new', message: expect.stringMatching(/vault\.json is of version 2/) });
    expect(readFileSync(at('vault.json'), 'utf8')).toBe(text);
  });

  it.each(['', '{', '[]', 'null', '{"v":1}', '{"v":1,"id":"x","check":"y","keyedBy":{"backend":"plain"}}'])('refuses a damaged vault.json: %s', async (text) => {
    writeFileSync(at('vault.json'), text);
    await expect(open()).rejects.toMatchObject({ code: 'vault_corrupt' });
    expect(readFileSync(at('vault.json'), 'utf8')).toBe(text);
  });

  it('refuses a directory that others can read, or that is a link', async () => {
    chmodSync(dir.path, 0o755);
    await expect(open()).rejects.toMatchObject({ code: 'runtime_dir_untrusted', message: expect.stringContaining('0755') });
    chmodSync(dir.path, 0o700);
    chmodSync(at('grants'), 0o750);
    await expect((await open()).grants()).rejects.toMatchObject({ code: 'runtime_dir_untrusted' });
    chmodSync(at('grants'), 0o700);
    renameSync(dir.path, `${dir.path}-moved`);
    symlinkSync(`${dir.path}-moved`, dir.path);
    await expect(open()).rejects.toMatchObject({ code: 'runtime_dir_untrusted', message: expect.stringContaining('symbolic link') });
  });

  it('narrows the mode of a file that others could read, and says so', async () => {
    chmodSync(at('grants', 'work.jwe'), 0o644);
    expect(await generations(await open())).toEqual([1]);
    expect(lstatSync(at('grants', 'work.jwe')).mode & 0o777).toBe(0o600);
    expect(deps.log.lines).toContainEqual(expect.objectContaining({ level: 'warn', event: 'vault_file_mode_mended' }));
  });
});

describe('a fresh machine', () => {
  it.each(['absent', 'frozen', 'refused', 'unloadable'] as const)('[ST-01] keeps to memory, says why and writes nothing when the keychain is %s', async (why) => {
    keychain.answer = failed(why);
    const vault = await open();
    await vault.save(grantOf(1));
    expect(vault.status()).toMatchObject({ backend: 'memory', state: 'open' });
    expect(vault.status().detail).toMatch(/^Sign-ins are kept in memory and end with the daemon: .+\. "valetkey unlock --create" makes a vault with a passphrase\.$/);
    expect(existsSync(dir.path)).toBe(false);
  });

  it('leaves one key in the keychain however often the disk refuses', async () => {
    const store = keychain.store.bind(keychain);
    keychain.store = async (account, secret) => {
      mkdirSync(at('vault.json'), { recursive: true, mode: 0o700 });
      return store(account, secret);
    };
    const vault = await open();
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unwritable', message: expect.stringContaining(dir.path) });
    await clock.advance(5_000);
    await expect(vault.grants()).rejects.toMatchObject({ code: 'vault_unwritable' });
    expect(keychain.calls).toEqual(['store', 'store']);
    expect(keychain.items.size).toBe(1);
    keychain.store = store;
    rmSync(at('vault.json'), { recursive: true });
    await clock.advance(5_000);
    await vault.save(grantOf(1));
    expect(await generations(await open())).toEqual([1]);
  });

  it.each([
    ['absent', 'passphrase'], ['frozen', 'passphrase'], ['there', 'keychain'],
  ] as const)('waits for the keychain before it makes a vault with a passphrase: %s', async (what, backend) => {
    let answer = (): void => undefined;
    const held = new Promise<void>((resolve) => { answer = resolve; });
    keychain.answer = () => held.then(() => (what === 'there' ? { kind: 'stored' } : { kind: 'failed', why: what }));
    const vault = await open();
    const made = vault.unlock(PASSPHRASE, true).then(() => null, (error: { code: string; message: string }) => error);
    await clock.advance(1_000);
    answer();
    expect(await made).toEqual(backend === 'passphrase' ? null : expect.objectContaining({ code: 'bad_request', message: expect.stringContaining('has a key already') }));
    expect(vault.status()).toMatchObject({ backend, state: 'open' });
    expect(JSON.parse(readFileSync(at('vault.json'), 'utf8')).keyedBy.backend).toBe(backend);
  });

  it('says that it may be made later where the keychain asks for its password', async () => {
    keychain.answer = () => new Promise(() => undefined);
    const vault = await open();
    const made = vault.unlock(PASSPHRASE, true).catch((error: unknown) => error);
    await clock.advance(3_000);
    expect(await made).toMatchObject({ code: 'vault_unavailable', hint: 'Answer the keychain, then run the command again' });
    expect(existsSync(dir.path)).toBe(false);
  });

  it('makes a vault in the second try where the disk refused in the first, and loses nothing of what was in memory', async () => {
    keychain.answer = failed('absent');
    const vault = await open();
    await vault.save(grantOf(1));
    mkdirSync(at('grants', 'work.jwe'), { recursive: true, mode: 0o700 });
    chmodSync(at('grants'), 0o755);
    await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'vault_unavailable' });
    expect(await generations(vault)).toEqual([1]);
    rmSync(at('grants'), { recursive: true });
    mkdirSync(at('grants'), { mode: 0o755 });
    await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'runtime_dir_untrusted' });
    expect(existsSync(at('vault.json'))).toBe(false);
    await vault.unlock(PASSPHRASE, true);
    expect(vault.status()).toMatchObject({ backend: 'passphrase', state: 'open' });
    const next = await open();
    await next.unlock(PASSPHRASE, false);
    expect(await generations(next)).toEqual([1]);
  });

  it('names the path, the errno and the next step where the disk is read-only', async (test) => {
    const disk = smallDisk('size=64k');
    if ('obstacle' in disk) return test.skip(disk.obstacle);
    try {
      disk.remount('ro');
      keychain.answer = failed('absent');
      const path = join(disk.dir, 'valetkey');
      const vault = await openVaultWith(vaultDeps(path, 'auto', clock), keychain);
      await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({
        code: 'vault_unwritable', message: `the directory ${path} cannot be used: EROFS`, hint: `Make ${path} writable for this user`,
      });
      expect(vault.status()).toMatchObject({ backend: 'memory', state: 'open' });
    } finally {
      disk.remove();
    }
  });

  it('has no passphrase to be opened with while it is in memory', async () => {
    keychain.answer = failed('absent');
    const fallback = await open();
    await expect(fallback.unlock(PASSPHRASE, false)).rejects.toMatchObject({ code: 'bad_request', hint: 'To make one, run: valetkey unlock --create' });
    const configured = await open('memory');
    for (const create of [false, true]) await expect(configured.unlock(PASSPHRASE, create)).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('vault.backend') });
    expect(configured.status()).toMatchObject({ backend: 'memory', state: 'open', detail: expect.not.stringContaining('--create') });
    const keyed = await open('keychain');
    await expect(keyed.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'bad_request', message: expect.stringContaining('asks for the keychain') });
    expect(existsSync(dir.path)).toBe(false);
  });

  it('makes one vault where two ask for a passphrase at once', async () => {
    const vault = await open('passphrase');
    const outcomes = await Promise.allSettled([vault.unlock(PASSPHRASE, true), vault.unlock(new Secret('another passphrase EXAMPLE'), true)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await vault.save(grantOf(1));
    const winner = outcomes[0]?.status === 'fulfilled' ? PASSPHRASE : new Secret('another passphrase EXAMPLE');
    const next = await open('passphrase');
    await next.unlock(winner, false);
    expect(await generations(next)).toEqual([1]);
  });

  it('seals under a passphrase what was kept in memory until then', async () => {
    keychain.answer = failed('absent');
    const vault = await open();
    await vault.save(grantOf(1));
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    await vault.unlock(PASSPHRASE, true);
    expect(vault.status()).toMatchObject({ backend: 'passphrase', state: 'open' });
    const next = await open();
    await next.unlock(PASSPHRASE, false);
    expect(clear((await next.grants()).grants[0]?.grant)).toEqual(clear(grantOf(1)));
    expect((await next.clientSecret(work, 'digest-1'))?.reveal()).toBe('client-secret-EXAMPLE');
  });
});

describe('a vault keyed by a passphrase', () => {
  it('is locked until one was chosen, and after each start', async () => {
    const first = await open('passphrase');
    expect(first.status()).toEqual({ backend: 'passphrase', state: 'locked', detail: 'The vault has no passphrase yet. Run: valetkey unlock --create' });
    await expect(first.save(grantOf(1))).rejects.toMatchObject({ code: 'vault_locked' });
    await expect(first.unlock(PASSPHRASE, false)).rejects.toMatchObject({ code: 'vault_locked', hint: 'Run: valetkey unlock --create' });
    await expect(first.unlock(new Secret('short'), true)).rejects.toMatchObject({ code: 'bad_request' });
    await first.unlock(PASSPHRASE, true);
    await first.save(grantOf(1));
    const second = await open('auto');
    expect(second.status()).toEqual({ backend: 'passphrase', state: 'locked', detail: 'The vault opens with a passphrase. Run: valetkey unlock' });
    await expect(second.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'bad_request' });
    await second.unlock(PASSPHRASE, false);
    expect(await generations(second)).toEqual([1]);
    expect(keychain.calls).toEqual([]);
  });

  it('proves a passphrase also while it is open, and stays open meanwhile', async () => {
    const vault = await open('passphrase');
    await vault.unlock(PASSPHRASE, true);
    await vault.save(grantOf(1));
    await vault.unlock(PASSPHRASE, false);
    const wrong = vault.unlock(new Secret('wrong passphrase EXAMPLE'), false).catch((error: unknown) => error);
    await expect.poll(() => clock.sleepers, { interval: 5 }).toBe(1);
    expect(await generations(vault)).toEqual([1]);
    await clock.advance(500);
    expect(await wrong).toMatchObject({ code: 'passphrase_wrong', hint: expect.stringContaining('if it is forgotten: valetkey purge') });
    await expect(vault.unlock(PASSPHRASE, true)).rejects.toMatchObject({ code: 'bad_request', message: 'this vault has a key already, under a passphrase' });
    await vault.unlock(null, false);
    expect(vault.status().state).toBe('open');
    await vault.save(grantOf(2));
  });

  it('takes a passphrase however its accents were typed', async () => {
    const vault = await open('passphrase');
    await vault.unlock(new Secret('cre\u0301me bru\u0302le\u0301e'), true);
    vault.lock();
    await vault.unlock(new Secret('cr\u00e9me br\u00fbl\u00e9e'), false);
    expect(vault.status().state).toBe('open');
  });

  it('makes each wrong passphrase wait longer, and tries one after the other', async () => {
    const vault = await open('passphrase');
    await vault.unlock(PASSPHRASE, true);
    await vault.save(grantOf(1));
    vault.lock();
    const guess = (): Promise<unknown> => vault.unlock(new Secret('wrong passphrase EXAMPLE'), false).catch((error: unknown) => error);
    for (const [delayMs, refusedS] of [[500, 0], [1_000, 0], [2_000, 0], [4_000, 0], [8_000, 0], [8_000, 8], [8_000, 24], [8_000, 52]] as const) {
      const wrong = vault.unlock(new Secret('wrong passphrase EXAMPLE'), false).then(() => 'opened', (error: { code: string }) => error.code);
      await expect.poll(() => clock.sleepers, { interval: 5 }).toBe(1);
      await clock.advance(delayMs - 1);
      expect(clock.sleepers).toBe(1);
      await clock.advance(1);
      expect(await wrong).toBe('passphrase_wrong');
      if (refusedS === 0) continue;
      // Nobody's guess is tried meanwhile, not even the right one, and none makes it longer.
      await clock.advance((refusedS - 1) * 1000);
      for (let i = 0; i < 20; i += 1) expect(await guess()).toMatchObject({ code: 'too_many_requests', facts: { retryAfterS: 1, hint: 'Wait 1 s, then run: valetkey unlock' } });
      await expect(vault.unlock(PASSPHRASE, false)).rejects.toMatchObject({ code: 'too_many_requests' });
      await clock.advance(1_000);
    }
    // The right one is taken as soon as it is tried, and takes everything back.
    await vault.unlock(PASSPHRASE, false);
    expect(await generations(vault)).toEqual([1]);
  }, 120_000);

  it('lets few attempts wait', async () => {
    const vault = await open('passphrase');
    await vault.unlock(PASSPHRASE, true);
    vault.lock();
    const attempts = Array.from({ length: 8 }, () => vault.unlock(new Secret('wrong passphrase EXAMPLE'), false).catch((error: { code: string }) => error.code));
    const refused = (await Promise.all(attempts.slice(4)));
    expect(refused).toEqual(Array(4).fill('too_many_requests'));
    for (let i = 0; i < 4; i += 1) {
      await expect.poll(() => clock.sleepers, { interval: 5 }).toBe(1);
      await clock.advance(8_000);
    }
    expect(await Promise.all(attempts.slice(0, 4))).toEqual(Array(4).fill('passphrase_wrong'));
  });

  it('[ST-02] derives by scrypt with N = 2^17 and a salt of its own, and stores no key beside the files', async () => {
    const salts = new Set<string>();
    for (let i = 0; i < 2; i += 1) {
      const vault = await open('passphrase');
      await vault.unlock(PASSPHRASE, true);
      const header = JSON.parse(readFileSync(at('vault.json'), 'utf8'));
      expect(header.keyedBy.scrypt).toMatchObject({ N: 131_072, r: 8, p: 1 });
      expect(header.keyedBy.wrapped).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
      salts.add(header.keyedBy.scrypt.salt);
      await vault.erase();
      expect(vault.status().state).toBe('locked');
    }
    expect(salts.size).toBe(2);
  });

  it.each([{ N: 1024 }, { N: 2 ** 30 }, { r: 1 }, { p: 1e6 }, { salt: 7 }])('refuses a vault.json that changes the derivation: %j', async (change) => {
    await (await open('passphrase')).unlock(PASSPHRASE, true);
    const header = JSON.parse(readFileSync(at('vault.json'), 'utf8'));
    header.keyedBy.scrypt = { ...header.keyedBy.scrypt, ...change };
    writeFileSync(at('vault.json'), JSON.stringify(header));
    await expect(open('passphrase')).rejects.toMatchObject({ code: 'vault_corrupt' });
  });

  it('[ST-02] opens nothing after any part of vault.json was changed, and sets nothing aside', async () => {
    const vault = await open('passphrase');
    await vault.unlock(PASSPHRASE, true);
    await vault.save(grantOf(1));
    const header = JSON.parse(readFileSync(at('vault.json'), 'utf8'));
    const flip = (text: string): string => `${text.slice(0, -4)}${text.at(-4) === 'A' ? 'B' : 'A'}${text.slice(-3)}`;
    const { keyedBy } = header;
    for (const changed of [
      { ...header, id: flip(header.id) }, { ...header, check: flip(header.check) }, { ...header, keyedBy: { ...keyedBy, wrapped: flip(keyedBy.wrapped) } },
      { ...header, keyedBy: { ...keyedBy, scrypt: { ...keyedBy.scrypt, salt: flip(keyedBy.scrypt.salt) } } },
    ]) {
      writeFileSync(at('vault.json'), JSON.stringify(changed));
      const next = await open('passphrase');
      const outcome = next.unlock(PASSPHRASE, false).then(() => 'opened', (error: { code: string }) => error.code);
      const settled = await Promise.race([outcome, expect.poll(() => clock.sleepers, { interval: 5 }).toBe(1).then(() => null, () => null)]);
      if (settled === null) await clock.advance(500);
      expect(['passphrase_wrong', 'vault_unavailable']).toContain(await outcome);
      expect(tree(at('grants'))).toEqual(['work.jwe']);
    }
  });
});

