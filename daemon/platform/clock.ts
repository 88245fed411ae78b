/**
 * Wall clock, and a clock that never jumps and goes on while the machine sleeps. Node's timers stand still
 * during suspend, so a sleep wakes at least every 30 s and looks at the clock again.
 */
import { randomUUID } from 'node:crypto';
import { getSystemErrorName } from 'node:util';
import type { EpochMs } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { readBootId } from './boot-id.ts';
import { loadNative } from './native.ts';
import type { Native } from './native.ts';

const CLOCK_GETTIME = 'int clock_gettime(int, void *)';
/** CLOCK_BOOTTIME; macOS's CLOCK_MONOTONIC goes on during sleep as well (clock_gettime(3), experimental). */
const BOOT_CLOCK = { linux: 7, darwin: 6 } as const;
const HAS_LONG_OF_32_BITS = ['arm', 'ia32', 'mipsel'].includes(process.arch);
const SLICE_MS = 30_000;

export function createClock(native: Native = loadNative()): Clock {
  const boottimeMs = bootClock(native);
  return {
    // Where the system names no boot, times of an earlier process count as of another one.
    bootId: readBootId() ?? randomUUID(),
    // CLOCK_MONOTONIC, which Linux stops during suspend; performance.now() would load a module for it.
    awakeMs: () => process.uptime() * 1_000,
    // The one place that makes the time of day.
    now: () => Date.now() as EpochMs,
    boottimeMs,
    async sleep(ms, signal) {
      const wakeAt = boottimeMs() + ms;
      for (let left = ms; left > 0; left = wakeAt - boottimeMs()) {
        await sleepSlice(Math.min(left, SLICE_MS), signal);
      }
      signal.throwIfAborted();
    },
  };
}

/** Each request reads it, so the memory for the answer is used again. */
function bootClock(native: Native): () => number {
  // struct timespec: seconds and nanoseconds, each a long.
  const time = HAS_LONG_OF_32_BITS ? new Int32Array(2) : new BigInt64Array(2);
  const bytes = new Uint8Array(time.buffer);
  return () => {
    const result = native.call(CLOCK_GETTIME, BOOT_CLOCK[native.platform], bytes);
    const [seconds, nanoseconds] = time;
    if (result < 0 || seconds === undefined || nanoseconds === undefined) {
      throw new BrokerError('platform_unsupported', `there is no clock that counts suspend: ${getSystemErrorName(result)}`);
    }
    // Whole milliseconds: a span that is added to a fraction and taken away again is not always the same.
    return Number(seconds) * 1000 + Math.floor(Number(nanoseconds) / 1e6);
  };
}

function sleepSlice(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const wake = (): void => {
      signal.removeEventListener('abort', abort);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
  });
}
