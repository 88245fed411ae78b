/**
 * Of each profile its floor: the highest generation that is known to have been saved. A grant below it comes from
 * a backup, and its refresh token may be spent (ST-03). The copy of the consents has one as well.
 *
 * V8  A floor is raised only when its generation is on the disk. So neither a crash at any instruction nor a disk
 *     that refuses ever looks like a backup. That of consents rises before they are removed, too: they end by either.
 * V9  Nothing waits for a floor to be kept but the end of the process, and that for 3 s at most. A floor that
 *     cannot be kept, or read, makes the detection weaker and fails nothing.
 *
 * They are kept twice where a restored state directory does not reach, sealed under the data key both times: in
 * the runtime directory after each save, and in the keychain, where there is one, once a minute.
 */
import type { ProfileName } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { DataKey } from './data-key.ts';
import type { FloorFile } from './floor-file.ts';
import { FloorItem } from './floor-item.ts';
import { floorsAccountOf } from './keychain-key.ts';
import type { Keychain } from './keychain.ts';
import { decodeFloors, encodeFloors } from './records.ts';
import type { KeptFloors } from './records.ts';
import { plainBinding, seal, unseal } from './seal.ts';
import type { VaultHeader } from './vault-header.ts';

type FloorsDeps = {
  readonly vault: string;
  /** Null where the system does not name its boot: a file of an earlier one could not be told. */
  readonly bootId: string | null;
  readonly file: FloorFile;
  /** Null where the key is not in a keychain. */
  readonly item: FloorItem | null;
  readonly log: Log;
};

/** Under a passphrase there is no keychain, and the runtime directory is all there is. */
export function createFloors(
  { id, keyedBy }: VaultHeader, file: FloorFile,
  { keychain, clock, log, bootId }: { readonly keychain: Keychain; readonly clock: Clock; readonly log: Log; readonly bootId: string | null },
): Floors {
  const item = keyedBy.backend === 'keychain' ? new FloorItem({ keychain, account: floorsAccountOf(id), clock, log }) : null;
  return new Floors({ vault: id, bootId, file, item, log });
}

type Known = Pick<KeptFloors, 'floors' | 'consents'>;
const NONE: Known = { floors: [], consents: 0 };

export class Floors {
  readonly #deps: FloorsDeps;
  readonly #binding;
  readonly #floors = new Map<ProfileName, number>();
  #consents = 0;

  constructor(deps: FloorsDeps) {
    this.#deps = deps;
    this.#binding = plainBinding('floors', deps.vault, 'floors');
  }

  all(): ReadonlyMap<ProfileName, number> {
    return new Map(this.#floors);
  }

  get consents(): number {
    return this.#consents;
  }

  /**
   * Takes up what was kept; a place that knows less than the other is told. Throws nothing.
   * @param kept - what the keychain holds; null: nothing
   */
  async adopt(key: DataKey, kept: string | null): Promise<void> {
    const { file, item, bootId, log } = this.#deps;
    const inFile = await this.#open(key, bootId === null ? null : await file.read(), file.path);
    const inItem = await this.#open(key, kept, 'the keychain');
    file.start(bootId !== null && inFile !== 'newer');
    item?.start(inItem !== 'newer');
    // A runtime directory on a disk outlives its boot, and may be of a backup itself.
    const isOfAnotherBoot = inFile !== null && inFile !== 'newer' && inFile.boot !== bootId;
    if (isOfAnotherBoot) log.info('floors_of_another_boot', { where: file.path });
    const byFile = isOfAnotherBoot ? NONE : floorsOf(inFile);
    const byItem = floorsOf(inItem);
    for (const [profile, generation] of [...byFile.floors, ...byItem.floors]) this.#lift(profile, generation);
    this.#consents = Math.max(this.#consents, byFile.consents, byItem.consents);
    if (!this.#isAll(byFile)) file.put(this.#seal(key));
    if (!this.#isAll(byItem)) item?.put(this.#seal(key));
  }

  /**
   * V8: to be called when the generation is durable.
   * @param key - null: the vault was locked meanwhile; kept when it is opened again
   */
  raise(profile: ProfileName, generation: number, key: DataKey | null): void {
    if (this.#lift(profile, generation) && key !== null) this.#put(key);
  }

  /** @param key - as of raise() */
  raiseConsents(generation: number, key: DataKey | null): void {
    if (generation <= this.#consents) return;
    this.#consents = generation;
    if (key !== null) this.#put(key);
  }

  /** Resolves when they are kept, or could not be within 3 s. */
  async flush(): Promise<void> {
    await Promise.all([this.#deps.file.idle(), this.#deps.item?.flush()]);
  }

  /** Nothing is written any more when it resolves: the vault is being erased. */
  async stop(): Promise<void> {
    await Promise.all([this.#deps.file.stop(), this.#deps.item?.stop()]);
  }

  #put(key: DataKey): void {
    const sealed = this.#seal(key);
    this.#deps.file.put(sealed);
    this.#deps.item?.put(sealed);
  }

  /** False where it was as high before. */
  #lift(profile: ProfileName, generation: number): boolean {
    if (generation <= (this.#floors.get(profile) ?? 0)) return false;
    this.#floors.set(profile, generation);
    return true;
  }

  #isAll({ floors, consents }: Known): boolean {
    const known = new Map(floors);
    return consents === this.#consents && [...this.#floors].every(([profile, generation]) => known.get(profile) === generation);
  }

  /** Never rejects: null where the key is gone already. */
  #seal(key: DataKey): Promise<string | null> {
    const record = encodeFloors({ boot: this.#deps.bootId, floors: [...this.#floors], consents: this.#consents });
    return key.use((bytes) => seal(bytes, this.#binding, record)).catch((cause: unknown) => {
      this.#deps.log.warn('floors_not_sealed', { why: cause instanceof BrokerError ? cause.code : 'unknown' });
      return null;
    });
  }

  /** Null where it is not what this vault sealed. */
  async #open(key: DataKey, text: string | null, where: string): Promise<KeptFloors | 'newer' | null> {
    const { log } = this.#deps;
    if (text === null) return null;
    try {
      const opened = await key.use((bytes) => unseal(bytes, text, where));
      const kept = opened?.isBoundTo(this.#binding) === true ? decodeFloors(opened.payload) : null;
      if (kept === null) log.warn('floors_ignored', { where, why: 'they do not open under the key of this vault' });
      return kept;
    } catch (cause) {
      if (!(cause instanceof BrokerError) || cause.code !== 'file_too_new') throw cause;
      // Left as it is, like every file of a newer version.
      log.error('file_too_new', { why: cause.message });
      return 'newer';
    }
  }
}

function floorsOf(kept: KeptFloors | 'newer' | null): Known {
  return kept === null || kept === 'newer' ? NONE : kept;
}
