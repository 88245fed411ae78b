/**
 * The vault of a machine without a key store: everything ends with the daemon and no file is ever written
 * (ST-01).
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Grant, RefreshIntent, Revocation } from '../core/domain.ts';
import type { WorkloadRecord } from '../core/workload.ts';
import type { PinRecord } from './approval-pin.ts';
import { newSeed, SealedAuditKeys } from './audit-keys.ts';
import type { KeptAuditKeys } from './audit-keys.ts';
import type { ClientSecret } from './records.ts';
import type { Store } from './store.ts';

/** A vault that takes over what was kept in memory; the keys of the audit too, so that its tokens can still be traced. */
export type Heir = Store & { takeAuditKeys(kept: KeptAuditKeys): Promise<void> };

export type MemoryStore = Store & {
  /** Saves everything that this holds in another store. */
  copyTo(store: Heir): Promise<void>;
  clear(): void;
};

export function createMemoryStore(): MemoryStore {
  const grants = new Map<ProfileName, Grant>();
  const intents = new Map<ProfileName, RefreshIntent>();
  const revocations = new Map<string, Revocation>();
  const secrets = new Map<ProfileName, ClientSecret>();
  const workloads = new Map<ProfileName, WorkloadRecord>();
  let auditKeys: SealedAuditKeys | null = null;
  let pin: PinRecord | null = null;
  return {
    grants: async () => ({
      grants: [...grants.values()].map((grant) => ({ grant, intent: intents.get(grant.profile) ?? null })),
      corrupt: [],
      floors: new Map(),
    }),
    beginRefresh: async (profile, intent) => void intents.set(profile, intent),
    abandonRefresh: async (profile) => void intents.delete(profile),
    save: async (grant) => {
      grants.set(grant.profile, grant);
      intents.delete(grant.profile);
    },
    remove: async (profile) => {
      grants.delete(profile);
      intents.delete(profile);
    },
    revocations: async () => [...revocations.values()],
    saveRevocation: async (revocation) => void revocations.set(revocation.id, revocation),
    removeRevocation: async (id) => void revocations.delete(id),
    clientSecret: async (profile, digest) => {
      const kept = secrets.get(profile);
      return kept?.digest === digest ? kept.secret : null;
    },
    saveClientSecret: async (profile, digest, secret) => void secrets.set(profile, { digest, secret }),
    removeClientSecret: async (profile) => void secrets.delete(profile),
    auditKeys: async () => (auditKeys ??= new SealedAuditKeys({ seed: newSeed(), last: null }, null)),
    workloads: {
      read: async (profile) => workloads.get(profile) ?? null,
      save: async (record) => void workloads.set(record.profile, record),
      remove: async (profile) => void workloads.delete(profile),
    },
    pin: {
      read: async () => pin,
      write: async (record) => {
        pin = record;
      },
    },
    // Who gave them to keep has them.
    consents: { read: async () => ({ kind: 'none' }), write: async () => false, remove: async () => undefined },
    isRefreshing: (profile) => intents.has(profile),
    // Nothing to forget: what is here is all there is.
    close: () => undefined,
    async copyTo(store) {
      for (const grant of grants.values()) await store.save(grant);
      for (const [profile, intent] of intents) await store.beginRefresh(profile, intent);
      for (const revocation of revocations.values()) await store.saveRevocation(revocation);
      for (const [profile, { digest, secret }] of secrets) await store.saveClientSecret(profile, digest, secret);
      if (pin !== null) await store.pin.write(pin);
      for (const record of workloads.values()) await store.workloads.save(record);
      if (auditKeys !== null) await store.takeAuditKeys(auditKeys.kept);
    },
    clear() {
      for (const map of [grants, intents, revocations, secrets, workloads]) map.clear();
      // Whoever still signs with them may, until the new vault's are taken up: they are the same.
      auditKeys = null;
      pin = null;
    },
  };
}
