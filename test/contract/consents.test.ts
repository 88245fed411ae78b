/** What every store of consents does, wherever its vault keeps the key; and what only a file can suffer. */
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsentStore, KeptConsent, KeptConsents } from '../../daemon/core/consents.ts';
import type { Vault } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { openVault } from '../../daemon/vault/open-vault.ts';
import { profileName, scopes, T0 } from '../support/builders.ts';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { FakeConsentStore } from '../support/fake-consents.ts';
import { keyringObstacle, useKeyring } from '../support/keyring.ts';
import { makeStateDir, modes, PASSPHRASE, tree, vaultDeps } from '../support/vault-rig.ts';
import type { StateDir } from '../support/vault-rig.ts';

const obstacle = keyringObstacle();
if (obstacle !== null) console.warn(`consents are not tested on a keychain: ${obstacle}`);

const consent = (id: string, over: Partial<KeptConsent> = {}): KeptConsent => ({
  id, profile: profileName('work'), kind: 'profile', resource: 'https://api.example', scopes: scopes('read write'), label: 'restic-EXAMPLE (pid 7)', program: 'key-of-the-program',
  binding: 'session', holder: { pid: 4900, startTime: '40' }, rule: 'admin/jobs', tier: 'high', isStanding: false, givenBy: 'valetkey (pid 2)', lifeMs: 86_400_000, ageMs: 17, ...over,
});
const kept = (...ids: readonly string[]): KeptConsents => ({
  at: { at: T0, boot: { bootId: 'boot-1', ms: 1_000_000 } },
  consents: ids.map((id) => consent(id, id === 'b' ? { scopes: null, resource: null, binding: 'program', holder: null, isStanding: true } : {})),
});

type Place = 'fake' | 'memory' | 'passphrase' | 'keychain';

