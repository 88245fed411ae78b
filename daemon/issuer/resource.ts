/**
 * One request to an API with the token of a profile, and its answer as far as the caller may have it: over a connection
 * of its own to an address that was looked at, certificates verified, no redirect followed, no cookie kept, no header
 * passed on that is not on a list, nothing unpacked, and nothing in which the token stands.
 */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import { BUILD_VERSION } from '../../shared/version.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import type { ResourceAnswer, ResourceRequest, Resources } from '../core/resource-port.ts';
import type { Secret } from '../core/secret.ts';
import { wireCause } from './causes.ts';
import { openConnection } from './connect.ts';
import { AnswerRefused, WireError, WireFault } from './failures.ts';
import { MAX_HEADER_BYTES, watchAnswer } from './one-request.ts';
import { pinnedLookup, resolveByName } from './public-address.ts';
import type { Resolve } from './public-address.ts';
import { TokenSearch } from './token-search.ts';

/** What an answer tells besides its body. Not here: Set-Cookie, what belongs to a connection, and what speaks to browsers. */
const PASSED_ON = /^(?:content-type|content-language|content-disposition|content-range|etag|last-modified|date|expires|age|location|link|allow|retry-after|deprecation|sunset|www-authenticate|x-request-id|x-correlation-id|x-ratelimit-[a-z-]+|ratelimit(?:-[a-z]+)?|x-[a-z-]*page[a-z-]*|x-total-count)$/;
const PASSED_ON_MAX = 64;

export type ResourceDeps = {
  readonly log: Log;
  readonly trust: (caPem: string | null) => SecureContext;
  readonly resolve?: Resolve;
};

export function createResources({ log, trust, resolve = resolveByName }: ResourceDeps): Resources {
  return {
    async fetchResource(asked, signal) {
      const sockets: Socket[] = [];
      const stop = (): void => {
        // The outermost first: TLS over a tunnel over TLS.
        for (const socket of sockets.toReversed()) socket.destroy();
      };
      const finish = (): void => {
        signal.removeEventListener('abort', stop);
        stop();
      };
      signal.addEventListener('abort', stop);
      try {
        signal.throwIfAborted();
        const { url, connection, allowPrivate, token } = asked;
        const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
        // Behind a proxy it is the proxy that looks a name up; an address that is written is seen from here.
        const pinned = connection.proxy === null || isIP(host) !== 0 ? await unlessEnded(pinnedLookup(host, { allowPrivate, allowLoopback: connection.allowLoopbackHttp }, resolve), signal) : null;
        const socket = await openConnection(url, {
          proxy: connection.proxy, trust: () => trust(connection.caPem), ...(connection.proxy === null && pinned !== null ? { lookup: pinned.lookup } : {}),
          keep: (opened) => {
            // The error that comes after those that somebody waits for must not be nobody's.
            opened.on('error', () => {});
            sockets.push(opened);
            if (signal.aborted) stop();
          },
        });
        const answer = await send(socket, asked);
        const search = new TokenSearch(token);
        return { ...headOf(answer, search), address: connection.proxy === null ? sockets[0]?.remoteAddress ?? '' : 'proxy', chunks: chunksOf(answer, search, asked.maxBytes, { signal, finish }) };
      } catch (cause) {
        finish();
        throw translated(cause, asked, signal, log);
      }
    },
  };
}

