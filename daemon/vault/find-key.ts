/**
 * Which key store seals this vault, and its key if it can be had now. vault.json decides where there is one;
 * a fresh machine gets the keychain if a key can be stored in it and read back, else memory (ST-01).
 */
import { BrokerError } from '../core/errors.ts';
import type { VaultStatus } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import type { KeptKey } from '../core/supervisor-port.ts';
import { DataKey } from './data-key.ts';
import type { Keychain } from './keychain.ts';
import { makeKeychainKey, readKeychainKey, trouble } from './keychain-key.ts';
import type { KeychainKey } from './keychain-key.ts';
import type { Passphrases } from './passphrase.ts';
import { hasSealedFiles, headerPath, isRightKey, sealCheck } from './vault-header.ts';
import type { VaultHeader } from './vault-header.ts';

export type Backend = 'auto' | 'keychain' | 'passphrase' | 'memory';
export type KeyStores = {
  readonly stateDir: string;
  readonly backend: Backend;
  readonly keychain: Keychain;
  readonly passphrases: Passphrases;
  /** Id of the vault that is made if there is none; one for all tries, so that no try leaves a key behind. */
  readonly newId: string;
  /** Where the key under a passphrase outlives this process; a keychain gives its key again by itself. */
  readonly keptKey: KeptKey | null;
};

export type Closed = {
  readonly kind: 'closed';
  readonly backend: VaultStatus['backend'];
  readonly state: 'locked' | 'unavailable';
  readonly detail: string;
  readonly hint: string;
  /** Whether looking again may help without a person. */
  readonly retry: boolean;
};
export type Found =
  /** `isNew`: vault.json is still to be written. `floors`: as the keychain keeps them, sealed. */
  | { readonly kind: 'key'; readonly key: DataKey; readonly header: VaultHeader; readonly isNew: boolean; readonly floors: string | null }
  | { readonly kind: 'memory'; readonly why: string }
  | Closed;

export function asksKeychain(backend: Backend, header: VaultHeader | null): boolean {
  return backend === 'keychain' || (backend === 'auto' && header?.keyedBy.backend !== 'passphrase');
}

/**
 * A passphrase that nothing asks for is refused, never dropped in silence: its owner would rely on it.
 * Throws passphrase_wrong, bad_request, too_many_requests, file_too_new, vault_unwritable.
 */
export function findKey(stores: KeyStores, header: VaultHeader | null, passphrase: Secret | null, create: boolean): Promise<Found> {
  if (stores.backend === 'memory' || header?.keyedBy.backend !== 'passphrase') stores.keptKey?.drop();
  if (stores.backend === 'memory') {
    return passphrase === null
      ? Promise.resolve({ kind: 'memory', why: 'the configuration says so (vault.backend)' })
      : Promise.reject(refusePassphrase('the configuration keeps sign-ins in memory (vault.backend); nothing takes a passphrase', 'Set vault.backend = "auto", and start the daemon again'));
  }
  return header === null ? findFirstKey(stores, passphrase, create) : findOwnKey(stores, header, passphrase, create);
}

async function findOwnKey(stores: KeyStores, header: VaultHeader, passphrase: Secret | null, create: boolean): Promise<Found> {
  const { keyedBy } = header;
  const path = headerPath(stores.stateDir);
  if (stores.backend !== 'auto' && stores.backend !== keyedBy.backend) {
    return closed(keyedBy.backend, 'unavailable', `the vault is sealed by ${keyedBy.backend}, and the configuration asks for ${stores.backend}`,
      `Set vault.backend = "${keyedBy.backend}", or run: valetkey purge, and sign in again`);
  }
  if (keyedBy.backend === 'keychain') {
    if (create) {
      throw refusePassphrase('this vault has a key already, in the keychain',
        'Run: valetkey unlock; for a passphrase instead: valetkey purge, then set vault.backend = "passphrase"');
    }
    if (passphrase !== null) throw refusePassphrase('this vault is opened by the keychain; it takes no passphrase');
    const read = await readKeychainKey(stores.keychain, header.id);
    if (read.kind === 'trouble') return closedBy(read);
    return (await isRightKey(read.key, header, path)) ? { kind: 'key', key: read.key, header, isNew: false, floors: read.floors } : refuse(read.key, closedBy(trouble('damaged')));
  }
  if (create) throw refusePassphrase('this vault has a key already, under a passphrase', 'Run: valetkey unlock; if it is forgotten: valetkey purge, and sign in again');
  if (passphrase === null) return await findKeptKey(stores, header) ?? closed('passphrase', 'locked', 'the vault opens with a passphrase', 'Run: valetkey unlock');
  const key = await stores.passphrases.unwrap(passphrase, { id: header.id, keyedBy }, path);
  return (await isRightKey(key, header, path))
    ? { kind: 'key', key, header, isNew: false, floors: null }
    : refuse(key, closed('passphrase', 'unavailable', `${path} does not fit its own key`, `Restore ${path} from a backup; else run: valetkey purge`));
}

