/** A backup of the state directory that is put back, and what is kept to know it by. */
import { chmodSync, copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Vault } from '../../../../daemon/core/ports.ts';
import type { KeychainFailure } from '../../../../daemon/vault/keychain.ts';
import { openVaultWith } from '../../../../daemon/vault/open-vault.ts';
import { profileName, T0 } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import type { LogSink } from '../../../support/fakes.ts';
import { FakeKeychain, grantOf, makeStateDir, PASSPHRASE, runtimeDirOf, tree, vaultDeps } from '../../../support/vault-rig.ts';
import type { StateDir } from '../../../support/vault-rig.ts';

const work = profileName('work');
const other = profileName('other');

let dir: StateDir;
let keychain: FakeKeychain;
let clock: FakeClock;
let log: LogSink;

const file = (): string => join(runtimeDirOf(dir.path), 'floors.jwe');
const open = async (bootId: string | null = 'boot-1', backend: 'keychain' | 'passphrase' = 'keychain'): Promise<Vault> => {
  const deps = { ...vaultDeps(dir.path, backend, clock), bootId };
  log = deps.log;
  const isNew = !existsSync(dir.path);
  const vault = await openVaultWith(deps, keychain);
  if (backend === 'passphrase') await vault.unlock(PASSPHRASE, isNew);
  return vault;
};
/** Generation and floor of the grant of `work`, as a daemon that starts now reads them. */
const read = async (vault: Vault) => {
  const { grants, floors } = await vault.grants();
  return [grants.find(({ grant }) => grant.profile === work)?.grant.generation ?? null, floors.get(work) ?? null];
};
const backUp = (): (() => void) => {
  const copy = `${dir.path}-backup`;
  cpSync(dir.path, copy, { recursive: true });
  return () => {
    rmSync(dir.path, { recursive: true });
    cpSync(copy, dir.path, { recursive: true });
  };
};
const floorItem = (): string => [...keychain.items.keys()].find((account) => account.endsWith('-floors')) ?? 'none';
const told = (event: string) => log.lines.filter((line) => line.event === event).length;

beforeEach(() => {
  dir = makeStateDir();
  keychain = new FakeKeychain();
  clock = new FakeClock();
});
afterEach(() => dir.remove());

describe('a restored backup', () => {
  it.each([
    ['the runtime directory', 'keychain', (): void => void keychain.items.delete(floorItem()), 'boot-1'],
    ['the keychain, after a reboot', 'keychain', (): void => rmSync(file()), 'boot-2'],
    ['the runtime directory, under a passphrase', 'passphrase', (): void => undefined, 'boot-1'],
  ] as const)('[ST-03] is known by %s', async (_, backend, forget, bootId) => {
    const vault = await open('boot-1', backend);
    await vault.save(grantOf(1));
    await vault.save(grantOf(1, { profile: other }));
    const restore = backUp();
    await vault.save(grantOf(2));
    await vault.lock();
    restore();
    forget();
    const next = await open(bootId, backend);
    expect(await read(next)).toEqual([1, 2]);
    expect((await next.grants()).floors.get(other)).toBe(1);
  });

  it('[ST-03] brings no grant back that was signed out, and the next sign-in stands above it', async () => {
    const vault = await open();
    await vault.save(grantOf(7));
    const restore = backUp();
    await vault.remove(work);
    await vault.remove(work);
    await vault.lock();
    expect(await read(await open())).toEqual([null, 8]);
    restore();
    const restored = await open();
    expect(await read(restored)).toEqual([7, 8]);
    await restored.save(grantOf(9));
    await restored.lock();
    expect(await read(await open())).toEqual([9, 9]);
  });

  it('is known also where it was put back while the vault was locked', async () => {
    const vault = await open();
    await vault.save(grantOf(1));
    const restore = backUp();
    await vault.save(grantOf(2));
    await vault.lock();
    restore();
    rmSync(file());
    keychain.items.delete(floorItem());
    await vault.unlock(null, false);
    expect(await read(vault)).toEqual([1, 2]);
  });

  it('is not suspected of a generation that a crash left in the file beside', async () => {
    const vault = await open();
    const at = (name: string): string => join(dir.path, 'grants', name);
    await vault.save(grantOf(1));
    copyFileSync(at('work.jwe'), at('one'));
    await vault.beginRefresh(work, { generation: 1, at: T0, boottime: null });
    await vault.save(grantOf(2));
    copyFileSync(at('work.jwe'), at('work.next'));
    copyFileSync(at('one'), at('work.jwe'));
    await vault.lock();
    expect(await read(await open())).toEqual([2, 2]);
  });

  it('is not suspected where the crash came before the floor was kept', async () => {
    const vault = await open();
    await vault.save(grantOf(1));
    await vault.lock();
    const [kept, item] = [readFileSync(file()), Buffer.from(keychain.items.get(floorItem()) ?? '')];
    const next = await open();
    await next.save(grantOf(2));
    await next.lock();
    writeFileSync(file(), kept);
    keychain.items.set(floorItem(), item);
    expect(await read(await open())).toEqual([2, 2]);
  });

  it('is not suspected of a generation that the disk refused', async () => {
    const vault = await open();
    await vault.save(grantOf(1));
    const grant = join(dir.path, 'grants', 'work.jwe');
    copyFileSync(grant, `${grant}-copy`);
    rmSync(grant);
    mkdirSync(grant);
    await expect(vault.save(grantOf(2))).rejects.toMatchObject({ code: 'vault_unwritable' });
    rmSync(grant, { recursive: true });
    copyFileSync(`${grant}-copy`, grant);
    await vault.lock();
    expect(await read(await open())).toEqual([1, 1]);
  });
});

