/** The approval PIN as a sealed file, beside client secrets and under a name that no profile has. */
import { BrokerError } from '../core/errors.ts';
import type { PinRecord, PinStore } from './approval-pin.ts';
import type { DataKey } from './data-key.ts';
import { decodePin, encodePin } from './records.ts';
import { plainBinding, seal } from './seal.ts';
import type { SealedFolder } from './sealed-folder.ts';
import type { Turns } from './turns.ts';

const NAME = '_pin';

export type PinFileDeps = { readonly folder: SealedFolder; readonly vault: string; readonly turns: Turns; readonly openKey: () => DataKey };

export class PinFile implements PinStore {
  readonly #deps: PinFileDeps;

  constructor(deps: PinFileDeps) {
    this.#deps = deps;
  }

  /** One that cannot be opened is refused, once: it is set aside, and the person hears of it before another is set. */
  read(): Promise<PinRecord | null> {
    const { folder, vault, openKey } = this.#deps;
    const binding = plainBinding('pin', vault, NAME);
    return this.#inTurn(async () => {
      const found = await openKey().use((key) => folder.read(key, NAME, (payload) => {
        const record = decodePin(payload);
        return record === null ? null : { record, binding };
      }));
      if (found.kind === 'absent') return null;
      if (found.kind === 'open') return found.record;
      await folder.setAside(NAME);
      throw new BrokerError('vault_corrupt', 'the approval PIN cannot be opened; it was set aside', { hint: 'Run: valetkey approvals pin set' });
    });
  }

  write(record: PinRecord | null): Promise<void> {
    const { folder, vault, openKey } = this.#deps;
    return this.#inTurn(async () => {
      if (record === null) return folder.remove(NAME);
      return folder.write(NAME, await openKey().use((key) => seal(key, plainBinding('pin', vault, NAME), encodePin(record))));
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#deps.turns.run(`secrets/${NAME}`, work);
  }
}
