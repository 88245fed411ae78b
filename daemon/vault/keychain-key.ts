/**
 * The data key as an item of the keychain, one for each vault id, so that two state directories of one user
 * never write over each other's. The item is JSON with a version, is written once and never again; the floors of
 * the generations stand in an item beside it (floor-item.ts).
 */
import { BrokerError } from '../core/errors.ts';
import { DataKey, KEY_BYTES } from './data-key.ts';
import { PERSON_MS } from './keychain.ts';
import type { Keychain, KeychainFailure, KeychainOutcome } from './keychain.ts';
import { refuseNewer } from './seal.ts';

const ITEM_VERSION = 1;

export type KeychainTrouble = { readonly state: 'locked' | 'unavailable'; readonly why: string; readonly hint: string };

const TROUBLE: Readonly<Record<KeychainFailure | 'missing' | 'damaged', KeychainTrouble>> = {
  unloadable: { state: 'unavailable', why: 'the keychain library @napi-rs/keyring does not load', hint: 'Install with optional dependencies: npm i -g valetkey' },
  absent: { state: 'unavailable', why: 'no keychain answers on the session bus', hint: 'Start a Secret Service (gnome-keyring, KWallet, KeePassXC) in this session, then run: valetkey unlock' },
  frozen: { state: 'unavailable', why: 'the keychain does not answer', hint: 'Restart the keychain (gnome-keyring, KWallet, KeePassXC), then run: valetkey unlock' },
  locked: { state: 'locked', why: 'the keychain is locked', hint: 'Unlock the keychain of the desktop, then run: valetkey unlock' },
  refused: { state: 'unavailable', why: 'the keychain does not take a new key: it is locked, or has no default collection', hint: 'Unlock or set up the keychain of the desktop, then run: valetkey unlock' },
  missing: { state: 'unavailable', why: 'the keychain does not hold the key of this vault', hint: 'Open the keychain in which the vault was made; else run: valetkey purge, and sign in again' },
  damaged: { state: 'unavailable', why: 'the key in the keychain is not the one of this vault', hint: 'Open the keychain in which the vault was made; else run: valetkey purge, and sign in again' },
};

export type KeychainKey = { readonly kind: 'key'; readonly key: DataKey; readonly floors: string | null } | ({ readonly kind: 'trouble' } & KeychainTrouble);

export function accountOf(vault: string): string {
  return `vault-${vault}`;
}

export function floorsAccountOf(vault: string): string {
  return `${accountOf(vault)}-floors`;
}

export function trouble(why: keyof typeof TROUBLE): Extract<KeychainKey, { kind: 'trouble' }> {
  return { kind: 'trouble', ...TROUBLE[why] };
}

export async function readKeychainKey(keychain: Keychain, vault: string): Promise<KeychainKey> {
  const outcome = await keychain.read(accountOf(vault), floorsAccountOf(vault));
  if (outcome.kind === 'found') {
    const key = parseItem(outcome.secret, vault);
    return key === null ? trouble('damaged') : { kind: 'key', key, floors: outcome.beside?.toString('latin1') ?? null };
  }
  return notDone(outcome);
}

/** A new key, stored and read back. */
export async function makeKeychainKey(keychain: Keychain, vault: string): Promise<KeychainKey> {
  const key = DataKey.generate();
  const item = await key.use(async (bytes) => Buffer.from(JSON.stringify({ v: ITEM_VERSION, key: Buffer.from(bytes).toString('base64url') })));
  const outcome = await keychain.store(accountOf(vault), item, PERSON_MS);
  item.fill(0);
  if (outcome.kind === 'stored') return { kind: 'key', key, floors: null };
  key.close();
  return notDone(outcome);
}

/** Throws vault_unavailable where the keychain keeps it. */
export async function removeKeychainKey(keychain: Keychain, vault: string): Promise<void> {
  const outcome = await keychain.remove(accountOf(vault), floorsAccountOf(vault));
  if (outcome.kind !== 'failed') return;
  const { why } = TROUBLE[outcome.why];
  throw new BrokerError('vault_unavailable', `every sealed file is gone, but their key stays in the keychain (service valetkey, ${accountOf(vault)}): ${why}`, {
    hint: 'It opens nothing any more; remove it with the keychain\'s own program',
  });
}

function notDone(outcome: KeychainOutcome): KeychainKey {
  switch (outcome.kind) {
    case 'failed': return trouble(outcome.why);
    case 'missing': return trouble('missing');
    case 'found': case 'stored': case 'removed': throw new Error('the keychain answered another question');
  }
}

function parseItem(item: Buffer, vault: string): DataKey | null {
  try {
    const value: unknown = JSON.parse(item.toString());
    if (typeof value !== 'object' || value === null || !('key' in value) || !('v' in value)) return null;
    refuseNewer(value.v, `the keychain item ${accountOf(vault)}`, ITEM_VERSION);
    const bytes = typeof value.key === 'string' ? Buffer.from(value.key, 'base64url') : Buffer.alloc(0);
    return bytes.length === KEY_BYTES ? new DataKey(bytes) : null;
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  } finally {
    item.fill(0);
  }
}