/** Of the daemon before this one. What opens nothing is not kept any longer. */
async function findKeptKey({ keptKey, stateDir }: KeyStores, header: VaultHeader): Promise<Found | null> {
  const bytes = keptKey?.take() ?? null;
  if (bytes === null) return null;
  const key = new DataKey(bytes);
  if (await isRightKey(key, header, headerPath(stateDir))) return { kind: 'key', key, header, isNew: false, floors: null };
  key.close();
  keptKey?.drop();
  return null;
}

async function findFirstKey(stores: KeyStores, passphrase: Secret | null, create: boolean): Promise<Found> {
  const { stateDir, backend, newId: id } = stores;
  if (await hasSealedFiles(stateDir)) {
    // A new key would not open them, and they would all be set aside.
    return closed(backend === 'passphrase' ? 'passphrase' : 'keychain', 'unavailable', `${headerPath(stateDir)} is missing, and sealed files are there`,
      'Restore it from a backup; else run: valetkey purge, and sign in again');
  }
  if (backend !== 'keychain' && create && passphrase !== null) {
    const key = DataKey.generate();
    const keyedBy = await stores.passphrases.wrap(key, passphrase, id);
    return { kind: 'key', key, header: { id, check: await sealCheck(key, id), keyedBy }, isNew: true, floors: null };
  }
  if (backend === 'passphrase') return closed('passphrase', 'locked', 'the vault has no passphrase yet', 'Run: valetkey unlock --create');
  if (passphrase !== null) {
    throw backend === 'keychain'
      ? refusePassphrase('the configuration asks for the keychain (vault.backend), which takes no passphrase')
      : refusePassphrase('there is no vault with a passphrase yet', 'To make one, run: valetkey unlock --create');
  }
  const made = await makeKeychainKey(stores.keychain, id);
  if (made.kind === 'key') {
    return { kind: 'key', key: made.key, header: { id, check: await sealCheck(made.key, id), keyedBy: { backend: 'keychain' } }, isNew: true, floors: null };
  }
  return backend === 'auto' ? { kind: 'memory', why: made.why } : closedBy(made);
}

function refusePassphrase(why: string, hint = 'Run: valetkey unlock'): BrokerError {
  return new BrokerError('bad_request', why, { hint });
}

function closed(backend: VaultStatus['backend'], state: Closed['state'], detail: string, hint: string): Closed {
  return { kind: 'closed', backend, state, detail, hint, retry: false };
}

/** Until it is known how the vault opens: that may be a question to a person. */
export function unopened(backend: Backend, header: VaultHeader | null, detail = 'the keychain has not answered yet; it may be asking for its password on the desktop'): Closed {
  return closed(header?.keyedBy.backend ?? (backend === 'auto' ? 'keychain' : backend), 'unavailable', detail, 'Answer the keychain, then run the command again');
}

/** A keychain that is locked is asked again only when a person says so: each try may open a dialog. */
function closedBy({ state, why, hint }: Extract<KeychainKey, { kind: 'trouble' }>): Closed {
  return { kind: 'closed', backend: 'keychain', state, detail: why, hint, retry: state === 'unavailable' };
}

function refuse(key: DataKey, answer: Closed): Closed {
  key.close();
  return answer;
}

/** What a caller hears of a vault that is not open. */
export function errorOf({ state, detail, hint }: Pick<Closed, 'state' | 'detail' | 'hint'>): BrokerError {
  return new BrokerError(state === 'locked' ? 'vault_locked' : 'vault_unavailable', sentence(detail), { hint });
}

export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
