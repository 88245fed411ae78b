/** What every vault does, wherever it keeps its key: memory, passphrase, and a real gnome-keyring. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Revocation } from '../../daemon/core/domain.ts';
import type { Vault, VaultStatus } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { openVault } from '../../daemon/vault/open-vault.ts';
import { profileName, someServer, T0 } from '../support/builders.ts';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { keyringObstacle, useKeyring } from '../support/keyring.ts';
import { clear, grantOf, makeStateDir, modes, PASSPHRASE, vaultDeps } from '../support/vault-rig.ts';
import type { StateDir } from '../support/vault-rig.ts';

const work = profileName('work');
const other = profileName('other');

function revocation(id: string): Revocation {
  return {
    id, profile: work, clientId: 'client-EXAMPLE', clientAuth: 'none', server: someServer(),
    connection: { caPem: null, proxy: null, allowLoopbackHttp: false }, digest: 'digest-1', token: new Secret(`rt-gone-${id}-EXAMPLE`),
    tokenKind: 'refresh_token', expiresAt: null, since: T0,
  };
}

const METHODS: Readonly<Record<string, (vault: Vault) => Promise<unknown>>> = {
  grants: (vault) => vault.grants(),
  beginRefresh: (vault) => vault.beginRefresh(work, { generation: 1, at: T0, boottime: null }),
  save: (vault) => vault.save(grantOf(1)),
  remove: (vault) => vault.remove(work),
  revocations: (vault) => vault.revocations(),
  saveRevocation: (vault) => vault.saveRevocation(revocation('one')),
  removeRevocation: (vault) => vault.removeRevocation('one'),
  clientSecret: (vault) => vault.clientSecret(work, 'digest-1'),
  approvalPin: (vault) => vault.pins.isSet(),
  saveClientSecret: (vault) => vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE')),
  removeClientSecret: (vault) => vault.removeClientSecret(work),
  workloads: (vault) => vault.workloads(),
};

const obstacle = keyringObstacle();
if (obstacle !== null) console.warn(`the vault's contract is not tested on a keychain: ${obstacle}`);

describe.each<{ backend: VaultStatus['backend'] }>([
  { backend: 'memory' }, { backend: 'passphrase' }, { backend: 'keychain' },
])('vault on $backend', ({ backend }) => {
  const skipped = backend === 'keychain' && obstacle !== null;
  const persists = backend !== 'memory';
  let dir: StateDir;
  let vault: Vault;

  useKeyring(backend === 'keychain' && !skipped);
  beforeEach(async () => {
    dir = makeStateDir();
    if (!skipped) vault = await open();
  });
  afterEach(() => dir.remove());

  async function open(): Promise<Vault> {
    const isNew = !existsSync(dir.path);
    const opened = await openVault(vaultDeps(dir.path, backend));
    if (backend === 'passphrase') await opened.unlock(PASSPHRASE, isNew);
    return opened;
  }
  const only = async () => {
    const { grants, corrupt } = await vault.grants();
    expect(corrupt).toEqual([]);
    expect(grants.length).toBeLessThan(2);
    return grants[0];
  };

  it.skipIf(skipped)('keeps a grant, its secrets and its absent values', async () => {
    const grant = grantOf(1, { identity: null, resource: 'https://api.example', rotates: null });
    await vault.save(grant);
    expect(clear((await only())?.grant)).toEqual(clear(grant));
    expect((await only())?.intent).toBeNull();
    await vault.save(grantOf(2, { state: { kind: 'parked', reason: 'expired', at: T0 } }));
    expect((await only())?.grant.state).toEqual({ kind: 'parked', reason: 'expired', at: T0 });
  });

  it.skipIf(skipped)('shows an intent until the refresh is saved or abandoned', async () => {
    await vault.save(grantOf(1));
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    expect((await only())?.intent).toEqual({ generation: 1, at: T0, boottime: null });
    await vault.abandonRefresh(work);
    expect((await only())?.intent).toBeNull();
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    await vault.save(grantOf(2));
    expect(await only()).toMatchObject({ grant: { generation: 2 }, intent: null });
  });

  it.skipIf(skipped)('removes one grant and leaves the others', async () => {
    await vault.save(grantOf(1));
    await vault.save(grantOf(1, { profile: other }));
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    await vault.remove(work);
    await vault.remove(work);
    expect((await vault.grants()).grants.map(({ grant, intent }) => [grant.profile, intent])).toEqual([[other, null]]);
  });

  it.skipIf(skipped)('[WL-01] keeps workloads apart from the grants, under names that both may have', async () => {
    const record = { profile: work, digest: 'key-digest-1', keys: [{ kid: 'k1', alg: 'ES256', publicJwk: { kty: 'EC' }, privateJwk: new Secret('private-key-EXAMPLE'), state: 'active', madeAt: T0 }], lastUsedAt: null } as const;
    const store = await vault.workloads();
    // Also where there never was one.
    await store.remove(work);
    expect(await store.read(work)).toBeNull();
    await vault.save(grantOf(1));
    await store.save(record);
    const found = await (await vault.workloads()).read(work);
    expect(found?.keys.map(({ privateJwk, ...rest }) => ({ ...rest, privateJwk: privateJwk.reveal() }))).toEqual([{ ...record.keys[0], privateJwk: 'private-key-EXAMPLE' }]);
    if (persists) expect(searchTree(dir.path, collectCanaries([], { more: ['private-key-EXAMPLE'] }))).toEqual([]);
    if (persists) {
      const file = (name: string): string => `${dir.path}/workloads/${name}.jwe`;
      expect(decodeProtectedHeader(readFileSync(file('work'), 'utf8'))).toMatchObject({ kind: 'workload', name: 'work', digest: 'key-digest-1' });
      copyFileSync(file('work'), file('other'));
      await expect(store.read(other)).rejects.toMatchObject({ code: 'vault_corrupt' });
      await store.remove(other);
    }
    await vault.remove(work);
    expect(await store.read(work)).not.toBeNull();
    await vault.save(grantOf(1));
    await store.remove(work);
    expect(await store.read(work)).toBeNull();
    expect((await only())?.grant.profile).toBe(work);
    await store.save(record);
    if (persists) {
      await vault.lock();
      await expect(store.read(work)).rejects.toMatchObject({ code: 'vault_locked' });
      await expect(store.save(record)).rejects.toMatchObject({ code: 'vault_locked' });
      await expect(store.remove(work)).rejects.toMatchObject({ code: 'vault_locked' });
      vault = await open();
      expect((await (await vault.workloads()).read(work))?.keys.length).toBe(1);
    }
    await vault.erase();
    if (persists) expect(existsSync(`${dir.path}/workloads`)).toBe(false);
  });

  it.skipIf(skipped)('writes in the order in which it was asked', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => vault.save(grantOf(i + 1))));
    expect((await only())?.grant.generation).toBe(20);
  });

  it.skipIf(skipped)('keeps revocations and client secrets apart from grants', async () => {
    await vault.saveRevocation(revocation('one'));
    await vault.saveRevocation(revocation('two'));
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    expect((await vault.revocations()).map(({ id, token }) => [id, token.reveal()])).toEqual([['one', 'rt-gone-one-EXAMPLE'], ['two', 'rt-gone-two-EXAMPLE']]);
    expect((await vault.clientSecret(work, 'digest-1'))?.reveal()).toBe('client-secret-EXAMPLE');
    expect(await vault.clientSecret(other, 'digest-1')).toBeNull();
    expect(await vault.clientSecret(work, 'digest-2')).toBeNull(); // the profile points elsewhere by now
    await vault.removeRevocation('one');
    await vault.removeClientSecret(work);
    expect((await vault.revocations()).map(({ id }) => id)).toEqual(['two']);
    expect(await vault.clientSecret(work, 'digest-1')).toBeNull();
    expect((await vault.grants()).grants).toEqual([]);
  });

  it.skipIf(skipped)('[IP-10] keeps the approval PIN, with the wrong ones, apart from the rest', async () => {
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    expect(await vault.pins.isSet()).toBe(false);
    await vault.pins.set(new Secret('471100'), null);
    await expect(vault.pins.prove(new Secret('000000'))).rejects.toMatchObject({ code: 'pin_wrong' });
    await vault.pins.prove(new Secret('471100'));
    await vault.pins.set(null, new Secret('471100'));
    expect([await vault.pins.isSet(), (await vault.clientSecret(work, 'digest-1'))?.reveal()]).toEqual([false, 'client-secret-EXAMPLE']);
  });

  it.skipIf(skipped)('refuses everything while it is locked, and holds everything after unlock', async () => {
    await vault.save(grantOf(1));
    vault.lock();
    expect(vault.status()).toMatchObject({ backend, state: 'locked' });
    for (const [name, call] of Object.entries(METHODS)) {
      await expect(call(vault), name).rejects.toMatchObject({ code: 'vault_locked' });
    }
    await vault.unlock(backend === 'passphrase' ? PASSPHRASE : null, false);
    await vault.unlock(null, false);
    expect(vault.status()).toMatchObject({ backend, state: 'open' });
    expect((await only())?.grant.generation).toBe(1);
  });

  it.skipIf(skipped)('saves the answer of a refresh that was begun before it was locked', async () => {
    await vault.save(grantOf(1));
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    vault.lock();
    await vault.save(grantOf(2));
    await expect(vault.save(grantOf(3))).rejects.toMatchObject({ code: 'vault_locked' });
    await vault.unlock(backend === 'passphrase' ? PASSPHRASE : null, false);
    expect(await only()).toMatchObject({ grant: { generation: 2 }, intent: null });
  });

  it.skipIf(skipped)('erases everything', async () => {
    await vault.save(grantOf(1));
    await vault.saveRevocation(revocation('one'));
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    await vault.erase();
    if (existsSync(dir.path)) expect(modes(dir.path)).toEqual({ '.': '700' });
    if (backend === 'passphrase') await vault.unlock(PASSPHRASE, true);
    expect(await vault.grants()).toEqual({ grants: [], corrupt: [], floors: new Map() });
    expect(await vault.revocations()).toEqual([]);
    expect(await vault.clientSecret(work, 'digest-1')).toBeNull();
  });

  it.skipIf(skipped)('says in a sentence where the secrets are', async () => {
    await vault.grants();
    expect(vault.status().detail).toMatch(/^[A-Z/].+\.$/);
  });

  it.skipIf(skipped)(`[ST-01] ${persists ? 'is there again after a restart, sealed and private' : 'writes no file at all'}`, async () => {
    await vault.save(grantOf(1));
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    await vault.saveRevocation(revocation('one'));
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    await vault.pins.set(new Secret('approval-pin-EXAMPLE'), null);
    await expect(vault.pins.prove(new Secret('000000'))).rejects.toMatchObject({ code: 'pin_wrong' });
    if (!persists) {
      expect(existsSync(dir.path)).toBe(false);
      return;
    }
    const canaries = collectCanaries([], {
      more: ['rt-1-EXAMPLE', 'at-1-EXAMPLE', 'rt-gone-one-EXAMPLE', 'client-secret-EXAMPLE', 'approval-pin-EXAMPLE', PASSPHRASE.reveal(), 'alice@example.com'],
    });
    expect(searchTree(dir.path, canaries)).toEqual([]);
    for (const [name, mode] of Object.entries(modes(dir.path))) expect(`${name} ${mode}`).toBe(`${name} ${/\.(jwe|next|json)$/.test(name) ? '600' : '700'}`);
    vault = await open();
    await vault.pins.prove(new Secret('approval-pin-EXAMPLE'));
    expect(clear((await only())?.grant)).toEqual(clear(grantOf(1)));
    expect((await only())?.intent).toEqual({ generation: 1, at: T0, boottime: null });
    expect((await vault.revocations()).map(({ id }) => id)).toEqual(['one']);
    expect((await vault.clientSecret(work, 'digest-1'))?.reveal()).toBe('client-secret-EXAMPLE');
  });
});
