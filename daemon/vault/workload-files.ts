/**
 * Records of workloads as sealed files in a folder of their own, workloads/, under a kind of their own: a grant's file
 * that is put there does not open, nor does one of these among the grants. The folder is made with the first of them.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { WorkloadRecord, WorkloadStore } from '../core/workload.ts';
import { BrokerError } from '../core/errors.ts';
import type { DataKey } from './data-key.ts';
import { decodeWorkload, encodeWorkload } from './records.ts';
import { plainBinding, seal } from './seal.ts';
import type { Binding } from './seal.ts';
import { assertFileName } from './sealed-folder.ts';
import type { SealedFolder } from './sealed-folder.ts';
import type { Turns } from './turns.ts';

export class WorkloadFiles implements WorkloadStore {
  readonly #folder: SealedFolder;
  readonly #vault: string;
  readonly #turns: Turns;
  readonly #key: () => DataKey;

  /** @param key - throws vault_locked where there is none */
  constructor(folder: SealedFolder, vault: string, turns: Turns, key: () => DataKey) {
    this.#folder = folder;
    this.#vault = vault;
    this.#turns = turns;
    this.#key = key;
  }

  read(profile: ProfileName): Promise<WorkloadRecord | null> {
    return this.#inTurn(profile, async () => {
      const found = await this.#key().use((key) => this.#folder.read(key, profile, (payload) => {
        const record = decodeWorkload(payload);
        return record === null ? null : { record, binding: this.#binding(profile, record) };
      }));
      if (found.kind === 'absent') return null;
      if (found.kind === 'open') return found.record;
      await this.#folder.setAside(profile);
      throw new BrokerError('vault_corrupt', `the keys of workload ${profile} cannot be opened; the file was set aside`, {
        hint: `Run: valetkey workload init ${profile}, and register the new key`,
      });
    });
  }

  save(record: WorkloadRecord): Promise<void> {
    const { profile } = record;
    return this.#inTurn(profile, async () => {
      await this.#folder.prepare();
      const sealed = await this.#key().use((key) => seal(key, this.#binding(profile, record), encodeWorkload(record)));
      await this.#folder.write(profile, sealed);
    });
  }

  remove(profile: ProfileName): Promise<void> {
    return this.#inTurn(profile, async () => {
      this.#key(); // not while it is locked
      await this.#folder.remove(profile);
    });
  }

  #binding(profile: ProfileName, { digest }: WorkloadRecord): Binding {
    return { ...plainBinding('workload', this.#vault, profile), digest };
  }

  #inTurn<T>(profile: ProfileName, work: () => Promise<T>): Promise<T> {
    assertFileName(profile);
    return this.#turns.run(`workloads/${profile}`, work);
  }
}
