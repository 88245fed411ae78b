/** What the vault gives a supervisor to keep, when it takes it back, and when it lets nobody have it any more. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Vault } from '../../../../daemon/core/ports.ts';
import type { KeptKey } from '../../../../daemon/core/supervisor-port.ts';
import { openVaultWith } from '../../../../daemon/vault/open-vault.ts';
import type { VaultDeps } from '../../../../daemon/vault/open-vault.ts';
import { FakeKeychain, grantOf, makeStateDir, PASSPHRASE, vaultDeps } from '../../../support/vault-rig.ts';
import type { StateDir } from '../../../support/vault-rig.ts';

/** Outlives the vaults of a test, as systemd outlives daemons. */
class Keeper implements KeptKey {
  kept: Buffer | null = null;
  calls: string[] = [];
  /** The copies that were handed out; they have to be zeroed in the end. */
  taken: Buffer[] = [];
  take(): Buffer | null {
    this.calls.push('take');
    if (this.kept === null) return null;
    const copy = Buffer.from(this.kept);
    this.taken.push(copy);
    return copy;
  }
  keep(key: Uint8Array): void {
    this.calls.push('keep');
    this.kept = Buffer.from(key);
  }
  drop(): void {
    this.calls.push('drop');
    this.kept = null;
  }
}

let dir: StateDir;
let keeper: Keeper;
let keychain: FakeKeychain;
const open = (backend: VaultDeps['backend'] = 'passphrase'): Promise<Vault> => openVaultWith({ ...vaultDeps(dir.path, backend), keptKey: keeper }, keychain);

beforeEach(() => {
  dir = makeStateDir();
  keeper = new Keeper();
  keychain = new FakeKeychain();
});
afterEach(() => dir.remove());

describe('the key of a vault with a passphrase', () => {
  beforeEach(async () => {
    const vault = await open();
    await vault.unlock(PASSPHRASE, true);
    await vault.save(grantOf(1));
    await vault.end();
  });

  it('opens the vault of the next daemon without a question', async () => {
    expect(keeper.kept).not.toBeNull();
    const next = await open();
    expect(next.status()).toMatchObject({ backend: 'passphrase', state: 'open' });
    expect((await next.grants()).grants.map(({ grant }) => grant.generation)).toEqual([1]);
    await next.end();
    expect(keeper.kept).not.toBeNull(); // for the one after
    expect(keeper.taken).toHaveLength(1);
    expect(keeper.taken[0]?.equals(Buffer.alloc(32))).toBe(true); // nothing of it stays in this one
  });

  it('is out of every hand when the vault is locked, before anything is waited for', async () => {
    const vault = await open();
    const locked = vault.lock();
    expect(keeper.kept).toBeNull();
    await locked;
    expect((await open()).status()).toMatchObject({ state: 'locked' });
  });

  it('is kept again when the passphrase was given again', async () => {
    const vault = await open();
    await vault.lock();
    await vault.unlock(PASSPHRASE, false);
    expect(keeper.kept).not.toBeNull();
    expect((await open()).status()).toMatchObject({ state: 'open' });
  });

  it('is not kept where the lock came while the passphrase was proved', async () => {
    const vault = await open();
    await vault.lock();
    const unlocking = vault.unlock(PASSPHRASE, false).catch(() => undefined);
    await vault.lock();
    await unlocking;
    expect(keeper.kept).toBeNull();
  });

  it('ends with the vault', async () => {
    const vault = await open();
    await vault.erase();
    expect(keeper.kept).toBeNull();
  });

  it('is dropped, and zeroed, where it opens another vault than this', async () => {
    keeper.kept = Buffer.alloc(32, 7);
    const vault = await open();
    expect(vault.status()).toMatchObject({ state: 'locked' });
    expect(keeper.kept).toBeNull();
    expect(keeper.taken.every((copy) => copy.equals(Buffer.alloc(32)))).toBe(true);
    // V6: nothing on the disk was judged by it.
    await vault.unlock(PASSPHRASE, false);
    expect((await vault.grants()).corrupt).toEqual([]);
  });

  it('is dropped where vault.json is gone, or the configuration asks for another key store', async () => {
    const header = join(dir.path, 'vault.json');
    const text = readFileSync(header);
    await open('memory');
    expect(keeper.kept).toBeNull();
    keeper.kept = Buffer.alloc(32, 7);
    writeFileSync(header, '');
    await expect(open()).rejects.toThrow('damaged');
    writeFileSync(header, text);
  });
});

describe('the key of a vault with a keychain', () => {
  it('is never given to anybody else', async () => {
    const vault = await open('keychain');
    await vault.save(grantOf(1));
    await vault.end();
    expect(keeper.calls).not.toContain('keep');
    keeper.kept = Buffer.alloc(32, 7); // of an earlier vault
    const next = await open('keychain');
    expect((await next.grants()).grants).toHaveLength(1);
    expect(keeper.kept).toBeNull();
  });
});
