/** What is on disk, when it was changed by somebody else or by a crash. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Revocation } from '../../../../daemon/core/domain.ts';
import type { Vault } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { openVaultWith } from '../../../../daemon/vault/open-vault.ts';
import { profileName, someServer, T0 } from '../../../support/builders.ts';
import type { LogSink } from '../../../support/fakes.ts';
import { clear, FakeKeychain, grantOf, makeStateDir, openKeyed, tree, vaultDeps } from '../../../support/vault-rig.ts';
import type { StateDir } from '../../../support/vault-rig.ts';

const work = profileName('work');
const other = profileName('other');

let dir: StateDir;
let keychain: FakeKeychain;
let vault: Vault;
let log: LogSink;

const at = (...names: string[]): string => join(dir.path, ...names);
const reopen = async (): Promise<Vault> => {
  const deps = vaultDeps(dir.path, 'keychain');
  log = deps.log;
  return (vault = await openVaultWith(deps, keychain));
};
const load = async () => {
  const { grants, corrupt } = await (await reopen()).grants();
  return { grants: grants.map(({ grant, intent }) => ({ profile: grant.profile, generation: grant.generation, intent })), corrupt };
};

function revocation(id: string): Revocation {
  return {
    id, profile: work, clientId: 'client-EXAMPLE', clientAuth: 'none', server: someServer(),
    connection: { caPem: null, proxy: null, allowLoopbackHttp: false }, digest: 'digest-1', token: new Secret(`rt-gone-${id}-EXAMPLE`),
    tokenKind: 'refresh_token', expiresAt: null, since: T0,
  };
}

/** Makes it a file of version 2; returns its text. */
function asNewer(...file: string[]): string {
  const [header, ...rest] = readFileSync(at(...file), 'utf8').split('.');
  const newer = { ...JSON.parse(Buffer.from(header ?? '', 'base64url').toString()), v: 2 };
  const text = [Buffer.from(JSON.stringify(newer)).toString('base64url'), ...rest].join('.');
  writeFileSync(at(...file), text);
  return text;
}

beforeEach(async () => {
  dir = makeStateDir();
  keychain = new FakeKeychain();
  await reopen();
  await vault.save(grantOf(1));
});
afterEach(() => dir.remove());