describe.each<{ place: Place }>([{ place: 'fake' }, { place: 'memory' }, { place: 'passphrase' }, { place: 'keychain' }])('consents in a vault: $place', ({ place }) => {
  const skipped = place === 'keychain' && obstacle !== null;
  const isFile = place === 'passphrase' || place === 'keychain';
  let dir: StateDir;
  let vault: Vault | null;
  let store: ConsentStore;
  let fake: FakeConsentStore;

  useKeyring(place === 'keychain' && !skipped);
  beforeEach(async () => {
    dir = makeStateDir();
    fake = new FakeConsentStore();
    if (!skipped) await start();
  });
  afterEach(() => dir.remove());

  async function start(): Promise<void> {
    await vault?.lock();
    vault = null;
    store = fake;
    if (place === 'fake') return;
    const isNew = !existsSync(dir.path);
    vault = await openVault(vaultDeps(dir.path, place));
    if (place === 'passphrase') await vault.unlock(PASSPHRASE, isNew);
    store = vault.consents;
    // On a busy machine a keychain may take longer than is waited for it; then it is asked again.
    await expect.poll(() => vault?.grants().then(() => null, (error: unknown) => String(error)), { interval: 250 }).toBeNull();
  }
  const lock = async (): Promise<void> => {
    fake.isLocked = true;
    await vault?.lock();
  };
  const unlock = async (): Promise<void> => {
    fake.isLocked = false;
    await vault?.unlock(place === 'passphrase' ? PASSPHRASE : null, false);
  };
  const file = (): string => join(dir.path, 'secrets/_consents.jwe');

  it.skipIf(skipped)('[IP-10] keeps what was written last, as it was, and says whether it outlasts the daemon', async () => {
    expect(await store.read()).toEqual({ kind: 'none' });
    await store.remove();
    expect(await store.write(kept('a', 'b'))).toBe(place !== 'memory');
    expect(await store.write(kept('b', 'c'))).toBe(place !== 'memory');
    if (place !== 'memory') {
      expect(await store.read()).toEqual({ kind: 'kept', kept: kept('b', 'c') });
      await start();
      expect(await store.read()).toEqual({ kind: 'kept', kept: kept('b', 'c') });
    }
    await store.remove();
    await store.remove();
    expect(await store.read()).toEqual({ kind: 'none' });
    await start();
    expect(await store.read()).toEqual({ kind: 'none' });
  });

  if (place !== 'memory') it.skipIf(skipped)('[IP-10] tells nothing while it is locked, and is ended without a key', async () => {
    await store.write(kept('a'));
    await lock();
    await expect(store.read()).rejects.toMatchObject({ code: 'vault_locked' });
    await expect(store.write(kept('b'))).rejects.toMatchObject({ code: 'vault_locked' });
    await unlock();
    expect(await store.read()).toMatchObject({ kind: 'kept' });
    await lock();
    await store.remove();
    await unlock();
    expect(await store.read()).toEqual({ kind: 'none' });
  });

  if (place === 'memory') it('[ST-01] writes no file', async () => {
    await store.write(kept('a'));
    expect(existsSync(dir.path)).toBe(false);
  });
  if (!isFile) return;

  it.skipIf(skipped)('[IP-10] is a sealed file of its own that only its user can read', async () => {
    await store.write(kept('a', 'b'));
    expect(modes(dir.path)['secrets/_consents.jwe']).toBe('600');
    expect(decodeProtectedHeader(readFileSync(file(), 'utf8'))).toMatchObject({ v: 1, kind: 'consents', name: '_consents', generation: 1 });
    expect(searchTree(dir.path, collectCanaries([], { more: ['restic-EXAMPLE', 'key-of-the-program', 'https://api.example'] }))).toEqual([]);
    await vault?.erase();
    expect(existsSync(file())).toBe(false);
  });

  it.skipIf(skipped)('[IP-10] was not opened yet, and is ended all the same', async () => {
    await store.write(kept('a'));
    await vault?.lock();
    vault = await openVault(vaultDeps(dir.path, 'passphrase'));
    await vault.consents.remove();
    expect(existsSync(file())).toBe(false);
  });

  it.skipIf(skipped)('[IP-10] opens nothing where any of it was changed, and is set aside', async () => {
    await store.write(kept('a'));
    const bytes = readFileSync(file());
    for (let i = 0; i < bytes.length; i += 31) {
      const flipped = Buffer.from(bytes);
      flipped[i] = (flipped[i] ?? 0) ^ 1;
      writeFileSync(file(), flipped);
      expect(await store.read(), `byte ${i}`).toEqual({ kind: 'lost', why: 'vault_corrupt' });
    }
    expect(tree(join(dir.path, 'secrets')).filter((name) => /^_consents\.jwe\.corrupt-\d+$/.test(name))).toHaveLength(Math.ceil(bytes.length / 31));
    await store.remove();
    expect(tree(join(dir.path, 'secrets'))).toEqual([]);
  });

  it.skipIf(skipped)('[IP-10] is not opened as something else, nor something else as it', async () => {
    await store.write(kept('a'));
    copyFileSync(file(), join(dir.path, 'secrets/_pin.jwe'));
    await expect(vault?.pins.isSet()).rejects.toMatchObject({ code: 'vault_corrupt' });
    await vault?.saveClientSecret(profileName('work'), 'digest-1', new Secret('client-secret-EXAMPLE'));
    renameSync(join(dir.path, 'secrets/work.jwe'), file());
    expect(await store.read()).toEqual({ kind: 'lost', why: 'vault_corrupt' });
  });

  it.skipIf(skipped)('is not guessed at where it is of a newer version, and stays', async () => {
    await store.write(kept('a'));
    const [header = '', ...rest] = readFileSync(file(), 'utf8').split('.');
    const newer = [Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(header, 'base64url').toString()), v: 2 })).toString('base64url'), ...rest].join('.');
    writeFileSync(file(), newer);
    expect(await store.read()).toEqual({ kind: 'lost', why: 'file_too_new' });
    expect(readFileSync(file(), 'utf8')).toBe(newer);
  });

  it.skipIf(skipped)('[ST-03] revives nothing that was taken back by an old copy, also after a restart', async () => {
    await store.write(kept('a', 'b'));
    const before = readFileSync(file());
    await store.write(kept('b'));
    writeFileSync(file(), before);
    await start();
    expect(await store.read()).toEqual({ kind: 'lost', why: 'rolled_back' });
    expect(existsSync(file())).toBe(false);
    // Nor after all of it was ended.
    await store.write(kept('a'));
    const last = readFileSync(file());
    await store.remove();
    writeFileSync(file(), last, { mode: 0o600 });
    await start();
    expect(await store.read()).toEqual({ kind: 'lost', why: 'rolled_back' });
    // What is given later is no backup.
    await store.write(kept('c'));
    await start();
    expect(await store.read()).toEqual({ kind: 'kept', kept: kept('c') });
  });

  it.skipIf(skipped)('refuses more than one file takes, instead of writing one that it does not read', async () => {
    const many = Array.from({ length: 3_500 }, (_, i) => consent(`id-${i}`, { resource: `https://api.example/${'x'.repeat(1_000)}` }));
    await expect(store.write({ ...kept(), consents: many })).rejects.toMatchObject({ code: 'vault_unwritable', message: expect.stringContaining('more consents than') as string });
    expect(await store.read()).toEqual({ kind: 'none' });
  });
});
