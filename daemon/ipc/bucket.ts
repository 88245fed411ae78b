/**
 * A token bucket for each process (IP-11): it fills with `perSecond` up to `burst`. Buckets that are full
 * again carry nothing and are dropped, so that processes that come and go fill no memory.
 */
export type BucketLimits = { readonly requestsPerSecond: number; readonly burst: number };

type Bucket = { tokens: number; atMs: number };
const SWEEP_AT = 1_024;

export class Buckets {
  readonly #limits: () => BucketLimits;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: () => BucketLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Takes one; false when the process has none left. */
  take(process: string): boolean {
    const nowMs = this.#nowMs();
    const { burst } = this.#limits();
    const bucket = this.#buckets.get(process) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = this.#filled(bucket, nowMs);
    bucket.atMs = nowMs;
    if (!this.#buckets.has(process)) {
      if (this.#buckets.size >= SWEEP_AT) this.#sweep(nowMs);
      this.#buckets.set(process, bucket);
    }
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #filled(bucket: Bucket, nowMs: number): number {
    const { requestsPerSecond, burst } = this.#limits();
    return Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * requestsPerSecond);
  }

  #sweep(nowMs: number): void {
    for (const [process, bucket] of this.#buckets) {
      if (this.#filled(bucket, nowMs) >= this.#limits().burst) this.#buckets.delete(process);
    }
  }
}
