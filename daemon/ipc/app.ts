/**
 * The HTTP application behind the door: limits, refusal of browsers, one caller a request, one schema a
 * body, one place for errors. It never listens; the door hands it connections.
 */
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import { METHODS } from '../../shared/methods.ts';
import type { Method, MethodName } from '../../shared/methods.ts';
import { BUILD_HEADER, BUILD_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/version.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Callers, Clock, Log, Peer, Random } from '../core/ports.ts';
import { Buckets } from './bucket.ts';
import type { BucketLimits } from './bucket.ts';
import { withDeadline } from './deadline.ts';
import { parseBody } from './parse.ts';
import { asBrokerError, PROBLEM_TYPE, problemOf } from './problem.ts';

export type Ask = {
  /** Valid by the method's schema; null where it has none. */
  readonly body: unknown;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly caller: Caller;
  readonly requestId: string;
  /** Ends when the caller leaves or the method's time is over. */
  readonly signal: AbortSignal;
  readonly reply: FastifyReply;
};

/** Returns the reply's body; `undefined` where it wrote to the reply itself. */
export type Handler = (ask: Ask) => Promise<unknown>;
export type Handlers = Readonly<Record<MethodName, Handler>>;

export type AppDeps = {
  readonly handlers: Handlers;
  readonly callers: Callers;
  readonly limits: () => BucketLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly isStopping: () => boolean;
};

const BODY_LIMIT = 65_536;
const HEADER_LIMIT = 16_384;
const REQUEST_MS = 5_000;

export type App = {
  readonly http: FastifyInstance;
  readonly take: (socket: Socket, peer: Peer) => void;
  /** Requests that are not answered yet; event streams do not count. */
  readonly busy: () => number;
  /** Ends all connections. */
  readonly end: () => void;
};

export async function createApp(deps: AppDeps): Promise<App> {
  const callers = new WeakMap<Socket, Promise<Caller | null>>();
  const sockets = new Set<Socket>();
  let busy = 0;
  const buckets = new Buckets(deps.limits, () => deps.clock.boottimeMs());
  const http = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: 60_000,
    http: { maxHeaderSize: HEADER_LIMIT, headersTimeout: REQUEST_MS, connectionsCheckingInterval: 500 },
    genReqId: () => deps.random.token(9),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false },
    exposeHeadRoutes: false,
  });
  http.removeContentTypeParser('text/plain');
  http.addHook('onRequest', async (request, reply) => {
    reply.headers({ [PROTOCOL_HEADER]: String(PROTOCOL_VERSION), [BUILD_HEADER]: BUILD_VERSION, 'cache-control': 'no-store' });
    refuseBrowsers(request);
    if (deps.isStopping()) throw new BrokerError('shutting_down', 'the daemon is shutting down');
  });
  http.setErrorHandler((error, request, reply) => sendProblem(deps, asBrokerError(error), request, reply));
  http.setNotFoundHandler((request, reply) => sendProblem(deps, unknownRoute(request), request, reply));
  for (const [name, method] of Object.entries<Method>(METHODS)) {
    const handler = Object.entries(deps.handlers).find(([key]) => key === name)?.[1];
    if (handler === undefined) throw new Error(`method ${name} has no handler`);
    http.route({
      method: method.verb,
      url: method.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async (request, reply) => {
        busy += 1;
        try {
          return await answer(deps, method, handler, buckets, callers, request, reply);
        } finally {
          busy -= 1;
        }
      },
    });
  }
  await http.ready();
  // A server that never listens arms its header and request time-outs only by this event.
  http.server.emit('listening');
  return {
    http,
    take: (socket, peer) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      callers.set(socket, deps.callers.attest(peer).catch((cause: unknown) => {
        deps.log.error('attest_failed', { pid: peer.pid }, cause);
        return null;
      }));
      http.server.emit('connection', socket);
    },
    busy: () => busy,
    end: () => {
      for (const socket of sockets) socket.end(() => socket.destroy());
    },
  };
}

async function answer(
  deps: AppDeps, method: Method, handler: Handler, buckets: Buckets, callers: WeakMap<Socket, Promise<Caller | null>>,
  request: FastifyRequest, reply: FastifyReply,
): Promise<unknown> {
  const caller = await callers.get(request.raw.socket);
  if (caller === undefined || caller === null) throw new BrokerError('policy_denied', 'the asking process is gone');
  if (!buckets.take(`${caller.pid}/${caller.startTime}`)) {
    throw new BrokerError('too_many_requests', `process ${caller.pid} asks too often`, { retryAfterS: 1 });
  }
  const body = parseBody(method, request.body);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort(new BrokerError('cancelled', 'the caller left')));
  const ask = { body, params: strings(request.params), query: strings(request.query), caller, requestId: request.id, reply };
  const result = await withDeadline(deps.clock, method.timeoutMs, gone.signal, (signal) => handler({ ...ask, signal }));
  deps.log.debug('request', { request: request.id, route: `${method.verb} ${method.path}`, pid: caller.pid });
  return result === undefined ? reply : result;
}

/** Only flat strings; a repeated query key is refused, not guessed. */
function strings(given: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(typeof given === 'object' && given !== null ? given : {});
  for (const [key, value] of entries) {
    if (typeof value !== 'string') throw new BrokerError('bad_request', `the query names ${key.slice(0, 32)} more than once`);
  }
  return Object.fromEntries(entries);
}

/** No page of a browser may reach the socket, by whatever bridge (Fetch Metadata; the Origin header of RFC 6454). */
function refuseBrowsers(request: FastifyRequest): void {
  const names = Object.keys(request.headers);
  if (names.some((name) => name === 'origin' || name.startsWith('sec-fetch-'))) {
    throw new BrokerError('browser_refused', 'the request carries headers of a web page');
  }
  const asked = request.headers[PROTOCOL_HEADER];
  if (asked !== undefined && asked !== String(PROTOCOL_VERSION)) {
    throw new BrokerError('protocol_mismatch', `the daemon speaks protocol ${PROTOCOL_VERSION}, build ${BUILD_VERSION}`);
  }
}

function unknownRoute(request: FastifyRequest): BrokerError {
  const path = request.url.split('?')[0] ?? '';
  const known = Object.values<Method>(METHODS).filter((m) => new RegExp(`^${m.path.replaceAll(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`).test(path));
  return known.length === 0
    ? new BrokerError('not_found', 'there is no such path')
    : new BrokerError('method_not_allowed', `this path takes ${known.map((m) => m.verb).join(', ')}`);
}

function sendProblem(deps: AppDeps, error: BrokerError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const fields = { request: request.id, code: error.code, route: `${request.method} ${request.routeOptions.url ?? 'unknown'}` };
  if (error.code === 'internal') deps.log.error('request_failed', fields, error.facts.cause);
  else deps.log.info('request_refused', { ...fields, why: error.message });
  const body = problemOf(error, request.id);
  if (body.retry_after_s !== undefined) reply.header('retry-after', String(body.retry_after_s));
  return reply.status(body.status).type(PROBLEM_TYPE).send(body);
}
