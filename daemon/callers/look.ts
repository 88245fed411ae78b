/**
 * One look at a process that asks: begun before anything of it is read, and concluded after all of it was. What
 * was read counts only where it was one process, one program, one user and one parent from the beginning to the end.
 */
import type { Caller } from '../core/domain.ts';
import type { Peer, Pin } from '../core/ports.ts';
import { hasMoved, release } from './known.ts';
import type { Hold, KnownProcesses, Proof } from './known.ts';
import { isSameProgram } from './lineage.ts';
import { readStat, readUid } from './proc.ts';
import type { ProcStat } from './proc.ts';

export class Look {
  readonly stat: ProcStat;
  readonly #known: KnownProcesses;
  readonly #peer: Peer;
  #hold: Hold | null;

  private constructor(known: KnownProcesses, peer: Peer, stat: ProcStat, hold: Hold | null) {
    this.#known = known;
    this.#peer = peer;
    this.stat = stat;
    this.#hold = hold;
  }

  /** Null where it has ended. @param mayHold - by its memory, if that can be read; else by its start time and addresses */
  static begin(known: KnownProcesses, peer: Peer, mayHold: boolean): Look | null {
    const hold = mayHold ? known.hold(peer.pid) : null;
    const stat = hold?.first ?? readStat(peer.pid);
    return stat === null || stat.isDead ? null : new Look(known, peer, stat, hold);
  }

  /** Keeps what is proved. @param pin - null where the kernel has none to give */
  proves(caller: Caller, proof: Proof, pin: Pin | null): boolean {
    const hold = this.#hold;
    // All that goes by the number first: while the pin lives, the number was its own.
    const isSame = readUid(this.#peer.pid) === this.#peer.uid && (hold !== null || this.#runsStill()) && (pin === null || pin.isAlive());
    if (!isSame || hold === null) return isSame;
    this.#hold = null;
    return this.#known.keep(hold, caller, proof);
  }

  /** Lets go of what was not kept. */
  end(): void {
    if (this.#hold !== null) release(this.#hold);
    this.#hold = null;
  }

  #runsStill(): boolean {
    const now = readStat(this.#peer.pid);
    return now !== null && isSameProgram(now, this.stat) && !hasMoved(now, this.stat);
  }
}
