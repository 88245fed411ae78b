/**
 * An API's base URL for a program that takes nothing but one: each request goes to the daemon, which sends it with the
 * token of the profile, and the answer comes back as it is. Neither the program nor this process has the token.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FetchRequest } from '../../shared/fetch-schemas.ts';
import { FETCH_HEADERS } from '../../shared/fetch-headers.ts';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { DaemonLink } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { demandOwn, refused } from './own-requests.ts';

export type ProxyDeps = {
  readonly fetch: DaemonLink['fetch'];
  readonly profile: Pick<ProfileView, 'name' | 'fetch_headers'>;
  /** Where its API is; the path of a request is that of the API. */
  readonly origin: string;
  readonly key: string;
  /** What Host has to be; null: a socket has no name. */
  readonly host: () => string | null;
  /** Whether the connection is the program's. */
  readonly isOwn: (request: IncomingMessage) => boolean;
  /** What the person should know; the same thing comes once. */
  readonly warn: (text: string) => void;
};

/** The whole request of the daemon's socket has 64 KiB, and base64 takes a third more. */
const BODY_MAX = 46_000;
/** A program that makes up names for its headers fills neither this memory nor the screen. */
const WARNINGS_MAX = 64;
/** What a daemon allows at most; a stream of events lasts. */
const TIMEOUT_S = 300;
const ANSWER_MAX = 1_073_741_824;
/** About the connection, or put there by who sends it on (RFC 9110, section 7.6.1). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding', 'keep-alive', 'te', 'upgrade', 'proxy-connection', 'expect', 'authorization', 'x-api-key', 'api-key', 'x-goog-api-key',
  'sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-dest',
]);
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** Of the daemon's answer; the rest is the API's. */
const NOT_OF_THE_API = /^(?:connection|keep-alive|transfer-encoding|valetkey-.*)$/;

export function createProxy(deps: ProxyDeps): RequestListener {
  const said = new Set<string>();
  const warn = (text: string): void => {
    if (said.has(text) || said.size >= WARNINGS_MAX) return;
    said.add(text);
    deps.warn(text);
  };
  return (request, response) => void answer({ ...deps, warn }, request, response);
}

async function answer(deps: ProxyDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const left = new AbortController();
  response.once('close', () => left.abort(new Error('the program left')));
  try {
    if (!deps.isOwn(request)) throw refused('the connection is of no process that this run has started', 'process');
    demandOwn(request.headers, deps.key, deps.host());
    await pass(await deps.fetch(await wantedOf(deps, request), left.signal), response);
  } catch (error) {
    if (left.signal.aborted) return;
    if (response.headersSent) response.destroy();
    else tell(deps, response, error);
  }
}

async function wantedOf({ profile, origin, warn }: ProxyDeps, request: IncomingMessage): Promise<FetchRequest> {
  const { url: path = '', headers } = request;
  const method = METHODS.find((each) => each === request.method);
  if (method === undefined) throw refused(`the method is none of ${METHODS.join(', ')}`, 'request');
  // Else it would be another host's.
  if (!path.startsWith('/') || !URL.canParse(`${origin}${path}`)) throw refused('what is asked for is no path', 'request');
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (OWN_HEADERS.has(name) || value === undefined) continue;
    if (FETCH_HEADERS.has(name) || profile.fetch_headers.includes(name)) kept[name] = String(value);
    else warn(`The header ${name} is not sent on; if the API needs it: fetch_headers of the profile ${profile.name}`);
  }
  return { profile: profile.name, url: `${origin}${path}`, method, headers: kept, ...(await bodyOf(request)), timeout_s: TIMEOUT_S, max_bytes: ANSWER_MAX };
}

async function bodyOf(request: IncomingMessage): Promise<Pick<FetchRequest, 'body' | 'body_base64'>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > BODY_MAX) throw ValetkeyError.local('payload_too_large', `the body is larger than ${BODY_MAX} bytes`, { hint: 'Larger ones need a token: valetkey run --env NAME=PROFILE' });
    chunks.push(chunk);
  }
  if (size === 0) return {};
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? { body: text } : { body_base64: bytes.toString('base64') };
}

async function pass(answered: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = Object.entries(answered.headersDistinct).filter(([name]) => !NOT_OF_THE_API.test(name));
  response.writeHead(answered.statusCode ?? 502, Object.fromEntries(headers.map(([name, values]) => [name, values ?? []])));
  // A daemon that cuts the answer off cuts it off here as well.
  await pipeline(answered, response);
}

/** As the daemon answers: a problem document (RFC 9457). */
function tell({ warn, profile }: ProxyDeps, response: ServerResponse, error: unknown): void {
  const problem = error instanceof ValetkeyError ? error : ValetkeyError.local('internal', 'the request could not be sent on', { cause: error });
  warn(`A request for ${profile.name} was not sent: ${problem.detail} (${problem.code}). ${problem.hint}`);
  const retry = problem.retryAfterS === null ? {} : { 'retry-after': String(problem.retryAfterS) };
  // What is left of a body that nobody reads would be taken for the next request.
  response.writeHead(problem.status, { 'content-type': 'application/problem+json', 'cache-control': 'no-store', connection: 'close', ...retry });
  response.end(JSON.stringify(problem));
}
