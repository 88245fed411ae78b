/**
 * The stat of one process, held open. The kernel ties the descriptor to the process and not to the pid: it tells
 * nothing of whoever has the number later. What counts of it stays the same from one look to the next, and the
 * counters in between do not: where the text says the same, the same object is returned, and nothing is parsed.
 */
import { closeSync } from 'node:fs';
import { imageAt, openFile, parseStat, readTextAt } from './proc.ts';
import type { ProcStat } from './proc.ts';

/** Pid and name; the fields 4 to 8, from the parent to the group in front; the addresses of the image. */
type Told = { readonly head: string; readonly place: string; readonly image: string; readonly stat: ProcStat };

const PLACE_FIELDS = 5;

export class HeldStat {
  readonly #descriptor: number;
  #last: Told | null = null;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Null where it cannot be opened. */
  static open(pid: number): HeldStat | null {
    const descriptor = openFile(`/proc/${pid}/stat`);
    return descriptor === null ? null : new HeldStat(descriptor);
  }

  /** Null where it has ended, or nobody but its parent knows of it. The same object while the same is told. */
  read(): ProcStat | null {
    const text = readTextAt(this.#descriptor);
    if (text === null) return null;
    if (this.#last !== null && saysSame(text, this.#last)) return this.#last.stat;
    this.#last = toldBy(text);
    return this.#last?.stat ?? null;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** The state stands between the name and the place. */
function saysSame(text: string, { head, place, image }: Told): boolean {
  const state = text[head.length];
  return state !== 'Z' && state !== 'X' && text.startsWith(head) && text.startsWith(place, head.length + 1) && text.endsWith(image);
}

function toldBy(text: string): Told | null {
  const stat = parseStat(text);
  if (stat === null || stat.isDead) return null;
  const head = text.slice(0, text.lastIndexOf(')') + 2);
  let end = head.length + 1;
  for (let field = 0; field < PLACE_FIELDS; field += 1) end = text.indexOf(' ', end + 1);
  return { head, place: text.slice(head.length + 1, end + 1), image: text.slice(imageAt(text, head.length)), stat };
}
