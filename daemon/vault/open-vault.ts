/**
 * The vault as the daemon sees it: whether it is open, and the records behind.
 *
 * V4  The choice of the key store is made once and recorded in vault.json. A keychain that cannot be reached
 *     later is `unavailable` or `locked`; it never becomes memory or another key in silence (ST-01).
 * V5  Nothing here waits for a keychain longer than 3 s, and opening the vault at the start not at all.
 * V6  A key is used for the files only after it opened the check value in vault.json.
 * V7  The answer of a refresh that was begun is saved also when the vault was locked meanwhile.
 */
import type { ProfileName } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Log, Random, Vault, VaultStatus } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { ApprovalPins } from './approval-pin.ts';
import { removeConsents } from './consent-file.ts';
import { asksKeychain, errorOf, findKey, sentence, unopened } from './find-key.ts';
import type { Backend, Closed, Found, KeyStores } from './find-key.ts';
import { FloorFile } from './floor-file.ts';
import { createFloors } from './floors.ts';
import { eraseFolders } from './folders.ts';
import { createKeychain } from './keychain.ts';
import type { Keychain } from './keychain.ts';
import { removeKeychainKey } from './keychain-key.ts';
import { createMemoryStore } from './memory-store.ts';
import { Passphrases } from './passphrase.ts';
import { removedError } from './private-files.ts';
import { SealedStore } from './sealed-store.ts';
import type { Store } from './store.ts';
import { tidy } from './tidy.ts';
import { unmake } from './unmake.ts';
import { headerPath, readHeader, removeHeader, writeHeader } from './vault-header.ts';
import type { VaultHeader } from './vault-header.ts';
import { within } from './within.ts';

