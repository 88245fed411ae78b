import type { EpochMs } from '../../shared/names.ts';
import type { Clock } from '../../daemon/core/ports.ts';

type Sleeper = { wakesAt: number; wake: () => void };

/** A clock that moves only when told to. `advance` lets every sleeper that is due run, in order. */
export class FakeClock implements Clock {
  #wall: number;
  #boot = 1_000_000;
  #suspendedMs = 0;
  #sleepers: Sleeper[] = [];

  constructor(startMs = Date.UTC(2026, 10, 23)) {
    this.#wall = startMs;
  }

  now(): EpochMs {
    return this.#wall as EpochMs;
  }

  boottimeMs(): number {
    return this.#boot;
  }

  bootId = 'boot-1';

  awakeMs(): number {
    return this.#boot - this.#suspendedMs;
  }

  /** The machine sleeps: both clocks go on and no timer does, so what came due meanwhile runs as late as its slice of 30 s. */
  async suspend(ms: number): Promise<void> {
    this.#suspendedMs += ms;
    const end = this.#boot + ms;
    for (const sleeper of this.#sleepers) if (sleeper.wakesAt <= end) sleeper.wakesAt = end + Math.min(30_000, sleeper.wakesAt - this.#boot);
    this.#move(ms);
    await settle();
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const leave = (): void => {
        this.#sleepers = this.#sleepers.filter((s) => s !== sleeper);
        signal.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        leave();
        reject(signal.reason);
      };
      const sleeper: Sleeper = { wakesAt: this.#boot + ms, wake: () => { leave(); resolve(); } };
      this.#sleepers.push(sleeper);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Moves both clocks; between two wake-ups everything that became ready runs. */
  async advance(ms: number): Promise<void> {
    const end = this.#boot + ms;
    for (;;) {
      await settle();
      const next = this.#sleepers.filter((s) => s.wakesAt <= end).sort((a, b) => a.wakesAt - b.wakesAt)[0];
      if (next === undefined) break;
      this.#move(Math.max(0, next.wakesAt - this.#boot));
      next.wake();
    }
    this.#move(end - this.#boot);
    await settle();
  }

  /** Only the wall clock jumps, as when somebody sets it. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  #move(ms: number): void {
    this.#boot += ms;
    this.#wall += ms;
  }
}

/** Lets promises and I/O that are ready run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
