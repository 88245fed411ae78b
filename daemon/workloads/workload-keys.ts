/**
 * The life of a workload's keys: made, registered at the issuer by a person, used, and replaced with overlap. A new
 * key is shown before it signs, so that the issuer knows it by then; the old one is shown until it is retired, so that
 * the issuer still takes what it has just signed.
 *
 * W3  What is kept of one workload is changed by one at a time: no key is lost to a note of its use.
 */
import type { KeyAlg } from '../../shared/workload-schemas.ts';
import type { ProfileName } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Vault } from '../core/ports.ts';
import type { HeldKey, Workload, WorkloadIssuer, WorkloadRecord } from '../core/workload.ts';

export type KeyStep = 'init' | 'rotate' | 'activate' | 'retire' | 'forget';

export type KeyDeps = { readonly clock: Pick<Clock, 'now'>; readonly issuer: Pick<WorkloadIssuer, 'makeClientKey'>; readonly vault: Pick<Vault, 'workloads'> };

/** For people an hour is exact enough, and a token every minute must not write a file every minute. */
const USE_SAVED_MS = 3_600_000;

export class WorkloadKeys {
  readonly #deps: KeyDeps;
  readonly #turns = new Map<ProfileName, Promise<unknown>>();

  constructor(deps: KeyDeps) {
    this.#deps = deps;
  }

  async record(name: ProfileName): Promise<WorkloadRecord | null> {
    return (await this.#deps.vault.workloads()).read(name);
  }

  /** Durable when it resolves; null: nothing is left. Throws workload_key_conflict and workload_key_required. */
  change(workload: Workload, step: KeyStep, alg: KeyAlg): Promise<WorkloadRecord | null> {
    const { name, auth, keyDigest } = workload;
    return this.#inTurn(name, async () => {
      const store = await this.#deps.vault.workloads();
      if (step === 'forget') {
        await store.remove(name);
        return null;
      }
      if (auth.kind !== 'private_key_jwt') throw conflict(name, 'has no keys of its own: somebody else vouches for it', `Run: valetkey workload show ${name}`);
      const before = await store.read(name);
      const keys = before?.keys ?? [];
      if (keys.length > 0 && before?.digest !== keyDigest) throw conflict(name, 'has keys that were made for another issuer or client', `Run: valetkey workload remove ${name} --keep-profile`);
      refuseStep(name, keys, step);
      const made = step === 'init' || step === 'rotate' ? [await this.#make(alg, step === 'init' ? 'active' : 'next')] : [];
      const next: WorkloadRecord = { profile: name, digest: keyDigest, lastUsedAt: before?.lastUsedAt ?? null, keys: [...keysAfter(keys, step), ...made] };
      await store.save(next);
      return next;
    });
  }

  /** Remembers that it was of use, once an hour at most. */
  noteUse({ name, keyDigest }: Workload): Promise<void> {
    return this.#inTurn(name, async () => {
      const now = this.#deps.clock.now();
      const store = await this.#deps.vault.workloads();
      const record = (await store.read(name)) ?? { profile: name, digest: keyDigest, keys: [], lastUsedAt: null };
      if (record.lastUsedAt !== null && Math.abs(now - record.lastUsedAt) < USE_SAVED_MS) return;
      await store.save({ ...record, lastUsedAt: now });
    });
  }

  async #make(alg: KeyAlg, state: HeldKey['state']): Promise<HeldKey> {
    return { ...(await this.#deps.issuer.makeClientKey(alg)), state, madeAt: this.#deps.clock.now() };
  }

  #inTurn<T>(name: ProfileName, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    // Its failure belongs to its own caller.
    const over = mine.catch(() => null).then(() => {
      if (this.#turns.get(name) === over) this.#turns.delete(name);
    });
    this.#turns.set(name, over);
    return mine;
  }
}

/** The keys that there were, after the step. */
function keysAfter(keys: readonly HeldKey[], step: KeyStep): readonly HeldKey[] {
  switch (step) {
    case 'activate': return keys.map((key) => ({ ...key, state: key.state === 'next' ? 'active' : 'retiring' }));
    case 'retire': return keys.filter(({ state }) => state !== 'retiring');
    case 'init': case 'rotate': case 'forget': return keys;
  }
}

function refuseStep(name: ProfileName, keys: readonly HeldKey[], step: KeyStep): void {
  const has = (state: HeldKey['state']): boolean => keys.some((key) => key.state === state);
  if (step === 'init' && keys.length > 0) throw conflict(name, 'has a key already', `Run: valetkey workload rotate ${name}`);
  if (step !== 'init' && keys.length === 0) throw keyRequired(name, 'has no key yet');
  if (step === 'rotate' && has('next')) throw conflict(name, 'has a new key already, which does not sign yet', `Register it, then run: valetkey workload rotate ${name} --activate`);
  if (step === 'rotate' && has('retiring')) throw conflict(name, 'still has an old key', `Run: valetkey workload rotate ${name} --retire, and take that key out at the issuer`);
  if (step === 'activate' && !has('next')) throw conflict(name, 'has no new key', `Run: valetkey workload rotate ${name}`);
  if (step === 'retire' && !has('retiring')) throw conflict(name, 'has no old key', `Run: valetkey workload show ${name}`);
}

export function keyRequired(name: ProfileName, why: string): BrokerError {
  return new BrokerError('workload_key_required', `workload ${name} ${why}`, { hint: `Run: valetkey workload init ${name}, and register the key that it prints` });
}

function conflict(name: ProfileName, why: string, hint: string): BrokerError {
  return new BrokerError('workload_key_conflict', `workload ${name} ${why}`, { hint });
}
