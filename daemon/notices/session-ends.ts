/**
 * Says once, some time ahead, that a sign-in is about to end for good, so that a person can sign in before a long run
 * of work stops in the middle. Short sign-ins end too often for that.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Clock } from '../core/ports.ts';

/** Of a sign-in that somebody has: when it ends, whatever is refreshed, and how long it was to last. */
export type SessionEnd = { readonly profile: ProfileName; readonly endsAt: number; readonly lifeMs: number };

export type SessionEndsDeps = {
  readonly clock: Clock;
  readonly ends: () => readonly SessionEnd[];
  /** How long ahead; null: nobody wants to know. */
  readonly leadMs: () => number | null;
  readonly onEnding: (profile: ProfileName, leftMs: number) => void;
  readonly signal: AbortSignal;
};

export const LOOK_MS = 25_000;
/** A quarter of an hour ahead of what lasts an hour at least. */
const LIFE_OF_LEADS = 4;
/** The same end, computed at another moment. */
const SAME_END_MS = 60_000;

export async function tellSessionEnds({ clock, ends, leadMs, onEnding, signal }: SessionEndsDeps): Promise<void> {
  const told = new Map<ProfileName, number>();
  while (!signal.aborted) {
    const lead = leadMs();
    const all = lead === null ? [] : ends();
    for (const name of told.keys()) if (lead !== null && !all.some(({ profile }) => profile === name)) told.delete(name);
    for (const { profile, endsAt, lifeMs } of all) {
      const leftMs = endsAt - clock.now();
      const isSoon = lead !== null && leftMs > 0 && leftMs <= lead && lifeMs >= lead * LIFE_OF_LEADS;
      if (!isSoon || Math.abs((told.get(profile) ?? -Infinity) - endsAt) < SAME_END_MS) continue;
      told.set(profile, endsAt);
      onEnding(profile, leftMs);
    }
    await clock.sleep(LOOK_MS, signal).catch(() => undefined); // the daemon stops
  }
}
