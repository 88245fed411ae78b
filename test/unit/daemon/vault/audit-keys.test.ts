/** The keys of the audit log: made once, kept as long as the vault, and gone with it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../daemon/core/secret.ts';
import { openVaultWith } from '../../../../daemon/vault/open-vault.ts';
import { FakeKeychain, makeStateDir, openKeyed, PASSPHRASE, readAll, tree, vaultDeps } from '../../../support/vault-rig.ts';
import type { StateDir } from '../../../support/vault-rig.ts';

const TOKEN = new Secret('at-1-EXAMPLE');
const HEAD = { seq: 7, hash: 'a'.repeat(64) };

let dir: StateDir;
let keychain: FakeKeychain;
const file = (): string => join(dir.path, 'secrets/_audit.jwe');
const keysNow = async () => (await openKeyed(dir.path, keychain)).auditKeys();

beforeEach(() => {
  dir = makeStateDir();
  keychain = new FakeKeychain();
});
afterEach(() => dir.remove());

describe('the keys of the audit', () => {
  it('[AL-02] are the same after a restart, with what was remembered, and stand nowhere in the clear', async () => {
    const first = await keysNow();
    await first.remember(HEAD);
    const second = await keysNow();
    expect(second).toMatchObject({ kid: first.kid, isLasting: true, last: HEAD });
    expect(second.fingerprint(TOKEN)).toBe(first.fingerprint(TOKEN));
    expect(second.fingerprint(TOKEN)).not.toBe(second.fingerprint(new Secret('at-2-EXAMPLE')));
    expect(readFileSync(file(), 'latin1').split('.')).toHaveLength(5);
    expect(readAll(dir.path).includes(HEAD.hash)).toBe(false);
  });

  it('are others in another vault: a fingerprint tells nothing without this one', async () => {
    const other = makeStateDir();
    const [mine, theirs] = [await keysNow(), await (await openKeyed(other.path, new FakeKeychain())).auditKeys()];
    expect(theirs.fingerprint(TOKEN)).not.toBe(mine.fingerprint(TOKEN));
    other.remove();
  });

  it('are made once, however many ask', async () => {
    const vault = await openKeyed(dir.path, keychain);
    const all = await Promise.all([vault.auditKeys(), vault.auditKeys(), vault.auditKeys()]);
    expect(new Set(all).size).toBe(1);
    expect((await keysNow()).kid).toBe(all[0]?.kid);
  });

  it('end with the lock, and come back with the unlock', async () => {
    const vault = await openKeyed(dir.path, keychain);
    const keys = await vault.auditKeys();
    await vault.lock();
    const gone = expect.objectContaining({ code: 'vault_locked' });
    expect(() => keys.fingerprint(TOKEN)).toThrow(gone);
    expect(() => keys.sign({ ...HEAD, at: 1 })).toThrow(gone);
    await expect(keys.remember(HEAD)).rejects.toEqual(gone);
    await expect(vault.auditKeys()).rejects.toEqual(gone);
    await vault.unlock(null, false);
    expect((await vault.auditKeys()).kid).toBe(keys.kid);
  });

  it('that are damaged are set aside, and new ones made', async () => {
    const { kid } = await keysNow();
    writeFileSync(file(), readFileSync(file(), 'latin1').replace(/.{4}$/, 'AAAA'));
    expect((await keysNow()).kid).not.toBe(kid);
    expect(tree(dir.path)).toContain('secrets/_audit.jwe.corrupt-1');
  });

  it('are erased with everything else', async () => {
    const vault = await openKeyed(dir.path, keychain);
    const { kid } = await vault.auditKeys();
    await vault.erase();
    expect(tree(dir.path).filter((name) => name.includes('_audit'))).toEqual([]);
    expect((await vault.auditKeys()).kid).not.toBe(kid);
  });

  it('of a vault in memory go on in the one that takes its place', async () => {
    keychain.answer = () => ({ kind: 'failed', why: 'absent' });
    const passphrased = await openVaultWith(vaultDeps(dir.path, 'auto'), keychain);
    const before = await passphrased.auditKeys();
    expect(before.isLasting).toBe(false);
    await passphrased.unlock(PASSPHRASE, true);
    const after = await passphrased.auditKeys();
    expect(after).toMatchObject({ kid: before.kid, isLasting: true });
    expect(before.fingerprint(TOKEN)).toBe(after.fingerprint(TOKEN));
  });
});
