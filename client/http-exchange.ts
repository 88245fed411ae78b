/**
 * One HTTP exchange over a Unix socket. The reply has a size limit and must name the protocol version;
 * a problem document is thrown as ValetkeyError.
 */
import { request as httpRequest } from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { PROTOCOL_HEADER, PROTOCOL_VERSION, BUILD_HEADER, BUILD_VERSION } from '../shared/version.ts';
import { ANSWERED_BY } from '../shared/answered-by.ts';
import { parseProblem, ValetkeyError } from './valetkey-error.ts';

export type Verb = 'GET' | 'POST' | 'DELETE';

export type Exchange = {
  readonly socket: string;
  readonly verb: Verb;
  readonly path: string;
  /** JSON body; null sends none. */
  readonly body: object | null;
  readonly signal: AbortSignal;
  /** Neither says which protocol is spoken here nor looks at the other's. */
  readonly anyProtocol: boolean;
};

const REPLY_MAX = 4 * 1024 * 1024;

function send(agent: Agent | false, exchange: Exchange, accept: string): ClientRequest {
  const payload = exchange.body === null ? null : Buffer.from(JSON.stringify(exchange.body));
  const content = payload === null
    ? (exchange.verb === 'POST' ? { 'content-length': 0 } : {})
    : { 'content-type': 'application/json', 'content-length': payload.length };
  const request = httpRequest({
    socketPath: exchange.socket,
    method: exchange.verb,
    path: exchange.path,
    agent,
    signal: exchange.signal,
    headers: { host: 'valetkey', accept, ...(exchange.anyProtocol ? {} : { [PROTOCOL_HEADER]: PROTOCOL_VERSION }), ...content },
  });
  // Handed over in one piece, else headers and body go out as two packets.
  request.end(payload ?? undefined);
  return request;
}

/** The daemon closed an idle connection just as it was used again: it never saw the request. */
function wasStale(request: ClientRequest, error: unknown): boolean {
  return request.reusedSocket && error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

async function firstAnswer(agent: Agent, exchange: Exchange): Promise<IncomingMessage> {
  const request = send(agent, exchange, 'application/json, application/problem+json');
  try {
    return await whenAnswered(request);
  } catch (error) {
    if (!wasStale(request, error)) throw error;
    // On a connection of its own: where the daemon was killed, or is being replaced, all that were kept are as dead as this one.
    return whenAnswered(send(false, exchange, 'application/json, application/problem+json'));
  }
}

function whenAnswered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
}

function checkProtocol(response: IncomingMessage): void {
  const spoken = response.headers[PROTOCOL_HEADER];
  if (spoken === String(PROTOCOL_VERSION)) return;
  response.destroy();
  if (spoken === undefined) throw ValetkeyError.local('protocol_mismatch', 'what answers on the socket does not name a protocol version');
  const build = String(response.headers[BUILD_HEADER]);
  const isOlder = Number(spoken) > PROTOCOL_VERSION;
  throw ValetkeyError.local('protocol_mismatch', `client ${BUILD_VERSION} speaks protocol ${PROTOCOL_VERSION}, daemon ${build} speaks ${String(spoken)}`, {
    hint: isOlder ? `This client is the older one: use, or install, that of ${build}` : 'Run: valetkey daemon upgrade',
  });
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop destroys the response, and with it the connection.
    if (size > REPLY_MAX) throw ValetkeyError.local('protocol_mismatch', `the reply is larger than ${REPLY_MAX} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw ValetkeyError.local('protocol_mismatch', `the reply is not JSON (HTTP status ${response.statusCode})`, { cause });
  }
}

/** @returns the decoded body of a reply with a 2xx status. */
export async function exchangeJson(agent: Agent, exchange: Exchange): Promise<unknown> {
  const response = await firstAnswer(agent, exchange);
  if (!exchange.anyProtocol) checkProtocol(response);
  return acceptedBody(response, await readJson(response));
}

function acceptedBody(response: IncomingMessage, body: unknown): unknown {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return body;
  const problem = parseProblem(body);
  throw problem === null
    ? ValetkeyError.local('protocol_mismatch', `HTTP status ${status} without a problem document`)
    : new ValetkeyError(problem);
}

/** The answer of an API, whatever its status: the caller reads it and destroys it. What the daemon itself answers is thrown. */
export async function exchangeFetch(exchange: Exchange): Promise<IncomingMessage> {
  const response = await whenAnswered(send(false, exchange, '*/*'));
  checkProtocol(response);
  if (response.headers[ANSWERED_BY] === undefined) acceptedBody(response, await readJson(response));
  return response;
}

/** A reply that goes on: the caller reads it and destroys it. It has a connection of its own. */
export async function exchangeStream(exchange: Exchange): Promise<IncomingMessage> {
  const response = await whenAnswered(send(false, exchange, 'text/event-stream'));
  checkProtocol(response);
  if (response.statusCode !== 200) acceptedBody(response, await readJson(response));
  return response;
}
