/**
 * The consents as one sealed file, beside client secrets and under a name that no profile has. It carries a number that
 * rises with each write, and the floors remember the highest (ST-03): a copy from a backup opens nothing.
 *
 * The floor rises after a write, so that no crash looks like a backup; and before a removal, so that a crash in between
 * ends what is there as well.
 */
import { join } from 'node:path';
import type { ConsentStore, KeptConsents, ReadConsents } from '../core/consents.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log, Random } from '../core/ports.ts';
import type { DataKey } from './data-key.ts';
import type { Floors } from './floors.ts';
import { FILE_MAX } from './private-files.ts';
import { decodeConsents, encodeConsents } from './records.ts';
import { plainBinding, seal } from './seal.ts';
import type { Binding } from './seal.ts';
import { SealedFolder } from './sealed-folder.ts';

const NAME = '_consents';

export type ConsentFileDeps = {
  readonly folder: SealedFolder;
  readonly vault: string;
  readonly floors: Floors;
  /** Null while it is locked. */
  readonly key: () => DataKey | null;
  readonly log: Log;
};

/** Whoever uses it does one thing after the other. */
export class ConsentFile implements ConsentStore {
  readonly #deps: ConsentFileDeps;
  /** The highest that may be on the disk. */
  #generation = 0;

  constructor(deps: ConsentFileDeps) {
    this.#deps = deps;
  }

  async read(): Promise<ReadConsents> {
    const { folder, floors, log } = this.#deps;
    const found = await this.#open().use((key) => folder.read(key, NAME, (payload) => {
      const record = decodeConsents(payload);
      return record === null ? null : { record, binding: this.#binding(record.generation) };
    })).catch((cause: unknown) => {
      if (!(cause instanceof BrokerError) || cause.code !== 'file_too_new') throw cause;
      log.error('file_too_new', { why: cause.message });
      return null;
    });
    if (found === null) return { kind: 'lost', why: 'file_too_new' };
    if (found.kind === 'absent') return { kind: 'none' };
    if (found.kind === 'damaged') {
      await folder.setAside(NAME);
      return { kind: 'lost', why: 'vault_corrupt' };
    }
    const { generation, at, consents } = found.record;
    this.#generation = generation;
    if (generation >= floors.consents) return { kind: 'kept', kept: { at, consents } };
    await this.remove();
    return { kind: 'lost', why: 'rolled_back' };
  }

  async write(kept: KeptConsents): Promise<boolean> {
    const { folder, floors } = this.#deps;
    const dataKey = this.#open();
    // Also where the disk refuses: nobody knows what it did until then.
    const generation = this.#next();
    this.#generation = generation;
    const sealed = await dataKey.use((key) => seal(key, this.#binding(generation), encodeConsents({ generation, ...kept })));
    if (sealed.length > FILE_MAX) throw new BrokerError('vault_unwritable', 'there are more consents than a file of the vault takes', { hint: 'Run: valetkey approvals revoke --all' });
    await folder.write(NAME, sealed);
    floors.raiseConsents(generation, dataKey);
    return true;
  }

  async remove(): Promise<void> {
    const { folder, floors, key } = this.#deps;
    this.#generation = this.#next();
    floors.raiseConsents(this.#generation, key());
    await folder.remove(NAME);
  }

  #next(): number {
    return Math.max(this.#generation, this.#deps.floors.consents) + 1;
  }

  #open(): DataKey {
    const key = this.#deps.key();
    if (key === null) throw new BrokerError('vault_locked', 'the vault is locked');
    return key;
  }

  #binding(generation: number): Binding {
    return { ...plainBinding('consents', this.#deps.vault, NAME), generation };
  }
}

/** Of a vault that was not opened yet. */
export function removeConsents(stateDir: string, deps: { readonly log: Log; readonly random: Random }): Promise<void> {
  return new SealedFolder({ dir: join(stateDir, 'secrets'), ...deps }).remove(NAME);
}
