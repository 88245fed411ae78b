/**
 * A token bucket for each process (IP-11): it fills with `perSecond` up to `burst`. Buckets that are full
 * again carry nothing and are dropped, so that processes that come and go fill no memory.
 */
export type BucketLimits = { readonly requestsPerSecond: number; readonly burst: number };

type Process = { readonly pid: number; readonly startTime: string };
type Bucket = { readonly startTime: string; tokens: number; atMs: number };
const SWEEP_AT = 1_024;

export class Buckets {
  readonly #limits: () => BucketLimits;
  readonly #nowMs: () => number;
  /** By pid: two processes never have the same one at a time, and the start time tells who it is. */
  readonly #buckets = new Map<number, Bucket>();

  constructor(limits: () => BucketLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Takes one; false when the process has none left. */
  take({ pid, startTime }: Process): boolean {
    const nowMs = this.#nowMs();
    const limits = this.#limits();
    let bucket = this.#buckets.get(pid);
    if (bucket === undefined || bucket.startTime !== startTime) {
      if (this.#buckets.size >= SWEEP_AT) this.#sweep(nowMs);
      bucket = { startTime, tokens: limits.burst, atMs: nowMs };
      this.#buckets.set(pid, bucket);
    }
    bucket.tokens = filled(bucket, limits, nowMs);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #sweep(nowMs: number): void {
    const limits = this.#limits();
    for (const [pid, bucket] of this.#buckets) {
      if (filled(bucket, limits, nowMs) >= limits.burst) this.#buckets.delete(pid);
    }
  }
}

function filled(bucket: Bucket, { requestsPerSecond, burst }: BucketLimits, nowMs: number): number {
  return Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * requestsPerSecond);
}