it('a vault in memory keeps no floor anywhere', async () => {
  const vault = await openVaultWith(vaultDeps(dir.path, 'memory', clock), keychain);
  for (let generation = 1; generation < 4; generation += 1) await vault.save(grantOf(generation));
  await vault.remove(work);
  await vault.lock();
  expect([tree(runtimeDirOf(dir.path)), keychain.calls, clock.sleepers]).toEqual([[], [], 0]);
});

describe('the floors in the runtime directory', () => {
  /** Floor 6 in the file only. */
  beforeEach(async () => {
    const vault = await open();
    await vault.save(grantOf(6));
    await vault.save(grantOf(1, { profile: other }));
    await vault.lock();
    keychain.items.delete(floorItem());
  });
  const asNewer = (): void => {
    const [header, ...rest] = readFileSync(file(), 'utf8').split('.');
    const newer = { ...JSON.parse(Buffer.from(header ?? '', 'base64url').toString()), v: 2 };
    writeFileSync(file(), [Buffer.from(JSON.stringify(newer)).toString('base64url'), ...rest].join('.'));
  };

  it.each([
    ['that is as it was left', (): unknown => undefined, 7, null],
    ['of mode 0644', () => chmodSync(file(), 0o644), 7, 'vault_file_mode_mended'],
    ['that is torn', () => writeFileSync(file(), readFileSync(file()).subarray(0, 200)), null, 'floors_ignored'],
    ['that is empty', () => writeFileSync(file(), ''), null, 'floors_ignored'],
    ['that somebody without the key wrote', () => writeFileSync(file(), '{"floors":[["work",99]]}'), null, 'floors_ignored'],
    ['that is a grant of this vault', () => copyFileSync(join(dir.path, 'grants', 'other.jwe'), file()), null, 'floors_ignored'],
    ['that is a link', () => { copyFileSync(file(), `${file()}-2`); rmSync(file()); symlinkSync(`${file()}-2`, file()); }, null, 'floors_ignored'],
    ['that is gone', () => rmSync(file()), null, null],
  ] as const)('of a file %s are believed or ignored, and the file is good again after the next save', async (_, change, floor, event) => {
    const before = await open();
    expect(await read(before)).toEqual([6, 6]);
    await before.remove(work); // 7, and no grant that would tell
    await before.lock();
    keychain.items.delete(floorItem());
    change();
    const vault = await open();
    expect(await read(vault)).toEqual([null, floor]);
    if (event !== null) expect(told(event)).toBe(1);
    await vault.save(grantOf(8));
    await vault.lock();
    expect(lstatSync(file()).isFile()).toBe(true);
    expect(lstatSync(file()).mode & 0o777).toBe(0o600);
    keychain.items.delete(floorItem());
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open())).toEqual([null, 8]);
  });

  it('of another boot, or of a system that does not name its boot, are not believed', async () => {
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open(null))).toEqual([null, null]);
    expect(await read(await open('boot-2'))).toEqual([null, null]);
    expect(told('floors_of_another_boot')).toBe(1);
  });

  it('of a newer version are left as they are', async () => {
    asNewer();
    const text = readFileSync(file(), 'utf8');
    const vault = await open();
    await vault.save(grantOf(8));
    await vault.lock();
    expect(readFileSync(file(), 'utf8')).toBe(text);
    expect(told('file_too_new')).toBe(1);
    // The keychain keeps them all the same.
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open('boot-2'))).toEqual([null, 8]);
  });

  it('that cannot be written cost nothing, and the log says so once', async () => {
    const vault = await open();
    await vault.grants();
    rmSync(runtimeDirOf(dir.path), { recursive: true });
    for (let generation = 7; generation < 12; generation += 1) {
      await vault.save(grantOf(generation));
      await settle();
    }
    await vault.lock();
    expect(told('floors_not_kept')).toBe(1);
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open())).toEqual([null, 11]);
  });
});

