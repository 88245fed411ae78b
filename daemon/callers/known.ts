/**
 * Processes that were looked at before. A process is known by two descriptors, held open since before that:
 *
 * - its stat. The kernel ties it to the process and not to the pid: once it has ended a read fails, whoever
 *   has the number by then. Its last fields are the addresses of the program's image, which exec() makes anew.
 * - its environ. The kernel ties it to the memory that the process had when it was opened: after exec() has
 *   thrown that away a read gives nothing (proc_pid_environ(5)). So a program that is loaded to the same
 *   addresses, by the same arguments, is told apart as well. Memory that is shared (CLONE_VM) lasts as long as one
 *   of those who share it runs the program: they might hand the connection over as well.
 *
 * Of the processes above it only the parent's number is compared. What becomes of the others later is no matter:
 * it was started by those who were there when it was first seen.
 *
 * What cannot be read, of a process that may not be dumped or that has no environment, is never known: it is
 * looked at each time. Of what came once the descriptors are held until its first answer leaves, and not until it
 * has ended: the last to let go of a process's files pays for clearing them away, as much as for all the looks.
 */
import { closeSync, readSync } from 'node:fs';
import type { Caller } from '../core/domain.ts';
import type { Peer } from '../core/ports.ts';
import { HeldStat } from './held-stat.ts';
import { isTold, openFile, readTarget } from './proc.ts';
import type { ProcStat } from './proc.ts';

/** Descriptors of one process, from before it was looked at, and what its stat said first. */
export type Hold = { readonly pid: number; readonly stat: HeldStat; readonly environ: number; readonly first: ProcStat };
/** `isBrief`: it came for the first time. */
type Known = { readonly hold: Hold; readonly executable: string; readonly proof: Proof; readonly isBrief: boolean; stat: ProcStat; caller: Caller };

/** Names what was read of a process at one time; `image` are the addresses of its program, as text. */
export type Proof = { readonly image: string | null };

const KNOWN_MAX = 64;
/** What is answered by one look leaves within a millisecond of it. */
const ANSWERS_A_LOOK = 64;
/** Pids that came once. */
const SEEN_MAX = 256;
const byte = Buffer.allocUnsafeSlow(1);

export class KnownProcesses {
  /** The one that came last is the last. */
  readonly #known = new Map<number, Known>();
  readonly #seen = new Set<number>();
  /** Answers that may leave by a look that was made in this piece of work; null: there is none. */
  #looked: Map<Known, number> | null = null;

  /** Its facts, if it is proved to be the process and the program that they were read of. */
  find(peer: Peer, terminalOf: (stat: ProcStat) => Caller['terminal']): Caller | null {
    const known = this.#known.get(peer.pid);
    if (known === undefined) return null;
    const stat = known.caller.uid === peer.uid && readTarget(`/proc/${peer.pid}/exe`) === known.executable ? look(known.hold) : null;
    if (stat === null || hasMoved(stat, known.stat)) {
      this.#forget(known);
      return null;
    }
    if (stat !== known.stat) {
      known.stat = stat;
      known.caller = { ...known.caller, terminal: terminalOf(stat) };
    }
    return known.caller;
  }

  /** Null: it is not to be known. To be called before its facts are read; handed to keep() or release() after. */
  hold(pid: number): Hold | null {
    const stat = HeldStat.open(pid);
    if (stat === null) return null;
    let environ: number | null = null;
    let hold: Hold | null = null;
    try {
      environ = openFile(`/proc/${pid}/environ`);
      const first = environ === null ? null : stat.read();
      if (environ !== null && first !== null && first.image !== null) hold = { pid, stat, environ, first };
      return hold;
    } finally {
      // Also where there are no descriptors left for the second.
      if (hold === null) {
        stat.close();
        if (environ !== null) closeSync(environ);
      }
    }
  }

  /**
   * Takes the descriptors over, and tells whether these facts were read of what is held: only then they count.
   * @param proof - names the facts, for holds()
   */
  keep(hold: Hold, caller: Caller, proof: Proof): boolean {
    const stat = look(hold);
    // It may have been left behind while what stood above it was read: then that is no longer where it comes from.
    const isProved = stat !== null && !hasMoved(stat, hold.first);
    if (!isProved || caller.executable === null) {
      release(hold);
      return isProved;
    }
    const before = this.#known.get(hold.pid);
    if (before !== undefined) this.#forget(before);
    const [oldest] = this.#known.values();
    if (oldest !== undefined && this.#known.size >= KNOWN_MAX) this.#forget(oldest);
    this.#known.set(hold.pid, { hold, executable: caller.executable, proof, isBrief: this.#isNew(hold.pid), stat, caller });
    return true;
  }

  /**
   * Whether the memory that the process of these facts had is still its own: it is given up by exec() and at
   * the end. Null: they are not of a process that is held. One read of one byte, for the hottest path of all.
   */
  holds(caller: Caller, proof: Proof): boolean | null {
    const known = this.#known.get(caller.pid);
    if (known === undefined || !isOf(known, caller, proof)) return null;
    const left = this.#looked?.get(known) ?? 0;
    if (left > 0) {
      this.#looked?.set(known, left - 1);
      return true;
    }
    const holds = hasMemory(known.hold);
    if (known.isBrief) this.#forget(known);
    else if (holds) this.#looked?.set(known, ANSWERS_A_LOOK - 1);
    return holds;
  }

  /** Within `work` a process is looked at once for all that holds() is asked of it. */
  lookOnce(work: () => void): void {
    this.#looked = new Map();
    try {
      work();
    } finally {
      this.#looked = null;
    }
  }

  /** What was learned of it since. */
  renew(caller: Caller, proof: Proof): void {
    const known = this.#known.get(caller.pid);
    if (known?.proof === proof) known.caller = { ...caller, terminal: known.caller.terminal };
  }

  /** Closes all descriptors. */
  close(): void {
    for (const known of [...this.#known.values()]) this.#forget(known);
  }

  #isNew(pid: number): boolean {
    if (this.#seen.delete(pid)) return false;
    if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
    this.#seen.add(pid);
    return true;
  }

  #forget(known: Known): void {
    this.#known.delete(known.hold.pid);
    release(known.hold);
  }
}

export function release({ stat, environ }: Hold): void {
  stat.close();
  closeSync(environ);
}

/** Null where the process has ended, or runs another program than when it was held. */
function look(hold: Hold): ProcStat | null {
  const stat = hold.stat.read();
  if (stat === null || stat.image !== hold.first.image) return null;
  // Last, so that all before it was of the same memory.
  return hasMemory(hold) ? stat : null;
}

function hasMemory({ environ }: Hold): boolean {
  try {
    return readSync(environ, byte, 0, 1, 0) === 1;
  } catch (cause) {
    if (isTold(cause)) return false;
    throw cause;
  }
}

/** Each connection of a process may have been looked at by itself: they are of one program all the same. */
function isOf(known: Known, { startTime, executable }: Caller, proof: Proof): boolean {
  return startTime === known.caller.startTime
    && (known.proof === proof || (proof.image !== null && proof.image === known.proof.image && executable === known.executable));
}

/** It was left behind, or left its session: where it comes from has to be read again. */
export function hasMoved(now: ProcStat, before: ProcStat): boolean {
  return now.parent !== before.parent || now.session !== before.session;
}
