/**
 * Before any route, in either dialect: who is at the other end of the connection, and how often it asks.
 * Every request passes here, also one for a path that does not exist.
 */
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Callers, Clock, Log, Peer, PinPeer } from '../core/ports.ts';
import { Buckets } from './bucket.ts';
import type { BucketLimits } from './bucket.ts';

export type AdmissionDeps = {
  readonly callers: Callers;
  readonly limits: () => BucketLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly isStopping: () => boolean;
};

/** What ran out is there again a moment later. */
const SHORT_OF = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #buckets: Buckets;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    this.#buckets = new Buckets(deps.limits, () => deps.clock.boottimeMs());
  }

  /** The caller of a new connection. It is looked at once: later another process may have the pid. */
  attest(peer: Peer, pin: PinPeer): Caller | Promise<Caller> {
    const caller = attest(this.#deps, peer, pin);
    // Where it fails, whoever asks is told; perhaps nobody does.
    if (caller instanceof Promise) caller.catch(() => undefined);
    return caller;
  }

  /** For answers that had to wait, and may hold a token that was decided on before. */
  isSame(caller: Caller): boolean {
    const isSame = this.#deps.callers.stillSame(caller);
    if (!isSame) this.#deps.log.warn('caller_changed', { pid: caller.pid });
    return isSame;
  }

  /** Counts one request. Throws where it may not go on. */
  admit(caller: Caller): void {
    if (!this.#buckets.take(caller)) {
      throw new BrokerError('too_many_requests', `process ${caller.pid} asks too often`, { retryAfterS: 1 });
    }
  }

  /** After what is wrong with the request itself. */
  refuseWhileStopping(): void {
    if (this.#deps.isStopping()) throw new BrokerError('shutting_down', 'the daemon is shutting down');
  }
}

function attest(deps: AdmissionDeps, peer: Peer, pin: PinPeer): Caller | Promise<Caller> {
  try {
    const found = deps.callers.attest(peer, pin);
    if (found instanceof Promise) return found.then(present, (cause: unknown) => { throw unseen(deps.log, peer, cause); });
    return found ?? Promise.reject(absent());
  } catch (cause) {
    return Promise.reject(unseen(deps.log, peer, cause));
  }
}

const absent = (): BrokerError => new BrokerError('policy_denied', 'the asking process is gone');

function present(caller: Caller | null): Caller {
  if (caller === null) throw absent();
  return caller;
}

function unseen(log: Log, peer: Peer, cause: unknown): BrokerError {
  log.error('attest_failed', { pid: peer.pid }, cause);
  const isShort = cause instanceof Error && 'code' in cause && SHORT_OF.has(String(cause.code));
  if (!isShort) return new BrokerError('internal', 'who is asking could not be found out', { cause });
  return new BrokerError('too_many_requests', 'the daemon lacks file descriptors or memory to see who is asking', {
    cause, retryAfterS: 1, hint: 'Wait a second, then ask again',
  });
}
