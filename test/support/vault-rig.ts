/** Vaults of a test's own: private state directories, a keychain that is told what to answer, and what is on disk. */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Grant } from '../../daemon/core/domain.ts';
import type { Clock, Vault } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { createRandom } from '../../daemon/platform/random.ts';
import { DataKey } from '../../daemon/vault/data-key.ts';
import { FloorFile } from '../../daemon/vault/floor-file.ts';
import { createFloors } from '../../daemon/vault/floors.ts';
import type { Keychain, KeychainOutcome } from '../../daemon/vault/keychain.ts';
import { openVaultWith } from '../../daemon/vault/open-vault.ts';
import type { VaultDeps } from '../../daemon/vault/open-vault.ts';
import { SealedStore } from '../../daemon/vault/sealed-store.ts';
import type { VaultHeader } from '../../daemon/vault/vault-header.ts';
import { someGrant, someToken } from './builders.ts';
import { LogSink } from './fakes.ts';

export const PASSPHRASE = new Secret('correct horse EXAMPLE');

export type StateDir = { readonly path: string; remove(): void };

export function makeStateDir(): StateDir {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-vault-')));
  mkdirSync(runtimeDirOf(join(parent, 'valetkey')), { mode: 0o700 });
  return { path: join(parent, 'valetkey'), remove: () => removeWritten(parent, 5) };
}

/** A vault of the test may be in the middle of a write when the test is over; a retry of rmSync's own looks for no new file. */
function removeWritten(dir: string, tries: number): void {
  try {
    rmSync(dir, { recursive: true, force: true });
  } catch (cause) {
    if (tries === 0 || !(cause instanceof Error && 'code' in cause && cause.code === 'ENOTEMPTY')) throw cause;
    removeWritten(dir, tries - 1);
  }
}

/** Beside the state directory, as on a machine that restores only that. */
export function runtimeDirOf(stateDir: string): string {
  return join(dirname(stateDir), 'run');
}

export function vaultDeps(stateDir: string, backend: VaultDeps['backend'], clock: Clock = createClock()): VaultDeps & { readonly log: LogSink } {
  return { stateDir, runtimeDir: runtimeDirOf(stateDir), bootId: 'boot-1', backend, keptKey: null, clock, random: createRandom(), log: new LogSink() };
}

/** Keeps items as a keychain would, unless `next` says something else. */
export class FakeKeychain implements Keychain {
  readonly items = new Map<string, Buffer>();
  readonly calls: string[] = [];
  answer: (() => KeychainOutcome | Promise<KeychainOutcome>) | null = null;

  async read(account: string, beside: string): Promise<KeychainOutcome> {
    this.calls.push('read');
    if (this.answer !== null) return this.answer();
    const secret = this.items.get(account);
    return secret === undefined ? { kind: 'missing' } : { kind: 'found', secret: Buffer.from(secret), beside: this.items.get(beside) ?? null };
  }

  async store(account: string, secret: Buffer): Promise<KeychainOutcome> {
    this.calls.push('store');
    if (this.answer !== null) return this.answer();
    this.items.set(account, Buffer.from(secret));
    return { kind: 'stored' };
  }

  async remove(account: string, beside: string): Promise<KeychainOutcome> {
    this.calls.push('remove');
    if (this.answer !== null) return this.answer();
    this.items.delete(account);
    this.items.delete(beside);
    return { kind: 'removed' };
  }
}

/** A vault on disk whose key is in `keychain`. */
export function openKeyed(stateDir: string, keychain: Keychain): Promise<Vault> {
  return openVaultWith(vaultDeps(stateDir, 'keychain'), keychain);
}

/** The store alone, under the key and the name that those of built-vault.ts have. */
export async function adoptStore(stateDir: string, runtimeDir: string, log: LogSink = new LogSink()): Promise<SealedStore> {
  mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
  const header: VaultHeader = { id: 'vault-1', check: '', keyedBy: { backend: 'passphrase', scrypt: { N: 0, r: 0, p: 0, salt: '' }, wrapped: '' } };
  const floors = createFloors(header, new FloorFile(runtimeDir, log), { keychain: new FakeKeychain(), clock: createClock(), log, bootId: 'boot-1' });
  const store = new SealedStore(stateDir, header.id, { log, random: createRandom(), floors });
  await store.adopt(new DataKey(Buffer.alloc(32, 7)), null);
  return store;
}

/** Generation `n` with tokens of its own. */
export function grantOf(n: number, over: Partial<Grant> = {}): Grant {
  return someGrant({
    generation: n,
    state: { kind: 'active', refreshToken: new Secret(`rt-${n}-EXAMPLE`), tokens: [someToken({ value: new Secret(`at-${n}-EXAMPLE`) })] },
    ...over,
  });
}

/** The grant with its secrets in the clear: Secret compares equal to every Secret. */
export function clear(grant: Grant | undefined): unknown {
  return JSON.parse(JSON.stringify(grant, function (this: Record<string, unknown>, key, value: unknown) {
    const original = this[key];
    return original instanceof Secret ? original.reveal() : value;
  }) ?? 'null');
}

/** Every file and directory below, by its path relative to `dir`. */
export function tree(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
}

export function modes(dir: string): Readonly<Record<string, string>> {
  return Object.fromEntries(['.', ...tree(dir)].map((name) => [name, (lstatSync(join(dir, name)).mode & 0o7777).toString(8)]));
}

export function readAll(dir: string): Buffer {
  return Buffer.concat(tree(dir).filter((name) => lstatSync(join(dir, name)).isFile()).map((name) => readFileSync(join(dir, name))));
}
