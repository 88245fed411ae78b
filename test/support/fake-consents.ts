import type { ConsentStore, KeptConsents, ReadConsents } from '../../daemon/core/consents.ts';
import { BrokerError } from '../../daemon/core/errors.ts';

/** A copy of the consents that outlasts whoever writes it; its vault can be locked, and its disk full or away. */
export class FakeConsentStore implements ConsentStore {
  steps: string[] = [];
  kept: KeptConsents | null = null;
  lost: Extract<ReadConsents, { kind: 'lost' }>['why'] | null = null;
  isLasting = true;
  isLocked = false;
  /** Steps that the disk refuses. */
  refuses: readonly ('read' | 'write' | 'remove')[] = [];
  /** Until when a step waits. */
  until: Promise<unknown> = Promise.resolve();

  async read(): Promise<ReadConsents> {
    await this.#step('read');
    if (this.lost !== null) return { kind: 'lost', why: this.lost };
    return this.kept === null ? { kind: 'none' } : { kind: 'kept', kept: this.kept };
  }

  async write(kept: KeptConsents): Promise<boolean> {
    await this.#step('write');
    // As a disk does: what comes back is another object.
    if (this.isLasting) this.kept = JSON.parse(JSON.stringify(kept)) as KeptConsents;
    return this.isLasting;
  }

  async remove(): Promise<void> {
    await this.#step('remove');
    this.kept = null;
  }

  async #step(step: 'read' | 'write' | 'remove'): Promise<void> {
    this.steps.push(step);
    await this.until;
    if (this.isLocked && step !== 'remove') throw new BrokerError('vault_locked', 'the fake is locked');
    if (this.refuses.includes(step)) throw new BrokerError('vault_unwritable', 'the fake disk is full');
  }
}