describe('files that were changed', () => {
  it('[ST-02] never opens a grant of which any byte was flipped, and sets it aside', async () => {
    const file = at('grants', 'work.jwe');
    const sealed = readFileSync(file);
    for (let i = 0; i < sealed.length; i += 17) {
      const flipped = Buffer.from(sealed);
      flipped[i] = (flipped[i] ?? 0) ^ 1;
      rmSync(at('grants'), { recursive: true });
      mkdirSync(at('grants'), { mode: 0o700 });
      writeFileSync(file, flipped, { mode: 0o600 });
      const { grants, corrupt } = await vault.grants();
      expect(grants, `byte ${i}`).toEqual([]);
      expect(corrupt).toEqual([work]);
      expect(readFileSync(`${file}.corrupt-1`)).toEqual(flipped);
    }
  });

  it('[ST-02] opens neither of two grants that were swapped', async () => {
    await vault.save(grantOf(1, { profile: other }));
    renameSync(at('grants', 'work.jwe'), at('grants', 'x'));
    renameSync(at('grants', 'other.jwe'), at('grants', 'work.jwe'));
    renameSync(at('grants', 'x'), at('grants', 'other.jwe'));
    expect(await load()).toEqual({ grants: [], corrupt: [other, work] });
    expect(tree(at('grants'))).toEqual(['other.jwe.corrupt-1', 'work.jwe.corrupt-1']);
  });

  it('[ST-02] opens no grant that was copied from another machine', async () => {
    const there = makeStateDir();
    const theirs = await openKeyed(there.path, new FakeKeychain());
    await theirs.save(grantOf(9));
    copyFileSync(join(there.path, 'grants', 'work.jwe'), at('grants', 'work.jwe'));
    there.remove();
    expect(await load()).toEqual({ grants: [], corrupt: [work] });
  });

  it('opens no revocation as a client secret, nor the other way round', async () => {
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    renameSync(at('secrets', 'work.jwe'), at('revocations', 'work.jwe'));
    expect(await vault.revocations()).toEqual([]);
    expect(tree(at('revocations'))).toEqual(['work.jwe.corrupt-1']);
    expect(await vault.clientSecret(work, 'digest-1')).toBeNull();
    await vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'));
    renameSync(at('secrets', 'work.jwe'), at('secrets', 'other.jwe'));
    await expect(vault.clientSecret(other, 'digest-1')).rejects.toMatchObject({ code: 'vault_corrupt' });
  });

  it('keeps every file that was set aside, names the profile until it is signed in again, and forgets it on logout', async () => {
    for (const [n, junk] of ['first', 'second'].entries()) {
      writeFileSync(at('grants', 'work.jwe'), junk);
      expect(await load()).toEqual({ grants: [], corrupt: [work] });
      expect(readFileSync(at('grants', `work.jwe.corrupt-${n + 1}`), 'utf8')).toBe(junk);
    }
    expect((await load()).corrupt).toEqual([work]);
    await vault.save(grantOf(1));
    expect(await load()).toEqual({ grants: [{ profile: work, generation: 1, intent: null }], corrupt: [] });
    await vault.remove(work);
    expect(tree(at('grants'))).toEqual([]);
  });

  it('refuses a grant of a newer version unread, leaves it as it is, says so, and reads the others', async () => {
    const text = asNewer('grants', 'work.jwe');
    await vault.save(grantOf(3, { profile: other }));
    expect(await load()).toEqual({ grants: [{ profile: other, generation: 3, intent: null }], corrupt: [work] });
    expect(readFileSync(at('grants', 'work.jwe'), 'utf8')).toBe(text);
    expect(log.lines).toContainEqual(expect.objectContaining({
      level: 'error', event: 'file_too_new', fields: { why: `${at('grants', 'work.jwe')} is of version 2; this valetkey knows 1` },
    }));
  });

  it('leaves a revocation of a newer version alone and reads the others', async () => {
    for (const id of ['one', 'two']) await vault.saveRevocation(revocation(id));
    const newer = asNewer('revocations', 'one.jwe');
    await reopen();
    expect((await vault.revocations()).map(({ id }) => id)).toEqual(['two']);
    expect(readFileSync(at('revocations', 'one.jwe'), 'utf8')).toBe(newer);
  });

  it('refuses symbolic links and directories in place of files', async () => {
    renameSync(at('grants', 'work.jwe'), at('elsewhere'));
    symlinkSync(at('elsewhere'), at('grants', 'work.jwe'));
    await expect(vault.grants()).rejects.toMatchObject({ code: 'runtime_dir_untrusted', message: expect.stringContaining('symbolic link') });
    rmSync(at('grants', 'work.jwe'));
    mkdirSync(at('grants', 'work.jwe'));
    await expect(vault.grants()).rejects.toMatchObject({ code: 'runtime_dir_untrusted' });
  });

  it('reads no file that is larger than a record can be', async () => {
    writeFileSync(at('grants', 'work.jwe'), Buffer.alloc(5 * 1024 * 1024, 'a'));
    expect(await load()).toEqual({ grants: [], corrupt: [work] });
  });

  it('ignores files with other names', async () => {
    for (const name of ['UPPER.jwe', '.jwe', 'a b.jwe', 'README', '.hidden.jwe']) writeFileSync(at('grants', name), 'x');
    expect((await load()).grants).toHaveLength(1);
  });
});

describe('profiles whose names look like endings', () => {
  it('keeps them apart', async () => {
    const names = ['work.next', 'work.jwe', 'work.jwe.corrupt-1', 'work.tmp'].map(profileName);
    for (const [n, profile] of names.entries()) {
      await vault.save(grantOf(n + 2, { profile }));
      await vault.beginRefresh(profile, { generation: n + 2, at: T0, boottime: null });
    }
    await vault.remove(profileName('work.jwe'));
    const { grants, corrupt } = await load();
    expect(corrupt).toEqual([]);
    expect(grants.map(({ profile, intent }) => [profile, intent?.generation])).toEqual([
      ['work', undefined], ['work.jwe.corrupt-1', 4], ['work.next', 2], ['work.tmp', 5],
    ]);
  });
});

