import { expect, it } from 'vitest';
import { createLoad } from '../../../../daemon/platform/load.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

it('measures the delay of the event loop from the first look on, and shows a loop that was held up', async () => {
  const load = createLoad(new FakeClock());
  expect(load()).toMatchObject({ residentBytes: expect.any(Number) as number, cpuS: expect.any(Number) as number, loopDelay: null });
  const hold = (): void => {
    const until = performance.now() + 400;
    while (performance.now() < until);
  };
  await expect.poll(() => {
    const found = load().loopDelay?.maxS ?? 0;
    setTimeout(hold, 250); // between two ticks of the timer that measures
    return found;
  }, { interval: 1_000 }).toBeGreaterThan(0.1);
});

it('stops measuring when nobody has looked for five minutes', async () => {
  const clock = new FakeClock();
  const load = createLoad(clock);
  load();
  await expect.poll(() => load().loopDelay, { interval: 500 }).not.toBeNull();
  await clock.advance(310_000);
  await clock.advance(310_000);
  await settle();
  expect(load().loopDelay).toBeNull(); // a first look again
});
