/**
 * A wait with an end. The timer is Node's own and not the Clock: these seconds bound how long a browser's
 * connection stays open, like the server's header timeout beside them; no decision about a grant hangs on it.
 */
import { setTimeout as delay } from 'node:timers/promises';

export const LATE = Symbol('late');

export async function within<T>(ms: number, promise: Promise<T>): Promise<T | typeof LATE> {
  const over = new AbortController();
  try {
    return await Promise.race([promise, delay(ms, LATE, { signal: over.signal, ref: false })]);
  } finally {
    over.abort();
  }
}
