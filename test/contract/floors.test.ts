/** What every vault that outlives its daemon does when a backup of its state directory is put back. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredGrant, Vault } from '../../daemon/core/ports.ts';
import { openVault } from '../../daemon/vault/open-vault.ts';
import { profileName } from '../support/builders.ts';
import { FakeVault } from '../support/fakes.ts';
import { keyringObstacle, useKeyring } from '../support/keyring.ts';
import { grantOf, makeStateDir, PASSPHRASE, runtimeDirOf, vaultDeps } from '../support/vault-rig.ts';
import type { StateDir } from '../support/vault-rig.ts';

const work = profileName('work');
const other = profileName('other');
const obstacle = keyringObstacle();
if (obstacle !== null) console.warn(`floors are not tested on a keychain: ${obstacle}`);

describe.each<{ backend: 'fake' | 'passphrase' | 'keychain' }>([
  { backend: 'fake' }, { backend: 'passphrase' }, { backend: 'keychain' },
])('floors of a vault: $backend', ({ backend }) => {
  const skipped = backend === 'keychain' && obstacle !== null;
  let dir: StateDir;
  let fake: FakeVault;
  let vault: Vault;

  useKeyring(backend === 'keychain' && !skipped);
  beforeEach(async () => {
    dir = makeStateDir();
    fake = new FakeVault();
    if (!skipped) await start();
  });
  afterEach(() => dir.remove());

  async function start(bootId = 'boot-1'): Promise<void> {
    const isNew = !existsSync(dir.path);
    vault = backend === 'fake' ? fake : await openVault({ ...vaultDeps(dir.path, backend), bootId });
    if (backend !== 'keychain') await vault.unlock(backend === 'fake' ? null : PASSPHRASE, isNew);
    // On a busy machine a keychain may take longer than is waited for it; then it is asked again.
    else await expect.poll(() => vault.grants().then(() => null, (error: unknown) => String(error)), { interval: 250 }).toBeNull();
  }
  /** Ends the daemon, puts back what stood there at the time of the call, and starts another. */
  function backUp(): () => Promise<void> {
    const stored = new Map<StoredGrant['grant']['profile'], StoredGrant>(fake.stored);
    if (backend !== 'fake') cpSync(dir.path, `${dir.path}-backup`, { recursive: true });
    return async () => {
      await vault.lock();
      fake.stored = stored;
      rmSync(dir.path, { recursive: true, force: true });
      if (backend !== 'fake') cpSync(`${dir.path}-backup`, dir.path, { recursive: true });
      await start();
    };
  }
  const read = async (profile = work) => {
    const { grants, floors } = await vault.grants();
    return [grants.find(({ grant }) => grant.profile === profile)?.grant.generation ?? null, floors.get(profile) ?? null];
  };

  it.skipIf(skipped)('[ST-03] stand above a grant that came from a backup, and not above the others', async () => {
    await vault.save(grantOf(1));
    await vault.save(grantOf(4, { profile: other }));
    const restore = backUp();
    await vault.save(grantOf(2));
    await vault.save(grantOf(3));
    await restore();
    expect([await read(), await read(other)]).toEqual([[1, 3], [4, 4]]);
    await vault.save(grantOf(4));
    expect(await read()).toEqual([4, 4]);
  });

  it.skipIf(skipped)('[ST-03] stand above a grant that was signed out, once', async () => {
    await vault.save(grantOf(3));
    const restore = backUp();
    await vault.remove(work);
    await vault.remove(work);
    expect(await read()).toEqual([null, 4]);
    await restore();
    expect(await read()).toEqual([3, 4]);
  });

  it.skipIf(skipped)('suspect nothing of an ordinary restart', async () => {
    for (let generation = 1; generation < 6; generation += 1) await vault.save(grantOf(generation));
    await vault.lock();
    await start();
    expect(await read()).toEqual([5, 5]);
  });

  if (backend === 'keychain') it.skipIf(skipped)('[ST-03] are known by the keychain alone after a reboot', async () => {
    await vault.save(grantOf(1));
    const restore = backUp();
    await vault.save(grantOf(2));
    await restore();
    await vault.lock();
    rmSync(runtimeDirOf(dir.path), { recursive: true });
    await start('boot-2');
    expect(await read()).toEqual([1, 2]);
  });
});