/** A resolver takes its own time, and nothing stops it. */
async function unlessEnded<T>(waiting: Promise<T>, signal: AbortSignal): Promise<T> {
  let end: () => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    end = () => reject(signal.reason);
    signal.addEventListener('abort', end);
  });
  waiting.catch(() => undefined); // nobody waits for it any more
  try {
    signal.throwIfAborted();
    return await Promise.race([waiting, ended]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function translated(cause: unknown, { url }: Pick<ResourceRequest, 'url'>, signal: AbortSignal, log: Log): unknown {
  if (signal.aborted) return signal.reason;
  if (cause instanceof BrokerError) return cause;
  if (cause instanceof AnswerRefused) return new BrokerError(cause.code, cause.message, cause.message.includes('private network') ? { hint: 'If that is meant, say so in the profile: fetch_private = true' } : {});
  const why = wireCause(new WireError(false, null, cause));
  log.debug('resource_request_failed', { origin: url.origin, why });
  return new BrokerError('resource_unreachable', `${url.host} cannot be reached (${why})`, { reason: why, cause });
}

function send(socket: Socket, { url, method, headers, body, token }: ResourceRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Node would wait for the events of a socket that has had them all.
    if (socket.destroyed) throw new WireFault('VALETKEY_CLOSED', 'the connection closed before the request was sent');
    const asking = request({
      createConnection: () => socket, method, path: `${url.pathname}${url.search}`, setHost: false,
      headers: {
        'user-agent': `valetkey/${BUILD_VERSION}`, accept: '*/*', ...headers,
        // What was packed could not be searched.
        'accept-encoding': 'identity', connection: 'close', host: url.host, authorization: bearer(token),
        ...(body === null ? {} : { 'content-length': String(body.byteLength) }),
      },
      maxHeaderSize: MAX_HEADER_BYTES, insecureHTTPParser: false,
    });
    watchAnswer(asking, reject);
    asking.once('close', () => reject(new WireFault('VALETKEY_CLOSED', 'the connection closed before the answer')));
    asking.once('response', resolve);
    asking.end(body ?? undefined);
  });
}

/** RFC 6750, section 2.1. */
const bearer = (token: Secret): string => `Bearer ${token.reveal()}`;

function headOf(answer: IncomingMessage, search: TokenSearch): Pick<ResourceAnswer, 'status' | 'headers'> {
  const coding = (answer.headers['content-encoding'] ?? '').trim().toLowerCase();
  // RFC 9112, section 6.1: Node undoes the last of these alone.
  const transfer = (answer.headers['transfer-encoding'] ?? '').trim().toLowerCase();
  if (transfer !== '' && transfer !== 'chunked') throw refused(`it is packed for its transfer (${transfer.slice(0, 32)})`, 'packed');
  if (coding !== '' && coding !== 'identity') throw refused(`it is packed (${coding.slice(0, 32)}), though it was asked for as it is`, 'packed');
  return { status: answer.statusCode ?? 0, headers: passedOn(answer.headersDistinct, search) };
}

function passedOn(headers: NodeJS.Dict<string[]>, search: TokenSearch): ResourceAnswer['headers'] {
  const kept = Object.entries(headers).flatMap(([name, values]) => (PASSED_ON.test(name) && values !== undefined ? [[name, values] as const] : [])).slice(0, PASSED_ON_MAX);
  if (kept.some(([, values]) => values.some((value) => search.isIn(value)))) throw refused('the token stands in its headers', 'token');
  return Object.fromEntries(kept.map(([name, values]) => [name, values.length === 1 ? values[0] ?? '' : values]));
}

async function* chunksOf(answer: IncomingMessage, search: TokenSearch, maxBytes: number, { signal, finish }: { readonly signal: AbortSignal; readonly finish: () => void }): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (size > maxBytes) throw refused(`it is larger than ${maxBytes} bytes`, 'too_large');
      const clean = search.next(chunk);
      if (clean === null) throw refused('the token stands in it', 'token');
      if (clean.byteLength > 0) yield clean;
    }
    const rest = search.end();
    if (rest.byteLength > 0) yield rest;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw cause instanceof BrokerError ? cause : new BrokerError('resource_unreachable', 'the answer broke off', { reason: wireCause(new WireError(true, answer.statusCode ?? null, cause)), cause });
  } finally {
    finish();
  }
}

function refused(why: string, reason: string): BrokerError {
  return new BrokerError('resource_answer_refused', `the answer may not be passed on: ${why}`, { reason });
}