export type VaultDeps = {
  readonly stateDir: string;
  /** The floors of the generations are kept there, until the boot `bootId` ends; null: it has no name. */
  readonly runtimeDir: string;
  readonly bootId: string | null;
  readonly backend: Backend;
  readonly keptKey: KeyStores['keptKey'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
};

const KEYCHAIN_WAIT_MS = 3_000;
const RETRY_MS = 2_000; // between two looks for a key store that was not there: a process each time

type Phase = { readonly kind: 'open'; readonly store: Store; readonly status: VaultStatus } | Closed;

/**
 * Opens the vault of this directory without waiting for a keychain: that goes on behind. Rejects where the
 * directory is not private, or vault.json is damaged or newer than this version.
 */
export function openVault(deps: VaultDeps): Promise<Vault> {
  return openVaultWith(deps, createKeychain(deps.clock));
}

export async function openVaultWith(deps: VaultDeps, keychain: Keychain): Promise<Vault> {
  await tidy(deps.stateDir);
  const header = await readHeader(deps.stateDir, deps.log);
  const vault = new BrokerVault(deps, keychain, header);
  const started = vault.start();
  if (!asksKeychain(deps.backend, header)) await started;
  return vault;
}

class BrokerVault implements Vault {
  readonly #deps: VaultDeps;
  #stores: KeyStores & VaultDeps;
  readonly #memory = createMemoryStore();
  readonly #floorFile: FloorFile;
  readonly pins = new ApprovalPins(() => this.#deps.clock.now(), async () => (await this.#store()).pin);
  readonly consents: Vault['consents'] = {
    read: async () => (await this.#store()).consents.read(), write: async (kept) => (await this.#store()).consents.write(kept),
    remove: () => this.#sealed?.consents.remove() ?? removeConsents(this.#deps.stateDir, this.#deps),
  };
  #sealed: SealedStore | null = null;
  #header: VaultHeader | null;
  #phase: Phase;
  /** What went wrong where it is more than being closed. */
  #failure: BrokerError | null = null;
  #opening: Promise<void> | null = null;
  #closedAt = 0;
  /** Rises with lock() and erase(): a key that comes in later is not taken. */
  #epoch = 0;

  constructor(deps: VaultDeps, keychain: Keychain, header: VaultHeader | null) {
    this.#deps = deps;
    this.#stores = { ...deps, keychain, passphrases: new Passphrases(deps.clock), newId: deps.random.token(16) };
    this.#floorFile = new FloorFile(deps.runtimeDir, deps.log);
    this.#header = header;
    this.#phase = unopened(deps.backend, header);
  }

  /** Tries what needs no passphrase. What fails is kept for those who ask. */
  start(): Promise<void> {
    return this.#open(null, false).catch((cause: unknown) => this.#deps.log.error('vault_not_open', {}, cause));
  }

  status(): VaultStatus {
    // Who asks may be waiting for the keychain. A vault that is still to be made waits for who needs it.
    if (this.#header !== null) this.#lookAgain();
    if (this.#phase.kind === 'open') return this.#phase.status;
    const { backend, state, detail, hint } = this.#phase;
    return { backend, state, detail: `${sentence(detail)} ${hint}` };
  }

  async unlock(passphrase: Secret | null, create: boolean): Promise<void> {
    if (create && passphrase === null) throw new BrokerError('bad_request', 'a new vault needs a passphrase', { hint: 'Run: valetkey unlock --create' });
    // A passphrase is proved, used or refused by findKey, also where the vault is open.
    const isDone = (): boolean => this.#phase.kind === 'open' && passphrase === null;
    if (isDone()) return;
    const asksAlone = passphrase === null && asksKeychain(this.#deps.backend, this.#header);
    // Whoever hears something before the keychain does, must not hear why the vault was closed until now.
    if (asksAlone && this.#phase.kind === 'closed') this.#close({ ...unopened(this.#deps.backend, this.#header), retry: true });
    if (this.#opening !== null && (passphrase === null || asksKeychain(this.#deps.backend, this.#header))) {
      // One question to the keychain at a time: two that make a key would write over each other's. And only its
      // answer tells whether there is a vault already, or memory for want of one.
      await this.#waitForKeychain();
      if (isDone()) return;
      if (this.#opening !== null) throw this.#closedError();
    }
    const opening = this.#open(passphrase, create);
    await (passphrase === null ? this.#waitForKeychain() : opening);
    if (this.#phase.kind !== 'open') throw this.#closedError();
  }

  readonly dropKept = (): void => this.#deps.keptKey?.drop();
  lock(): Promise<void> {
    this.dropKept();
    return this.end();
  }

  end(): Promise<void> {
    this.#shut();
    return this.#sealed?.settle() ?? Promise.resolve();
  }

  #shut(): void {
    this.#epoch += 1;
    if (this.#phase.kind === 'open') this.#phase.store.close();
    this.#phase = {
      kind: 'closed', backend: this.#phase.kind === 'open' ? this.#phase.status.backend : this.#phase.backend, state: 'locked', detail: 'the vault was locked', hint: 'Run: valetkey unlock', retry: false,
    };
    this.#failure = null;
    this.#deps.log.info('vault_locked');
  }

  async erase(): Promise<void> {
    const { stateDir, log } = this.#deps;
    if (this.#opening !== null) await this.#waitForKeychain();
    this.dropKept();
    this.#shut();
    const header = this.#header;
    await (this.#sealed === null ? eraseFolders(stateDir) : this.#sealed.erase());
    await this.#floorFile.remove();
    this.#memory.clear();
    await removeHeader(stateDir);
    this.#header = null;
    this.#sealed = null;
    this.#stores = { ...this.#stores, newId: this.#deps.random.token(16) };
    this.#phase = { ...unopened(this.#deps.backend, null, 'the vault was erased; the next sign-in makes a new one'), retry: true };
    this.#closedAt = this.#deps.clock.boottimeMs() - RETRY_MS;
    log.info('vault_erased');
    // The others are made by the first who needs them, so that nothing is left after a purge.
    if (!asksKeychain(this.#deps.backend, null)) await this.start();
    if (header?.keyedBy.backend === 'keychain') await removeKeychainKey(this.#stores.keychain, header.id);
  }

  readonly grants: Vault['grants'] = async () => (await this.#store()).grants();
  readonly beginRefresh: Vault['beginRefresh'] = async (profile, intent) => (await this.#store()).beginRefresh(profile, intent);
  readonly abandonRefresh: Vault['abandonRefresh'] = async (profile) => (this.#refreshing(profile) ?? (await this.#store())).abandonRefresh(profile);
  readonly save: Vault['save'] = async (grant) => (this.#refreshing(grant.profile) ?? (await this.#store())).save(grant);
  readonly remove: Vault['remove'] = async (profile) => (await this.#store()).remove(profile);
  readonly revocations: Vault['revocations'] = async () => (await this.#store()).revocations();
  readonly saveRevocation: Vault['saveRevocation'] = async (revocation) => (await this.#store()).saveRevocation(revocation);
  readonly removeRevocation: Vault['removeRevocation'] = async (id) => (await this.#store()).removeRevocation(id);
  readonly clientSecret: Vault['clientSecret'] = async (profile, digest) => (await this.#store()).clientSecret(profile, digest);
  readonly saveClientSecret: Vault['saveClientSecret'] = async (profile, digest, secret) => (await this.#store()).saveClientSecret(profile, digest, secret);
  readonly removeClientSecret: Vault['removeClientSecret'] = async (profile) => (await this.#store()).removeClientSecret(profile);
  readonly auditKeys: Vault['auditKeys'] = async () => (await this.#store()).auditKeys();
  readonly workloads: Vault['workloads'] = async () => (await this.#store()).workloads;
  /** V7: the store that waits for the answer of this profile's refresh. */
  #refreshing(profile: ProfileName): Store | null {
    return [this.#sealed, this.#memory].find((store) => store?.isRefreshing(profile) === true) ?? null;
  }

  async #store(): Promise<Store> {
    this.#lookAgain();
    // A sealed vault that is open stays open while somebody's passphrase is proved.
    const isSealed = this.#phase.kind === 'open' && this.#phase.store === this.#sealed;
    if (this.#opening !== null && !isSealed) await this.#waitForKeychain();
    if (this.#phase.kind !== 'open') throw this.#closedError();
    return this.#phase.store;
  }

  #lookAgain(): void {
    const isDue = this.#phase.kind === 'closed' && this.#phase.retry && this.#deps.clock.boottimeMs() - this.#closedAt >= RETRY_MS;
    if (isDue && this.#opening === null) void this.start();
  }

  /** V5. Whether it opened is seen from the phase, and what failed from #failure. */
  #waitForKeychain(): Promise<void> {
    return within(this.#deps.clock, KEYCHAIN_WAIT_MS, this.#opening ?? Promise.resolve());
  }

  #open(passphrase: Secret | null, create: boolean): Promise<void> {
    const epoch = this.#epoch;
    const opening = this.#find(passphrase, create, epoch).finally(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    this.#opening = opening;
    return opening;
  }

  async #find(passphrase: Secret | null, create: boolean, epoch: number): Promise<void> {
    try {
      const found = await findKey(this.#stores, this.#header, passphrase, create);
      if (epoch === this.#epoch) await this.#take(found, epoch);
      else if (found.kind === 'key') found.key.close();
    } catch (cause) {
      // A wrong passphrase says nothing about the vault; a disk that refuses, or a file too new, does.
      if (passphrase === null && epoch === this.#epoch) {
        this.#failure = cause instanceof BrokerError ? cause : null;
        const why = cause instanceof BrokerError ? cause.message : 'the vault could not be opened; the log says why';
        this.#close({ ...unopened(this.#deps.backend, this.#header, why), retry: true });
      }
      throw cause;
    }
  }

  #close(phase: Closed): void {
    this.#phase = phase;
    this.#closedAt = this.#deps.clock.boottimeMs();
  }

  async #take(found: Found, epoch: number): Promise<void> {
    const { log } = this.#deps;
    this.#failure = null;
    if (found.kind === 'closed') {
      // What is kept in memory stays in reach although no vault can be made of it.
      if (this.#phase.kind === 'open') throw errorOf(found);
      if (this.#phase.detail !== found.detail) log.warn('vault_not_open', { backend: found.backend, why: found.detail });
      return this.#close(found);
    }
    if (found.kind === 'memory') {
      const detail = `Sign-ins are kept in memory and end with the daemon: ${found.why}.${this.#deps.backend === 'memory' ? '' : ' "valetkey unlock --create" makes a vault with a passphrase.'}`;
      this.#phase = { kind: 'open', store: this.#memory, status: { backend: 'memory', state: 'open', detail } };
      log.warn('vault_in_memory', { why: found.why });
      return;
    }
    // It was open: that it opens once more is all that was asked.
    if (this.#phase.kind === 'open' && !found.isNew) return found.key.close();
    const sealed = await this.#unseal(found);
    // Locked while the folders were looked at.
    if (epoch !== this.#epoch) return sealed.close();
    const { backend } = found.header.keyedBy;
    if (backend === 'passphrase') void found.key.use(async (bytes) => this.#deps.keptKey?.keep(bytes)); // at once
    const detail = backend === 'keychain' ? 'Sealed under a key in the keychain.' : 'Sealed under a passphrase.';
    this.#phase = { kind: 'open', store: sealed, status: { backend, state: 'open', detail } };
    log.info('vault_open', { backend });
  }

  /** V6: the key was proved by whoever found it. */
  async #unseal({ key, header, isNew, floors }: Extract<Found, { kind: 'key' }>): Promise<SealedStore> {
    const { stateDir, log, random } = this.#deps;
    if (isNew && this.#header !== null) {
      key.close();
      throw new BrokerError('bad_request', 'a vault was made meanwhile', { hint: 'Run: valetkey unlock' });
    }
    const before = this.#header;
    this.#header = header;
    try {
      if (isNew) await writeHeader(stateDir, header, random);
      else if ((await readHeader(stateDir, log)) === null) throw removedError(headerPath(stateDir));
      this.#sealed ??= new SealedStore(stateDir, header.id, { log, random, floors: createFloors(header, this.#floorFile, this.#stores) });
      await this.#sealed.adopt(key, floors);
      await this.#memory.copyTo(this.#sealed);
    } catch (cause) {
      this.#header = before;
      key.close();
      if (isNew) {
        await unmake(stateDir, this.#sealed, log);
        this.#sealed = null;
      }
      throw cause;
    }
    this.#memory.clear();
    return this.#sealed;
  }

  #closedError(): BrokerError {
    if (this.#failure !== null) return this.#failure;
    return errorOf(this.#phase.kind === 'closed' ? this.#phase : { state: 'unavailable', detail: 'the vault is being opened', hint: 'Ask again' });
  }
}