describe('a crash in the middle of a refresh', () => {
  beforeEach(() => vault.beginRefresh(work, { generation: 1, at: T0, boottime: null }));

  it('leaves the intent, with room for the next generation', async () => {
    expect(statSync(at('grants', 'work.next')).size).toBeGreaterThanOrEqual(16 * 1024);
    expect((await load()).grants).toEqual([{ profile: work, generation: 1, intent: { generation: 1, at: T0, boottime: null } }]);
  });

  it('reserves twice what a large grant takes', async () => {
    const big = grantOf(2, { digest: 'd'.repeat(20_000) });
    await vault.save(big);
    await vault.beginRefresh(work, { generation: 2, at: T0, boottime: null });
    expect(statSync(at('grants', 'work.next')).size).toBe(2 * statSync(at('grants', 'work.jwe')).size);
  });

  it('takes a generation that was written and not yet moved', async () => {
    await saveElsewhere(2);
    copyFileSync(at('saved'), at('grants', 'work.next'));
    expect((await load()).grants).toEqual([{ profile: work, generation: 2, intent: null }]);
    expect(tree(at('grants'))).toEqual(['work.jwe']);
  });

  it('takes a generation whose file was not yet cut to its size', async () => {
    await saveElsewhere(2);
    writeFileSync(at('grants', 'work.next'), readFileSync(at('saved'), 'utf8').padEnd(16 * 1024, ' '));
    expect((await load()).grants).toEqual([{ profile: work, generation: 2, intent: null }]);
    expect((await load()).grants).toEqual([{ profile: work, generation: 2, intent: null }]);
    expect(readFileSync(at('grants', 'work.jwe'))).toEqual(readFileSync(at('saved')));
  });

  it('takes a half-written generation for a lost answer, of the time of the file', async () => {
    await saveElsewhere(2);
    const sealed = readFileSync(at('saved'), 'utf8');
    writeFileSync(at('grants', 'work.next'), sealed.slice(0, sealed.length / 2).padEnd(16 * 1024, ' '));
    utimesSync(at('grants', 'work.next'), T0 / 1000, T0 / 1000);
    expect((await load()).grants).toEqual([{ profile: work, generation: 1, intent: { generation: 1, at: T0, boottime: null } }]);
  });

  it('takes an older generation put in its place for a lost answer, not for the grant', async () => {
    const first = readFileSync(at('grants', 'work.jwe'));
    await vault.save(grantOf(2));
    await vault.beginRefresh(work, { generation: 2, at: T0, boottime: null });
    writeFileSync(at('grants', 'work.next'), first);
    expect((await load()).grants).toMatchObject([{ generation: 2, intent: { generation: 2 } }]);
  });

  it('takes the next generation of another profile for a lost answer', async () => {
    await vault.save(grantOf(5, { profile: other }));
    copyFileSync(at('grants', 'other.jwe'), at('grants', 'work.next'));
    expect((await load()).grants).toMatchObject([{ profile: other }, { profile: work, generation: 1, intent: { generation: 1 } }]);
  });

  it('finds the next generation where the current one was damaged', async () => {
    await saveElsewhere(2);
    copyFileSync(at('saved'), at('grants', 'work.next'));
    writeFileSync(at('grants', 'work.jwe'), 'junk');
    expect(await load()).toEqual({ grants: [{ profile: work, generation: 2, intent: null }], corrupt: [] });
    expect(tree(at('grants'))).toEqual(['work.jwe', 'work.jwe.corrupt-1']);
  });

  it('refuses an intent of a newer version', async () => {
    writeFileSync(at('grants', 'work.next'), '{"v":2,"generation":1,"at":0}');
    expect(await load()).toEqual({ grants: [], corrupt: [work] });
    expect(tree(at('grants'))).toEqual(['work.jwe', 'work.next']);
  });

  it('[TK-04] keeps the intent of an answer that the disk refused, also when the next refresh is given up', async () => {
    const intent = readFileSync(at('grants', 'work.next'));
    rmSync(at('grants', 'work.next'));
    symlinkSync('/nowhere', at('grants', 'work.next')); // is not written through: a disk that refuses the save
    await expect(vault.save(grantOf(2))).rejects.toMatchObject({ code: 'vault_unwritable' });
    rmSync(at('grants', 'work.next'));
    writeFileSync(at('grants', 'work.next'), intent);
    await vault.beginRefresh(work, { generation: 2, at: T0, boottime: null });
    await vault.abandonRefresh(work);
    // The token of generation 1 is spent, and nothing else on the disk says so.
    expect((await load()).grants).toEqual([{ profile: work, generation: 1, intent: expect.anything() }]);
    await vault.save(grantOf(2));
    await vault.beginRefresh(work, { generation: 2, at: T0, boottime: null });
    await vault.abandonRefresh(work);
    expect((await load()).grants).toEqual([{ profile: work, generation: 2, intent: null }]);
  });

  it('saves also where the intent was taken away', async () => {
    rmSync(at('grants', 'work.next'));
    await vault.save(grantOf(2));
    expect((await load()).grants).toEqual([{ profile: work, generation: 2, intent: null }]);
  });

  /** The file of generation `n`, while the vault still holds the one before. */
  async function saveElsewhere(n: number): Promise<void> {
    copyFileSync(at('grants', 'work.jwe'), at('current'));
    copyFileSync(at('grants', 'work.next'), at('intent'));
    await vault.save(grantOf(n));
    renameSync(at('grants', 'work.jwe'), at('saved'));
    renameSync(at('current'), at('grants', 'work.jwe'));
    renameSync(at('intent'), at('grants', 'work.next'));
  }
});

