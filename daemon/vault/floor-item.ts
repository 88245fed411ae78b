/**
 * The sealed floors as an item of the keychain, beside the item of the data key: that one is written once and
 * never again, for a keychain that fails while it replaces it would take every sign-in along.
 *
 * Written a minute after the first news and when the vault is locked. A keychain that does not answer is left
 * alone for a minute; one that is locked until the vault is opened anew, for each try may open a dialog.
 */
import type { Clock, Log } from '../core/ports.ts';
import type { Keychain, KeychainFailure, KeychainOutcome } from './keychain.ts';
import { within } from './within.ts';

const PAUSE_MS = 60_000;
/** Nobody is asked for a password on behalf of this, and a stop waits no longer. */
const PATIENCE_MS = 3_000;
const MAY_HAVE_ASKED: readonly KeychainFailure[] = ['locked', 'refused'];

export type FloorItemDeps = { readonly keychain: Keychain; readonly account: string; readonly clock: Clock; readonly log: Log };

export class FloorItem {
  readonly #deps: FloorItemDeps;
  #isOn = false;
  /** Not in the keychain yet. */
  #next: Promise<string | null> | null = null;
  #waiting: AbortController | null = null;
  #writing: Promise<void> = Promise.resolve();
  #failed: KeychainFailure | null = null;

  constructor(deps: FloorItemDeps) {
    this.#deps = deps;
  }

  /** @param mayWrite - false: what is there is left alone */
  start(mayWrite: boolean): void {
    this.#isOn = mayWrite;
  }

  put(sealed: Promise<string | null>): void {
    this.#next = sealed;
    this.#writeLater();
  }

  /** Writes what is not there yet, and waits for it 3 s at most. */
  flush(): Promise<void> {
    this.#waiting?.abort();
    this.#waiting = null;
    return within(this.#deps.clock, PATIENCE_MS, this.#write());
  }

  stop(): Promise<void> {
    this.#isOn = false;
    return this.flush();
  }

  #writeLater(): void {
    if (this.#waiting !== null || !this.#isOn) return;
    this.#waiting = new AbortController();
    void this.#writeAfter(this.#waiting);
  }

  async #writeAfter(waiting: AbortController): Promise<void> {
    try {
      await this.#deps.clock.sleep(PAUSE_MS, waiting.signal);
    } catch (cause) {
      // It was written earlier.
      if (waiting.signal.aborted) return;
      throw cause;
    }
    if (this.#waiting === waiting) this.#waiting = null;
    await this.#write();
  }

  /** One after the other: two would race for the last word. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNext());
    return this.#writing;
  }

  async #writeNext(): Promise<void> {
    const sealed = this.#next;
    if (sealed === null || !this.#isOn) return;
    this.#next = null;
    const text = await sealed;
    const outcome = text === null ? null : await this.#store(text);
    if (outcome?.kind !== 'failed') {
      this.#failed = null;
      return;
    }
    if (outcome.why !== this.#failed) this.#deps.log.warn('floors_not_kept', { where: 'keychain', why: outcome.why });
    this.#failed = outcome.why;
    this.#next ??= sealed;
    if (MAY_HAVE_ASKED.includes(outcome.why)) this.#isOn = false;
    else this.#writeLater();
  }

  #store(text: string): Promise<KeychainOutcome> {
    const { keychain, account, log } = this.#deps;
    return keychain.store(account, Buffer.from(text), PATIENCE_MS).catch((cause: unknown) => {
      log.error('keychain_failed', {}, cause);
      return { kind: 'failed', why: 'unloadable' };
    });
  }
}
