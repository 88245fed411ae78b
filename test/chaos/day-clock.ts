/**
 * A clock for a day in fast-forward. While the machine sleeps, wall and boot clock go on and timers stand
 * still; a sleeper looks at the clock every 30 s of being awake, as the real one does.
 */
import type { Clock } from '../../daemon/core/ports.ts';
import type { EpochMs } from '../../shared/names.ts';

const SLICE_MS = 30_000;
/** Turns of the event loop in which whoever was woken goes on. */
const TURNS = 4;

type Sleeper = { readonly untilBoot: number; lookAt: number; readonly wake: () => void };

export class DayClock implements Clock {
  #wall: number;
  #boot = 5_000_000;
  /** Stands still during suspend. */
  #awake = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs: number) {
    this.#wall = startMs;
  }

  now(): EpochMs {
    return this.#wall as EpochMs;
  }

  boottimeMs(): number {
    return this.#boot;
  }

  readonly bootId = 'boot-1';

  awakeMs(): number {
    return this.#awake;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const end = (): void => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        end();
        reject(signal.reason);
      };
      const sleeper: Sleeper = {
        untilBoot: this.#boot + ms, lookAt: this.#awake + Math.min(ms, SLICE_MS),
        wake: () => {
          end();
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  async advance(ms: number): Promise<void> {
    const end = this.#awake + ms;
    for (;;) {
      let next: Sleeper | null = null;
      for (const each of this.#sleepers) if (each.lookAt <= end && (next === null || each.lookAt < next.lookAt)) next = each;
      if (next === null) break;
      this.#move(Math.max(0, next.lookAt - this.#awake));
      const left = next.untilBoot - this.#boot;
      if (left > 0) {
        next.lookAt = this.#awake + Math.min(left, SLICE_MS);
        continue;
      }
      next.wake();
      for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#move(end - this.#awake);
  }

  suspend(ms: number): void {
    this.#wall += ms;
    this.#boot += ms;
  }

  #move(ms: number): void {
    this.#wall += ms;
    this.#boot += ms;
    this.#awake += ms;
  }
}
