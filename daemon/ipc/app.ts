/**
 * The HTTP application behind the door: limits, one caller a request, one schema a body, one place for
 * errors. It never listens; the door hands it connections.
 */
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import { METHODS } from '../../shared/methods.ts';
import type { Method, MethodName } from '../../shared/methods.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Peer, Random } from '../core/ports.ts';
import { Admission } from './admission.ts';
import type { AdmissionDeps } from './admission.ts';
import { withDeadline } from './deadline.ts';
import { answerParseFailure } from './parse-failure.ts';
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
  /** Ends when the caller leaves. It may have left already. */
  readonly gone: AbortSignal;
  readonly reply: FastifyReply;
};

/** Returns the reply's body; `undefined` where it wrote to the reply itself. */
export type Handler = (ask: Ask) => Promise<unknown>;
export type Handlers = Readonly<Record<MethodName, Handler>>;

export type AppDeps = AdmissionDeps & { readonly handlers: Handlers; readonly random: Random };

const BODY_LIMIT = 65_536;
const HEADER_LIMIT = 16_384;
const REQUEST_MS = 5_000;
/** For a caller that does not read its last answer. */
const LAST_WORDS_MS = 1_000;

export type App = {
  readonly http: FastifyInstance;
  readonly take: (socket: Socket, peer: Peer) => void;
  /** Requests that are not answered yet; event streams do not count. */
  readonly busy: () => number;
  /** Ends all connections. */
  readonly end: () => void;
};

export async function createApp(deps: AppDeps): Promise<App> {
  const sockets = new Set<Socket>();
  let busy = 0;
  const admission = new Admission(deps);
  const http = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: 60_000,
    // The header Host is asked for at the admission, which says so in a problem document.
    http: { maxHeaderSize: HEADER_LIMIT, headersTimeout: REQUEST_MS, connectionsCheckingInterval: 500, requireHostHeader: false },
    // Our own answer to a request while closing is shutting_down.
    return503OnClosing: false,
    clientErrorHandler: answerParseFailure,
    frameworkErrors: (error, request, reply) => void answerUnroutable(deps, admission, error, request, reply),
    genReqId: () => deps.random.token(9),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false },
    exposeHeadRoutes: false,
  });
  http.removeContentTypeParser('text/plain');
  http.addHook('onRequest', async (request, reply) => {
    await admission.admit(request, reply);
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
          return await answer(deps, admission, method, handler, request, reply);
        } finally {
          busy -= 1;
        }
      },
    });
  }
  await http.ready();
  // Node would answer 417 by itself; RFC 9110, section 10.1.1 lets a server ignore what it does not know.
  http.server.on('checkExpectation', (request, response) => http.server.emit('request', request, response));
  // A server that never listens arms its header and request time-outs only by this event.
  http.server.emit('listening');
  return {
    http,
    take: (socket, peer) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      admission.connect(socket, peer);
      http.server.emit('connection', socket);
    },
    busy: () => busy,
    end: () => {
      for (const socket of sockets) socket.end(() => socket.destroy());
      const { signal } = new AbortController();
      void deps.clock.sleep(LAST_WORDS_MS, signal).then(() => {
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}

/** Paths that the router cannot read reach no hook and no error handler; nobody waits for this promise. */
async function answerUnroutable(deps: AppDeps, admission: Admission, error: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  try {
    const refusal = await admission.admit(request, reply).then(() => error, (cause: unknown) => cause);
    sendProblem(deps, asBrokerError(refusal), request, reply);
  } catch (cause) {
    deps.log.error('request_failed', { request: request.id }, cause);
  }
}

async function answer(deps: AppDeps, admission: Admission, method: Method, handler: Handler, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { caller, gone } = await admission.admitted(request);
  const body = parseBody(method, request.body);
  const ask = { body, params: strings(request.params), query: strings(request.query), caller, requestId: request.id, gone, reply };
  const result = await withDeadline(deps, method.timeoutMs, gone, (signal) => handler({ ...ask, signal }));
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
  // One who floods the socket must not flood the log as well, and whoever left is refused nothing.
  else if (error.code === 'too_many_requests' || error.code === 'cancelled') deps.log.debug('request_refused', { ...fields, why: error.message });
  else deps.log.info('request_refused', { ...fields, why: error.message });
  const body = problemOf(error, request.id);
  if (body.retry_after_s !== undefined) reply.header('retry-after', String(body.retry_after_s));
  return reply.status(body.status).type(PROBLEM_TYPE).send(body);
}
