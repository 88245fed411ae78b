/**
 * Before any route: who is at the other end of the connection, how often it asks, and whether it is a web
 * page. Every request passes here, also one for a path that does not exist.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { BUILD_HEADER, BUILD_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/version.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Callers, Clock, Log, Peer } from '../core/ports.ts';
import { Buckets } from './bucket.ts';
import type { BucketLimits } from './bucket.ts';

export type AdmissionDeps = {
  readonly callers: Callers;
  readonly limits: () => BucketLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly isStopping: () => boolean;
};

export type Admitted = {
  readonly caller: Caller;
  /** Ends when the caller leaves. It may have left already. */
  readonly gone: AbortSignal;
};

type Connection = { readonly caller: Promise<Caller>; readonly gone: AbortSignal };

/** What ran out is there again a moment later. */
const SHORT_OF = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #buckets: Buckets;
  readonly #connections = new WeakMap<Socket, Connection>();

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    this.#buckets = new Buckets(deps.limits, () => deps.clock.boottimeMs());
  }

  /**
   * A new connection. Its caller is looked at once: later another process may have the pid. `gone` hangs on
   * the socket, since a response that waits behind another one does not hear of its end.
   */
  connect(socket: Socket, peer: Peer): void {
    const gone = new AbortController();
    setMaxListeners(0, gone.signal); // one a request that is under way
    socket.once('close', () => gone.abort(new BrokerError('cancelled', 'the caller left')));
    const caller = attest(this.#deps, peer);
    caller.catch(() => undefined); // told to whoever asks; perhaps nobody does
    this.#connections.set(socket, { caller, gone: gone.signal });
  }

  async admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.headers({ [PROTOCOL_HEADER]: String(PROTOCOL_VERSION), [BUILD_HEADER]: BUILD_VERSION, 'cache-control': 'no-store' });
    const { caller } = await this.admitted(request).catch((cause: unknown) => {
      reply.header('connection', 'close');
      throw cause;
    });
    if (!this.#buckets.take(`${caller.pid}/${caller.startTime}`)) {
      throw new BrokerError('too_many_requests', `process ${caller.pid} asks too often`, { retryAfterS: 1 });
    }
    refuseBrowsers(request);
    refuseOtherProtocols(request);
    if (this.#deps.isStopping()) throw new BrokerError('shutting_down', 'the daemon is shutting down');
  }

  /** Of a request that passed admit(). */
  async admitted(request: FastifyRequest): Promise<Admitted> {
    const connection = this.#connections.get(request.raw.socket);
    if (connection === undefined) throw new BrokerError('internal', 'a request came by no door');
    return { caller: await connection.caller, gone: connection.gone };
  }
}

async function attest({ callers, log }: AdmissionDeps, peer: Peer): Promise<Caller> {
  let caller: Caller | null;
  try {
    caller = await callers.attest(peer);
  } catch (cause) {
    log.error('attest_failed', { pid: peer.pid }, cause);
    const isShort = cause instanceof Error && 'code' in cause && SHORT_OF.has(String(cause.code));
    if (!isShort) throw new BrokerError('internal', 'who is asking could not be found out', { cause });
    throw new BrokerError('too_many_requests', 'the daemon lacks file descriptors or memory to see who is asking', {
      cause, retryAfterS: 1, hint: 'Wait a second, then ask again',
    });
  }
  if (caller === null) throw new BrokerError('policy_denied', 'the asking process is gone');
  return caller;
}

/** No page of a browser may reach the socket, by whatever bridge (Fetch Metadata; the Origin header of RFC 6454). */
function refuseBrowsers(request: FastifyRequest): void {
  const names = Object.keys(request.headers);
  if (names.some((name) => name === 'origin' || name.startsWith('sec-fetch-'))) {
    throw new BrokerError('browser_refused', 'the request carries headers of a web page');
  }
}

function refuseOtherProtocols(request: FastifyRequest): void {
  // RFC 9112, section 3.2
  if (request.raw.httpVersion === '1.1' && request.headers.host === undefined) throw new BrokerError('bad_request', 'the header Host is missing');
  const asked = request.headers[PROTOCOL_HEADER];
  if (asked !== undefined && asked !== String(PROTOCOL_VERSION)) {
    throw new BrokerError('protocol_mismatch', `the daemon speaks protocol ${PROTOCOL_VERSION}, build ${BUILD_VERSION}`);
  }
}