describe('a directory that was removed under a running daemon', () => {
  const removed = (path: string) => ({
    code: 'vault_unwritable', message: `the directory ${path} was removed while the daemon is running; nothing can be stored`,
    hint: 'Run: valetkey daemon stop; the next command starts afresh, and you sign in again',
  });

  it('is named with the next step, and not made again', async () => {
    rmSync(dir.path, { recursive: true });
    await expect(vault.save(grantOf(2))).rejects.toMatchObject(removed(at('grants')));
    await expect(vault.beginRefresh(work, { generation: 1, at: T0, boottime: null })).rejects.toMatchObject(removed(at('grants')));
    await expect(vault.saveClientSecret(work, 'digest-1', new Secret('client-secret-EXAMPLE'))).rejects.toMatchObject(removed(at('secrets')));
    vault.lock();
    await expect(vault.unlock(null, false).then(() => vault.grants())).rejects.toMatchObject(removed(at('vault.json')));
    expect(existsSync(dir.path)).toBe(false);
  });

  it('keeps nobody from signing out', async () => {
    rmSync(dir.path, { recursive: true });
    await vault.remove(work);
    await vault.abandonRefresh(work);
    await vault.removeClientSecret(work);
    expect(await vault.grants()).toMatchObject({ grants: [], corrupt: [] });
    await vault.erase();
  });
});

describe('what is left over', () => {
  it('is swept when the vault opens', async () => {
    writeFileSync(at('grants', 'work.jwe.abc.tmp'), 'half');
    await load();
    expect(tree(at('grants'))).toEqual(['work.jwe']);
  });

  it('is nothing after saves, refreshes and removals', async () => {
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    await vault.save(grantOf(2));
    await vault.beginRefresh(work, { generation: 2, at: T0, boottime: null });
    await vault.abandonRefresh(work);
    expect(tree(dir.path)).toEqual(['grants', 'grants/work.jwe', 'revocations', 'secrets', 'vault.json']);
    expect(clear((await vault.grants()).grants[0]?.grant)).toEqual(clear(grantOf(2)));
    expect(existsSync(at('grants', 'work.next'))).toBe(false);
  });
});
