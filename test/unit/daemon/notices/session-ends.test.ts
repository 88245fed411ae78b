import { describe, expect, it } from 'vitest';
import { tellSessionEnds } from '../../../../daemon/notices/session-ends.ts';
import type { SessionEnd } from '../../../../daemon/notices/session-ends.ts';
import type { ProfileName } from '../../../../shared/names.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

const MINUTE = 60_000;
const work = 'work' as ProfileName;

function rig(leadMs: number | null = 15 * MINUTE) {
  const clock = new FakeClock();
  const world = { ends: [] as readonly SessionEnd[], leadMs };
  const told: string[] = [];
  const stop = new AbortController();
  const over = tellSessionEnds({ clock, ends: () => world.ends, leadMs: () => world.leadMs, onEnding: (profile, leftMs) => void told.push(`${profile} ${Math.round(leftMs / MINUTE)}`), signal: stop.signal });
  const at = (minutes: number, lifeMinutes = 480): SessionEnd => ({ profile: work, endsAt: clock.now() + minutes * MINUTE, lifeMs: lifeMinutes * MINUTE });
  return { clock, world, told, stop, over, at };
}

describe('the end of a sign-in', () => {
  it('is told once, a quarter of an hour ahead', async () => {
    const { clock, world, told, at } = rig();
    world.ends = [at(60)];
    await clock.advance(44 * MINUTE);
    expect(told).toEqual([]);
    await clock.advance(2 * MINUTE);
    expect(told).toEqual(['work 15']);
    await clock.advance(60 * MINUTE);
    expect(told).toEqual(['work 15']);
  });

  it('is told again where it moved, and not where it was only computed anew', async () => {
    const { clock, world, told, at } = rig();
    world.ends = [at(10)];
    await settle();
    await clock.advance(MINUTE);
    world.ends = [{ ...at(9), endsAt: at(9).endsAt + 900 }];
    await clock.advance(5 * MINUTE);
    expect(told).toEqual(['work 10']);
    world.ends = [at(480)];
    await clock.advance(470 * MINUTE);
    expect(told).toEqual(['work 10', 'work 15']);
  });

  it('is told of the next sign-in as well, though it ends at the same moment', async () => {
    const { clock, world, told, at } = rig();
    const end = at(10);
    world.ends = [end];
    await clock.advance(MINUTE);
    world.ends = [];
    await clock.advance(MINUTE);
    world.ends = [end];
    await clock.advance(MINUTE);
    expect(told).toEqual(['work 10', 'work 8']);
  });

  it.each([
    ['was to last less than an hour', 59, 15 * MINUTE, 10],
    ['is over', 480, 15 * MINUTE, -1],
    ['nobody wants to know of', 480, null, 10],
  ])('is not told where it %s', async (_what, life, lead, ends) => {
    const { clock, world, told, at } = rig(lead);
    world.ends = [at(ends, life)];
    await clock.advance(5 * MINUTE);
    expect(told).toEqual([]);
  });

  it('is told after suspend, late as it is, and no more once the daemon stops', async () => {
    const { clock, world, told, stop, over, at } = rig();
    world.ends = [at(120)];
    await settle();
    await clock.suspend(110 * MINUTE);
    await clock.advance(30_000);
    expect(told).toEqual(['work 10']);
    stop.abort();
    await over;
    expect(clock.sleepers).toBe(0);
  });
});