describe('the floors in the keychain', () => {
  let vault: Vault;
  beforeEach(async () => {
    vault = await open();
    await vault.save(grantOf(1));
    await vault.lock();
    await vault.unlock(null, false);
    keychain.calls.length = 0;
  });
  const stores = () => keychain.calls.filter((call) => call === 'store').length;
  /** Sealing takes a thread of the real world. */
  const written = (count: number) => expect.poll(stores, { interval: 2 }).toBe(count);
  /** A failing child process is told at once; what hangs, by the caller's patience. */
  const failing = (why: KeychainFailure) => (): { readonly kind: 'failed'; readonly why: KeychainFailure } => ({ kind: 'failed', why });

  it('are written at most once a minute, and when the vault is locked', async () => {
    for (let generation = 2; generation < 22; generation += 1) await vault.save(grantOf(generation));
    await clock.advance(59_999);
    expect(stores()).toBe(0);
    await clock.advance(1);
    await written(1);
    await clock.advance(600_000);
    expect(stores()).toBe(1); // no news
    await vault.save(grantOf(22));
    await clock.advance(59_999);
    expect(stores()).toBe(1);
    await vault.lock();
    await written(2);
    await clock.advance(600_000);
    expect([stores(), clock.sleepers]).toEqual([2, 0]);
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open('boot-2'))).toEqual([null, 22]);
  });

  it('hold up neither a save nor, beyond 3 s, a stop, where the keychain hangs', async () => {
    keychain.answer = () => new Promise(() => undefined);
    await vault.save(grantOf(2));
    await clock.advance(60_000);
    await written(1);
    await vault.save(grantOf(3));
    let isOver = false;
    const locked = vault.lock().then(() => { isOver = true; });
    expect(vault.status().state).toBe('locked');
    await clock.advance(2_999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await locked;
    expect(clock.sleepers).toBe(0);
  });

  it.each(['frozen', 'absent', 'unloadable'] as const)('are written a minute later where the keychain is %s', async (why) => {
    keychain.answer = failing(why);
    await vault.save(grantOf(2));
    await clock.advance(60_000);
    await written(1);
    await clock.advance(60_000);
    await written(2);
    expect(told('floors_not_kept')).toBe(1);
    keychain.answer = null;
    await clock.advance(60_000);
    await written(3);
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open('boot-2'))).toEqual([null, 2]);
  });

  it.each(['locked', 'refused'] as const)('ask nobody a second time where the keychain is %s, until the vault is opened anew', async (why) => {
    keychain.answer = failing(why);
    await vault.save(grantOf(2));
    await clock.advance(60_000);
    await written(1);
    await vault.save(grantOf(3));
    await clock.advance(600_000);
    await vault.lock();
    expect(stores()).toBe(1);
    keychain.answer = null;
    await vault.unlock(null, false);
    await clock.advance(60_000);
    await written(2);
    rmSync(join(dir.path, 'grants', 'work.jwe'));
    expect(await read(await open('boot-2'))).toEqual([null, 3]);
  });

  it('leave the item of the key as it was, and a vault that has none beside works', async () => {
    const key = [...keychain.items.keys()].find((account) => account !== floorItem()) ?? '';
    const item = Buffer.from(keychain.items.get(key) ?? '');
    keychain.items.delete(floorItem());
    const old = await open('boot-2');
    expect(await read(old)).toEqual([1, 1]);
    await old.lock();
    expect(keychain.items.get(key)).toEqual(item);
    expect(keychain.items.size).toBe(2);
  });

  it.each([
    ['damaged', 'AAAA', 'floors_ignored', true],
    ['of a newer version', `${Buffer.from('{"alg":"dir","enc":"A256GCM","v":2}').toString('base64url')}..AAAA.AAAA.AAAA`, 'file_too_new', false],
  ] as const)('that are %s fail nothing', async (_, text, event, isReplaced) => {
    keychain.items.set(floorItem(), Buffer.from(text));
    const next = await open('boot-2');
    expect(await read(next)).toEqual([1, 1]);
    expect(told(event)).toBe(1);
    await next.save(grantOf(2));
    await next.lock();
    expect(keychain.items.get(floorItem())?.toString() !== text).toBe(isReplaced);
  });

  it('are erased with everything else, and not written again', async () => {
    await vault.save(grantOf(2));
    await vault.erase();
    await clock.advance(600_000);
    expect(keychain.items.size).toBe(0);
    expect(tree(runtimeDirOf(dir.path))).toEqual([]);
    await vault.save(grantOf(1));
    expect(await read(vault)).toEqual([1, 1]);
  });
});
