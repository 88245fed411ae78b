/**
 * Another daemon takes the place of this one (docs/decisions/0021). It is started first, and proves that it loads; then
 * a moment is waited for in which nothing would be lost: no sign-in and no question under way, nothing on the wire.
 * Only then the door is left to it. Where no program was recorded, this daemon ends at that moment, and whoever asks next
 * starts the new one.
 */
import type { UpgradeReply, UpgradeView } from '../shared/upgrade-schemas.ts';
import { BrokerError } from './core/errors.ts';
import type { Clock, GrantBook, Log, Vault } from './core/ports.ts';
import type { Successor, Successors } from './core/successor-port.ts';
import type { Gate } from './gate.ts';
import type { Doorway } from './ipc/doorway.ts';

export type Child = { readonly successor: Successor; readonly fd: number; readonly isHeld: boolean; readonly key: number | null };

export type UpgradesDeps = {
  readonly successors: Successors;
  readonly gate: Pick<Gate, 'isLocked'>;
  readonly vault: Pick<Vault, 'status'>;
  readonly book: Pick<GrantBook, 'list'>;
  readonly doorway: () => Pick<Doorway, 'listener'>;
  /** What only this process knows, and would be lost. */
  readonly isPersonBusy: () => boolean;
  /** Requests without an answer, and refreshes without one. */
  readonly isWireBusy: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** The daemon stops anyhow. */
  readonly signal: AbortSignal;
  /** Null: to whoever asks next. */
  readonly leaveTo: (child: Child | null) => void;
};

/** A sign-in lives five minutes, and so does a question. */
const WAIT_MS = 330_000;
const LOOK_MS = 50;
/** Issuers that are always busy leave no pause: then requests wait at the door until what is on the wire has landed. */
const WIRE_MS = 10_000;

export class Upgrades {
  readonly #deps: UpgradesDeps;
  #asked: Promise<UpgradeReply> | null = null;
  #failed: string | null;

  constructor(deps: UpgradesDeps) {
    this.#deps = deps;
    this.#failed = deps.successors.failed;
  }

  get view(): UpgradeView {
    if (this.#asked !== null) return { state: 'waiting', detail: 'for a moment in which nobody signs in or is asked, and no issuer has yet to answer' };
    return this.#failed === null ? null : { state: 'failed', detail: this.#failed };
  }

  /** Resolves when the other one waits for its turn. Throws upgrade_failed, vault_locked. */
  ask(): Promise<UpgradeReply> {
    this.#asked ??= this.#begin().catch((cause: unknown) => {
      this.#asked = null;
      if (cause instanceof BrokerError) this.#failed = cause.message;
      throw cause;
    });
    return this.#asked;
  }

  async #begin(): Promise<UpgradeReply> {
    const { gate, vault, book, log } = this.#deps;
    this.#failed = null;
    // That it is locked is known to this process alone: the next one would open a keychain by itself.
    if (gate.isLocked) throw new BrokerError('vault_locked', 'the user locked the broker, and the next daemon would not know');
    const kept = book.list().filter(({ state }) => state.kind === 'active').length;
    if (vault.status().backend === 'memory' && kept > 0) {
      throw new BrokerError('upgrade_failed', `the vault is in memory only, so ${kept} sign-in${kept === 1 ? '' : 's'} would end with this daemon`, { hint: 'Run: valetkey daemon stop, then sign in again' });
    }
    const child = await this.#start();
    log.info('upgrade_waits', { program: child?.successor.program ?? null, pid: child?.successor.pid ?? null });
    void this.#whenQuiet(child).catch((cause: unknown) => {
      this.#asked = null;
      this.#failed = cause instanceof Error ? cause.message : 'unknown';
      log.error('upgrade_failed', {}, cause);
    });
    return child === null ? { how: 'exit', pid: null, program: null } : { how: 'take_over', pid: child.successor.pid, program: child.successor.program };
  }

  async #start(): Promise<Child | null> {
    const { successors } = this.#deps;
    const listener = this.#deps.doorway().listener;
    const { key } = successors;
    const successor = listener === null ? null : await successors.start(listener);
    return successor === null || listener === null ? null : { successor, ...listener, key };
  }

  async #whenQuiet(first: Child | null): Promise<void> {
    const { clock, signal, successors, gate, doorway, isPersonBusy, isWireBusy } = this.#deps;
    let child = first;
    try {
      for (let waited = 0; gate.isLocked || isPersonBusy() || (waited < WIRE_MS && isWireBusy()); waited += LOOK_MS) {
        if (waited > WAIT_MS) throw new BrokerError('upgrade_failed', gate.isLocked ? 'the broker was locked meanwhile' : 'somebody was signing in, or was asked, all the time (valetkey status, valetkey approvals)');
        await clock.sleep(LOOK_MS, signal);
      }
      // A socket that was made anew, or a key that was given or taken back meanwhile, did not reach the child.
      if (child !== null && (doorway().listener?.fd !== child.fd || successors.key !== child.key)) {
        await child.successor.abandon();
        child = await this.#start();
        return await this.#whenQuiet(child);
      }
      this.#deps.leaveTo(child);
    } catch (cause) {
      await child?.successor.abandon();
      if (!signal.aborted) throw cause;
    }
  }
}
