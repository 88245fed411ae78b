/**
 * Processes that were looked at before. A process is known by two descriptors, held open since:
 *
 * - its stat. The kernel ties it to the process and not to the pid: once it has ended a read fails, whoever
 *   has the number by then. Its last fields are the addresses of the program's image, which exec() makes anew.
 * - its environ. The kernel ties it to the memory that the process had when it was opened: after exec() has
 *   thrown that away a read gives nothing (proc_pid_environ(5)). So a program that is loaded to the same
 *   addresses, by the same arguments, is told apart as well.
 *
 * Of the processes above it only the parent's number is compared. What becomes of the others later is no matter:
 * it was started by those who were there when it was first seen.
 *
 * What cannot be read, of a process that may not be dumped or that has no environment, is never known: it is
 * looked at each time. Nor is what came once: a descriptor is worth its price only to those who come again.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Caller } from '../core/domain.ts';
import type { Peer } from '../core/ports.ts';
import { IMAGE_FIELDS, isTold, readTarget } from './proc.ts';

/** Where the process is now: that changes while the program stays. */
export type Standing = { readonly parent: number; readonly session: number; readonly terminal: number; readonly foregroundGroup: number; readonly group: number };

/** Descriptors of one process, from before it was looked at. */
export type Hold = { readonly pid: number; readonly stat: number; readonly environ: number; readonly image: Buffer };
type Known = { readonly hold: Hold; readonly executable: string; readonly proof: Proof; standing: Standing; caller: Caller };

/** Names what was read of a process at one time; `image` are the addresses of its program, as text. */
export type Proof = { readonly image: string | null };

const KNOWN_MAX = 64;
/** Pids that came once. */
const SEEN_MAX = 256;
/** startcode and what is before it are decimal numbers; 52 fields of at most 20 digits. */
const STAT_BYTES = 2_048;
const SPACE = 0x20;
const CLOSING = 0x29;
const ZERO = 0x30;

export class KnownProcesses {
  /** The one that came last is the last. */
  readonly #known = new Map<number, Known>();
  readonly #seen = new Set<number>();
  readonly #buffer = Buffer.allocUnsafeSlow(STAT_BYTES);

  /** Its facts, if it is proved to be the process and the program that they were read of. */
  find(peer: Peer, terminalOf: (standing: Standing) => Caller['terminal']): Caller | null {
    const known = this.#known.get(peer.pid);
    if (known === undefined) return null;
    const standing = known.caller.uid === peer.uid ? this.#look(known.hold) : null;
    if (standing === null || hasMoved(standing, known.standing) || readTarget(`/proc/${peer.pid}/exe`) !== known.executable) {
      this.#forget(known);
      return null;
    }
    const before = known.standing;
    if (standing.terminal !== before.terminal || standing.foregroundGroup !== before.foregroundGroup || standing.group !== before.group) {
      known.standing = standing;
      known.caller = { ...known.caller, terminal: terminalOf(standing) };
    }
    return known.caller;
  }

  /** Null: it is not to be known. To be called before its facts are read. */
  hold(pid: number): Hold | null {
    if (!this.#seen.delete(pid)) {
      if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
      this.#seen.add(pid);
      return null;
    }
    const stat = open(`/proc/${pid}/stat`);
    if (stat === null) return null;
    const environ = open(`/proc/${pid}/environ`);
    const image = environ === null ? null : this.#imageOf(stat);
    if (environ !== null && image !== null) return { pid, stat, environ, image };
    closeSync(stat);
    if (environ !== null) closeSync(environ);
    return null;
  }

  /**
   * Takes the descriptors over. The facts count only if they were read of what is held.
   * @param proof - names these facts, for holds()
   */
  keep(hold: Hold, caller: Caller | null, proof: Proof | null): void {
    const standing = caller === null || caller.executable === null ? null : this.#look(hold);
    if (caller === null || caller.executable === null || proof === null || standing === null) return release(hold);
    const before = this.#known.get(hold.pid);
    if (before !== undefined) this.#forget(before);
    const [oldest] = this.#known.values();
    if (oldest !== undefined && this.#known.size >= KNOWN_MAX) this.#forget(oldest);
    this.#known.set(hold.pid, { hold, executable: caller.executable, proof, standing, caller });
  }

  /**
   * Whether the memory that the process of these facts had is still its own: it is given up by exec() and at
   * the end. Null: they are not of a process that is held. One read of one byte, for the hottest path of all.
   */
  holds(caller: Caller, proof: Proof): boolean | null {
    const known = this.#known.get(caller.pid);
    return known === undefined || !isOf(known, caller, proof) ? null : read(known.hold.environ, this.#buffer, 1) === 1;
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

  #forget(known: Known): void {
    this.#known.delete(known.hold.pid);
    release(known.hold);
  }

  /** Null where the process has ended, or runs another program than when it was held. */
  #look({ stat, environ, image }: Hold): Standing | null {
    const length = read(stat, this.#buffer, STAT_BYTES);
    if (length <= image.length || image.compare(this.#buffer, length - image.length, length) !== 0) return null;
    const standing = standingIn(this.#buffer, length);
    // Last, so that all before it was of the same memory. One byte is enough: it overwrites nothing that is still needed.
    return read(environ, this.#buffer, 1) === 1 ? standing : null;
  }

  /** The end of the text; null where the addresses are not shown. */
  #imageOf(stat: number): Buffer | null {
    const length = read(stat, this.#buffer, STAT_BYTES);
    let at = length;
    for (let field = 0; field < IMAGE_FIELDS && at > 0; field += 1) at = this.#buffer.lastIndexOf(SPACE, at - 1);
    const image = at > 0 ? Buffer.from(this.#buffer.subarray(at, length)) : null;
    return image === null || image.toString('latin1').startsWith(' 0 ') ? null : image;
  }
}

/** Fields 4 to 8 of proc_pid_stat(5), of a text whose name may hold spaces and parentheses. */
function standingIn(text: Buffer, length: number): Standing {
  let at = text.lastIndexOf(CLOSING, length - 1) + 2; // the state
  const next = (): number => {
    while (at < length && text[at] !== SPACE) at += 1;
    at += 1;
    const isNegative = text[at] === 0x2d;
    if (isNegative) at += 1;
    let value = 0;
    for (let digit = (text[at] ?? 0) - ZERO; digit >= 0 && digit <= 9; digit = (text[at] ?? 0) - ZERO) {
      value = value * 10 + digit;
      at += 1;
    }
    return isNegative ? -value : value;
  };
  const parent = next();
  const group = next();
  const session = next();
  const terminal = next();
  return { parent, session, group, terminal, foregroundGroup: next() };
}

/** Each connection of a process may have been looked at by itself: they are of one program all the same. */
function isOf(known: Known, { startTime, executable }: Caller, proof: Proof): boolean {
  return known.proof === proof
    || (proof.image !== null && proof.image === known.proof.image && startTime === known.caller.startTime && executable === known.executable);
}

/** It was left behind, or left its session: where it comes from has to be read again. */
function hasMoved(now: Standing, before: Standing): boolean {
  return now.parent !== before.parent || now.session !== before.session;
}

function release({ stat, environ }: Hold): void {
  closeSync(stat);
  closeSync(environ);
}

function open(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    if (isTold(cause)) return null;
    throw cause;
  }
}

/** Zero where it has ended (ESRCH). */
function read(descriptor: number, into: Buffer, bytes: number): number {
  try {
    return readSync(descriptor, into, 0, bytes, 0);
  } catch (cause) {
    if (isTold(cause)) return 0;
    throw cause;
  }
}
