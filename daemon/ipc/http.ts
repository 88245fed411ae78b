/**
 * The HTTP dialect: fastify behind the door, with its limits, and one place for errors. It never listens; it
 * is handed connections. Loaded with the first of them, since fastify takes more memory than all the rest.
 */
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { METHODS } from '../../shared/methods.ts';
import type { Method } from '../../shared/methods.ts';
import { BUILD_HEADER, BUILD_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/version.ts';
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import type { Admission } from './admission.ts';
import type { Connection, Connections } from './connections.ts';
import { LEFT } from './deadline.ts';
import type { Dispatch, RequestId, Route, Sink } from './dispatch.ts';
import { encodeReply, PlainText } from './encode.ts';
import { openBytes } from './open-bytes.ts';
import { answerParseFailure } from './parse-failure.ts';
import { PROBLEM_TYPE } from './problem.ts';
import type { Turn } from './turn.ts';

export type HttpDeps = {
  readonly admission: Admission;
  readonly dispatch: Dispatch;
  readonly connections: Pick<Connections, 'isOne'>;
  readonly turn: Turn;
  readonly log: Log;
};

export type Http = {
  /** The socket has been read up to here; what was read is put back before. */
  readonly take: (connection: Connection) => void;
  /** Takes no more requests; resolves when the last one is answered. */
  readonly close: () => Promise<unknown>;
};

const BODY_LIMIT = 65_536;
const HEADER_LIMIT = 16_384;
const REQUEST_MS = 5_000;
const UNREAD_BYTES = 65_536;

const HEADERS = { [PROTOCOL_HEADER]: String(PROTOCOL_VERSION), [BUILD_HEADER]: BUILD_VERSION, 'cache-control': 'no-store' };
const JSON_TYPE = 'application/json; charset=utf-8';
const NOTHING: Readonly<Record<string, string>> = {};

/** What belongs to a request besides what fastify knows. `before`: the answer before its own on this connection, which has not left yet; null: there is none. */
type Call = { readonly connection: Connection; readonly id: RequestId; readonly before: ServerResponse | null };

export async function createHttp(deps: HttpDeps): Promise<Http> {
  const { admission, dispatch, log } = deps;
  const connections = new WeakMap<Socket, Connection>();
  const latest = new WeakMap<Connection, ServerResponse>();
  const calls = new WeakMap<FastifyRequest, Call>();
  const callOf = (request: FastifyRequest): Call => {
    const connection = connections.get(request.raw.socket);
    if (connection === undefined) throw new BrokerError('internal', 'a request came by no door');
    const known = calls.get(request);
    if (known !== undefined) return known;
    const before = latest.get(connection);
    // One that has left is let go of: a chain of them would outlive every collection of the young.
    const call = { connection, id: dispatch.newRequestId(), before: before === undefined || before.closed ? null : before };
    calls.set(request, call);
    return call;
  };
  const sendProblem = (cause: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const body = dispatch.problem(cause, `${request.method} ${request.routeOptions.url ?? 'unknown'}`, callOf(request).id);
    if (body.retry_after_s !== undefined) reply.header('retry-after', String(body.retry_after_s));
    return reply.status(body.status).type(PROBLEM_TYPE).send(body);
  };
  const admitAs = (caller: Caller, request: FastifyRequest): void => {
    admission.admit(caller);
    refuseBrowsers(request);
    refuseOtherProtocols(request);
    admission.refuseWhileStopping();
  };
  /** Throws, or rejects, with why not. It waits only where the caller is still being looked at. */
  const admit = (request: FastifyRequest, reply: FastifyReply): void | Promise<void> => {
    reply.headers(HEADERS);
    const { connection } = callOf(request);
    latest.set(connection, reply.raw);
    if (!(connection.caller instanceof Promise)) return admitAs(connection.caller, request);
    return connection.caller.then((caller) => admitAs(caller, request), (cause: unknown) => {
      reply.header('connection', 'close');
      throw cause;
    });
  };
  /** Paths that the router cannot read reach no hook and no error handler; nobody waits for this promise. */
  const answerUnroutable = async (unroutable: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    try {
      const refusal = await Promise.resolve().then(() => admit(request, reply)).then(() => unroutable, (cause: unknown) => cause);
      sendProblem(refusal, request, reply);
    } catch (cause) {
      log.error('request_failed', { request: callOf(request).id.text }, cause);
    }
  };
  const http: FastifyInstance = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: 60_000,
    // The header Host is asked for at the admission, which says so in a problem document.
    http: { maxHeaderSize: HEADER_LIMIT, headersTimeout: REQUEST_MS, connectionsCheckingInterval: 500, requireHostHeader: false },
    // Our own answer to a request while closing is shutting_down.
    return503OnClosing: false,
    clientErrorHandler: answerParseFailure,
    frameworkErrors: (unroutable, request, reply) => void answerUnroutable(unroutable, request, reply),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false },
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  });
  http.removeContentTypeParser('text/plain');
  http.addHook('onRequest', (request, reply, done) => {
    const admitted = admit(request, reply);
    if (admitted === undefined) done();
    return admitted;
  });
  http.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  http.setNotFoundHandler((request, reply) => sendProblem(unknownRoute(request), request, reply));
  for (const route of dispatch.routes.values()) {
    http.route({
      method: route.method.verb,
      url: route.method.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: (request, reply) => answer(deps, route, callOf(request), request, reply),
    });
  }
  await http.ready();
  // Node would answer 417 by itself; RFC 9110, section 10.1.1 lets a server ignore what it does not know.
  http.server.on('checkExpectation', (request, response) => http.server.emit('request', request, response));
  // A server that never listens arms its header and request time-outs only by this event.
  http.server.emit('listening');
  return {
    take: (connection) => {
      connections.set(connection.socket, connection);
      http.server.emit('connection', connection.socket);
    },
    close: () => http.close(),
  };
}

