import { describe, expect, it } from 'vitest';
import { watchTime } from '../../../daemon/watch-time.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LogSink } from '../../support/fakes.ts';


function rig() {
  const clock = new FakeClock();
  const log = new LogSink();
  const resumed: number[] = [];
  const end = new AbortController();
  const done = watchTime({ clock, log, signal: end.signal, onResume: () => resumed.push(clock.boottimeMs()) });
  return { clock, log, resumed, end, done };
}

describe('the watch over the clocks', () => {
  it('[TK-07] notices within 30 s that the machine slept, though no timer went on meanwhile', async () => {
    const { clock, log, resumed } = rig();
    await clock.advance(60_000);
    expect(resumed).toEqual([]);
    await clock.suspend(8 * 3_600_000);
    const woke = clock.boottimeMs();
    await clock.advance(30_000);
    expect(resumed).toHaveLength(1);
    expect((resumed[0] ?? Infinity) - woke).toBeLessThanOrEqual(30_000);
    expect(log.lines).toContainEqual(expect.objectContaining({ event: 'resumed', fields: { slept_s: 28_800 } }));
  });

  it('says that the time of day was set, and by how much; a clock that is being corrected is no news', async () => {
    const { clock, log, resumed } = rig();
    clock.jump(1_500);
    await clock.advance(30_000);
    expect(log.lines).toEqual([]);
    clock.jump(-12 * 3_600_000);
    await clock.advance(30_000);
    expect(log.lines).toContainEqual(expect.objectContaining({ event: 'clock_was_set', fields: { by_s: -43_200 } }));
    expect(resumed).toEqual([]);
  });

  it('ends with the daemon', async () => {
    const { end, done, clock } = rig();
    end.abort(new Error('over'));
    await done;
    expect(clock.sleepers).toBe(0);
  });
});
