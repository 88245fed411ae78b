import { readFileSync } from 'node:fs';
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createClock } from '../../../../daemon/platform/clock.ts';
import type { Native } from '../../../../daemon/platform/native.ts';

describe('the clock of this machine', () => {
  it('counts from boot, suspend included', () => {
    const before = createClock().boottimeMs();
    const uptimeS = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    expect(Math.abs(before / 1000 - uptimeS)).toBeLessThan(1);
    expect(createClock().boottimeMs()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(createClock().now() - Date.now())).toBeLessThan(1000);
  });

  it('counts whole milliseconds, so that a span which begins now is as long as it was made', () => {
    const { boottimeMs } = createClock();
    for (let look = 0; look < 50; look += 1) {
      const from = boottimeMs();
      expect(from + 3_600_000 - from).toBe(3_600_000);
      expect(Number.isInteger(from)).toBe(true);
    }
  });

  it('says so where the system has no such clock', () => {
    expect(() => createClock({ platform: 'linux', call: () => -22 }).boottimeMs()).toThrow(/EINVAL/);
  });

  it('asks macOS for the clock that goes on during sleep', () => {
    const asked: unknown[] = [];
    createClock({ platform: 'darwin', call: (_, clock) => { asked.push(clock); return 0; } }).boottimeMs();
    expect(asked).toEqual([6]);
  });
});

describe('sleep', () => {
  let bootMs: number;
  /** Milliseconds of suspend: on this clock, and on no timer. */
  let native: Native;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    bootMs = 1_000_000 - Date.now();
    native = {
      platform: 'linux',
      call(_, clock, time) {
        const nowMs = bootMs + Date.now();
        if (clock === 7 && time instanceof Uint8Array) new BigInt64Array(time.buffer).set([BigInt(Math.floor(nowMs / 1000)), BigInt(nowMs % 1000) * 1_000_000n]);
        return 0;
      },
    };
  });
  afterEach(() => {
    vi.restoreAllMocks(); // before: they are of the timers that are not real
    vi.useRealTimers();
  });

  async function watch(ms: number, signal = new AbortController().signal): Promise<{ done: boolean; reason: unknown }> {
    const state = { done: false, reason: undefined as unknown };
    createClock(native).sleep(ms, signal).then(() => { state.done = true; }, (reason: unknown) => { state.done = true; state.reason = reason; });
    await vi.advanceTimersByTimeAsync(0);
    return state;
  }

  it('sleeps as long as it was told', async () => {
    const state = await watch(100_000);
    await vi.advanceTimersByTimeAsync(99_999);
    expect(state.done).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(state).toEqual({ done: true, reason: undefined });
  });

  it('wakes at most 30 s after a suspend that its time ended in', async () => {
    const state = await watch(3_600_000);
    await vi.advanceTimersByTimeAsync(10_000);
    bootMs += 8 * 3_600_000;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(state.done).toBe(true);
  });

  it('rejects at once with the reason, and leaves neither timer nor listener', async () => {
    // Whoever runs the tests sets timers, too: those of this clock are told by their time.
    const [set, cleared] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')];
    const controller = new AbortController();
    const state = await watch(3_600_000, controller.signal);
    await vi.advanceTimersByTimeAsync(90_000);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort('enough');
    await vi.advanceTimersByTimeAsync(0);
    expect(state).toEqual({ done: true, reason: 'enough' });
    const slices = set.mock.results.filter((_, call) => set.mock.calls[call]?.[1] === 30_000);
    expect(slices).toHaveLength(4);
    expect(cleared.mock.calls.flat()).toContain(slices.at(-1)?.value);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('leaves no listener after a full sleep, and does not begin on an aborted signal', async () => {
    const controller = new AbortController();
    await watch(40_000, controller.signal);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    controller.abort('before');
    expect(await watch(40_000, controller.signal)).toEqual({ done: true, reason: 'before' });
    expect(vi.getTimerCount()).toBe(0);
  });
});