/** Input is parsed by our own schemas; without this fastify loads two compilers for its own, of 2 MB. */
function noSchemas(): never {
  throw new Error('no route has a schema of fastify');
}

/**
 * Requests that were sent without waiting are taken one after the other (RFC 9112, section 9.3.2): an answer that was
 * made beforehand would wait in line for the one before it, and leave to whatever the caller has become by then.
 */
async function inTurn(connection: Connection, before: ServerResponse): Promise<void> {
  await new Promise((resolve) => before.once('close', resolve));
  if (connection.gone.signal.aborted) throw connection.gone.signal.reason;
}

/** What has nothing to wait for is answered at once, or with what others ask in the same turn. */
function answer({ dispatch, connections, turn }: HttpDeps, route: Route, { connection, id, before }: Call, request: FastifyRequest, reply: FastifyReply): unknown {
  const { caller, gone } = connection;
  const run = (by: Caller): unknown => {
    const result = dispatch.run(route, {
      body: request.body, params: strings(request.params), query: strings(request.query), caller: by, gone,
      openStream: () => {
        connection.isStream = true;
        return openStream(request, reply);
      },
      openBytes: (head) => openBytes(reply, head, gone),
    }, id);
    return result instanceof Promise ? result.then((value: unknown) => send(reply, value)) : send(reply, result);
  };
  if (before !== null && !before.closed) return inTurn(connection, before).then(() => caller).then(run);
  if (caller instanceof Promise) return caller.then(run);
  if (connections.isOne) return run(caller);
  return new Promise((resolve, reject) => {
    turn.add({
      take() {
        try {
          if (connection.hasLeft) throw LEFT;
          resolve(run(caller));
        } catch (cause) {
          reject(cause);
        }
      },
    });
  });
}

function send(reply: FastifyReply, result: unknown): FastifyReply {
  if (result === undefined) return reply;
  if (result instanceof PlainText) return reply.type(result.type).send(result.text);
  return reply.type(JSON_TYPE).send(encodeReply(result));
}

/** Server-sent events. */
function openStream(request: FastifyRequest, reply: FastifyReply): Sink {
  reply.hijack();
  const { raw } = reply;
  const headers = Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
  raw.on('error', () => undefined); // the socket fails as well, and the door logs that
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8' });
  raw.write(': open\n\n');
  return {
    send(event) {
      // The connection, not the response: one that waits behind another response has no socket to lose.
      if (raw.writableLength > UNREAD_BYTES) request.raw.socket.destroy();
      else raw.write(`event: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
    },
  };
}

/** Only flat strings; a repeated query key is refused, not guessed. */
function strings(given: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(typeof given === 'object' && given !== null ? given : {});
  if (entries.length === 0) return NOTHING;
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

/** Dots, and not only numbers between them. */
const DNS_NAME = /^(?!\d+\.\d+\.\d+\.\d+(?::|$))[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?(?::\d+)?$/i;

/**
 * No page of a browser may reach the socket, by whatever bridge (Fetch Metadata; the Origin header of RFC 6454). A GET of
 * a page at http://name:port has neither header where that name was turned to this machine (DNS rebinding): but it has
 * that name, and nobody who opens a socket by its path has one.
 */
function refuseBrowsers({ headers }: FastifyRequest): void {
  if (DNS_NAME.test(headers.host ?? '') || Object.keys(headers).some((name) => name === 'origin' || name.startsWith('sec-fetch-'))) {
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
