/**
 * What the daemon costs this machine. The delay of the event loop is measured by a timer that fires ten times a
 * second, so it runs only while somebody looks: from the first look on, until nobody has looked for five minutes.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';
import type { Load } from '../core/machine-port.ts';
import type { Clock } from '../core/ports.ts';

const RESOLUTION_MS = 100;
const IDLE_MS = 300_000;
const NS = 1e9;

export function createLoad(clock: Pick<Clock, 'awakeMs' | 'sleep'>): () => Load {
  let histogram: IntervalHistogram | null = null;
  let lookedMs = 0;
  const { signal } = new AbortController(); // nobody ends it: it ends by itself

  /** Since the look before; null at the first. */
  function delay(): Load['loopDelay'] {
    lookedMs = clock.awakeMs();
    if (histogram === null) {
      histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      histogram.enable();
      void endWhenIdle();
      return null;
    }
    const { count, mean, max } = histogram;
    // A timer that is on time shows its own interval; what is beyond it is the delay.
    const late = (ns: number): number => Math.max(0, ns / NS - RESOLUTION_MS / 1000);
    // Two looks within a moment: the timer goes on, as starting anew would lose what it is about to show.
    if (count === 0) return null;
    const found = { meanS: late(mean), p99S: late(histogram.percentile(99)), maxS: late(max) };
    histogram.reset();
    return found;
  }

  async function endWhenIdle(): Promise<void> {
    while (clock.awakeMs() - lookedMs < IDLE_MS) await clock.sleep(IDLE_MS, signal);
    histogram?.disable();
    histogram = null;
  }

  return () => {
    const { user, system } = process.cpuUsage();
    return { residentBytes: process.memoryUsage.rss(), cpuS: (user + system) / 1e6, loopDelay: delay() };
  };
}
