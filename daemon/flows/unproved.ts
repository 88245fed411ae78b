/**
 * Processes for which a browser was waited for in vain, and what was decided then. The same process may go on with
 * the flow that is left, and is not made to wait again; its decision is on record already.
 */
import type { Caller, Profile } from '../core/domain.ts';
import type { Clock } from '../core/ports.ts';
import type { Choice } from '../policy/chooser.ts';

/** For a person to confirm at the terminal. */
const LIFE_MS = 120_000;
const KEPT = 64;

type Kept = { readonly choice: Choice; readonly untilMs: number };

export class Unproved {
  readonly #clock: Pick<Clock, 'boottimeMs'>;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Pick<Clock, 'boottimeMs'>) {
    this.#clock = clock;
  }

  remember(profile: Profile, caller: Caller, choice: Choice): void {
    const now = this.#clock.boottimeMs();
    for (const [key, { untilMs }] of this.#kept) if (untilMs <= now || this.#kept.size >= KEPT) this.#kept.delete(key);
    this.#kept.set(keyOf(profile, caller), { choice, untilMs: now + LIFE_MS });
  }

  /** What was decided; null: nothing was waited for, or that was too long ago. */
  of(profile: Profile, caller: Caller): Choice | null {
    const kept = this.#kept.get(keyOf(profile, caller));
    return kept === undefined || kept.untilMs <= this.#clock.boottimeMs() ? null : kept.choice;
  }

  forget(profile: Profile, caller: Caller): void {
    this.#kept.delete(keyOf(profile, caller));
  }
}

function keyOf({ name, digest }: Profile, { pid, startTime }: Caller): string {
  return JSON.stringify([name, digest, pid, startTime]);
}
