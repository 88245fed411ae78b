/**
 * The sealed store, and the keys that open it. What is kept there outlives the daemon, and leaves it by none of these
 * methods but to the core.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { AuditKeys } from './audit-port.ts';
import type { ConsentStore } from './consents.ts';
import type { Grant, RefreshIntent, Revocation } from './domain.ts';
import type { Secret } from './secret.ts';
import type { WorkloadStore } from './workload.ts';

export type VaultStatus = {
  readonly backend: 'keychain' | 'passphrase' | 'memory';
  readonly state: 'open' | 'locked' | 'unavailable';
  /** What a person should know: why, and what to do. */
  readonly detail: string;
};

export type StoredGrant = { readonly grant: Grant; readonly intent: RefreshIntent | null };
export type StoredGrants = {
  readonly grants: readonly StoredGrant[];
  readonly corrupt: readonly ProfileName[];
  /**
   * The highest generation that is known to have been saved of each profile, and one more where its grant was
   * removed since. A grant below it was rolled back: it comes from a backup, and its refresh token may be spent.
   */
  readonly floors: ReadonlyMap<ProfileName, number>;
};

/**
 * The sealed store. Every method but status() and unlock() throws BrokerError vault_locked or
 * vault_unavailable while it is not open, and vault_unwritable where the disk refuses.
 */
export type Vault = {
  status(): VaultStatus;
  /** Opens it: reads the key from the keychain, or derives it. `create` makes a new passphrase vault. Opening an open vault does nothing without a passphrase; with one, it is proved or refused. */
  unlock(passphrase: Secret | null, create: boolean): Promise<void>;
  /** Forgets the key at once. Resolves, after 3 s at most, when the floors are kept as well as they can be; never rejects. */
  lock(): Promise<void>;
  /** Of lock() what does not wait: what a supervisor keeps of the key is gone, so no restart opens the vault. */
  dropKept(): void;
  /** As lock(), for a daemon that ends: what a supervisor keeps for the next one stays with it. */
  end(): Promise<void>;
  /** All grants. A file that cannot be opened is set aside (renamed) and named in `corrupt`; so is one of a newer version, left as it is. */
  grants(): Promise<StoredGrants>;
  /** Durable when it resolves: the intent, and the space for the next generation. */
  beginRefresh(profile: ProfileName, intent: RefreshIntent): Promise<void>;
  /** The refresh was not sent, or its answer left the grant as it was. */
  abandonRefresh(profile: ProfileName): Promise<void>;
  /** Durable when it resolves; takes the intent away in the same step. */
  save(grant: Grant): Promise<void>;
  remove(profile: ProfileName): Promise<void>;
  revocations(): Promise<readonly Revocation[]>;
  saveRevocation(revocation: Revocation): Promise<void>;
  removeRevocation(id: string): Promise<void>;
  /** Null also where it was sealed under another binding digest: a profile that points elsewhere by now takes no secret along. */
  clientSecret(profile: ProfileName, digest: string): Promise<Secret | null>;
  saveClientSecret(profile: ProfileName, digest: string, secret: Secret): Promise<void>;
  removeClientSecret(profile: ProfileName): Promise<void>;
  readonly pins: ApprovalPins;
  readonly consents: ConsentStore;
  /** The keys of the audit log, made where there were none. They end with lock() and erase(). */
  auditKeys(): Promise<AuditKeys>;
  /** Apart from the grants: nothing that is kept there is found here (WL-01). */
  workloads(): Promise<WorkloadStore>;
  /** Removes every sealed file and the key, for good. */
  erase(): Promise<void>;
};

/** The PIN for privileged access. Every method throws as the vault does while it is not open. */
export type ApprovalPins = {
  isSet(): Promise<boolean>;
  /**
   * Sets or changes it; null removes it.
   * @param old - the one before, where there is one
   * @throws BrokerError as prove(); bad_request for one that is too short
   */
  set(pin: Secret | null, old: Secret | null): Promise<void>;
  /** @throws BrokerError pin_required where none is set; pin_wrong, which is counted; too_many_requests after some of them */
  prove(pin: Secret): Promise<void>;
};
