/**
 * One HTTP request to an issuer, and the whole answer or a WireError: certificates verified whatever the
 * environment says, no proxy but the profile's, no redirect followed, ten seconds from the name to the last
 * byte (or, where a lost answer would cost a sign-in, to the first byte that is sent), at most 1 MiB of body after decompression. No connection is used twice: an issuer that closes an idle
 * one just as a refresh goes out leaves it unknown whether the token was spent.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { BUILD_VERSION } from '../../shared/version.ts';
import type { IssuerConnection } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { refusedUrl } from './address.ts';
import { chain } from './causes.ts';
import { openConnection } from './connect.ts';
import { AnswerRefused, WireError } from './failures.ts';
import { sendOn } from './one-request.ts';
import type { HttpRequest } from './one-request.ts';
import { pinnedLookup, resolveByName } from './public-address.ts';
import type { Resolve } from './public-address.ts';
import { secureContext, systemTrust } from './trust.ts';

/** Profiles come and go while the daemon lives; what is trusted for one that nobody used for long makes room. */
const MAX_CONTEXTS = 16;
/** As a person writes them who means this machine. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1'];

/** Takes a byte order mark away, which JSON.parse() would choke on. */
const utf8 = new TextDecoder();

export type HttpAnswer = {
  readonly status: number;
  /** Null: it did not come. */
  readonly header: (name: 'content-type' | 'retry-after' | 'x-retry-after' | 'date' | 'age' | 'www-authenticate') => string | null;
  readonly body: string;
};

/** For a request that may be sent once only. */
export type SendingTerms = {
  /** How long the answer is waited for once the request is sent; default: as long as the whole exchange may take. */
  readonly patienceMs?: number;
  /** Awaited when the connection stands, before a byte is sent; where it throws nothing is. */
  readonly onConnected?: () => Promise<void>;
};

export type Http = {
  /** Throws WireError; AnswerRefused where the URL may not be used. */
  send(connection: IssuerConnection, url: string, request: HttpRequest, signal: AbortSignal | null, terms?: SendingTerms): Promise<HttpAnswer>;
  /** Of the system's store and these certificates. */
  trust(caPem: string | null): SecureContext;
  /** Waits for what is under way, which may be a refresh. */
  close(): Promise<void>;
};

export function createHttp({ log, timeoutMs, resolve = resolveByName }: { readonly log: Log; readonly timeoutMs: number; readonly resolve?: Resolve }): Http {
  const contexts = new Map<string, SecureContext>();
  const underWay = new Set<Promise<unknown>>();
  let system: readonly string[] | null = null;

  /** The system's store is parsed once for each CA, as that takes some 30 ms. */
  function trustOf(caPem: string | null): SecureContext {
    const key = createHash('sha256').update(caPem ?? '').digest('base64url');
    const known = contexts.get(key);
    if (known !== undefined) return known;
    system ??= systemTrust(log);
    const made = secureContext(system, caPem);
    contexts.set(key, made);
    const [oldest] = contexts.keys();
    if (contexts.size > MAX_CONTEXTS && oldest !== undefined) contexts.delete(oldest);
    return made;
  }

  async function exchange(connection: IssuerConnection, url: URL, request: HttpRequest, signal: AbortSignal | null, { patienceMs = timeoutMs, onConnected }: SendingTerms): Promise<HttpAnswer> {
    const logged = { method: request.method, url: `${url.origin}${url.pathname}` };
    let sent = false;
    const ends = endsOf([AbortSignal.timeout(patienceMs), ...(signal === null ? [] : [signal])], { early: AbortSignal.timeout(timeoutMs), holds: () => !sent });
    let status: number | null = null;
    const answered = async (): Promise<HttpAnswer> => {
      const headers = { ...request.headers, 'user-agent': `valetkey/${BUILD_VERSION}` };
      const lookup = connection.publicOnly === true ? await publicLookup(url, connection, resolve) : null;
      const socket = await openConnection(url, { proxy: connection.proxy, trust: () => trustOf(connection.caPem), keep: ends.keep, ...(lookup === null ? {} : { lookup }) });
      await onConnected?.();
      const answer = await sendOn(socket, url, { ...request, headers }, () => { sent = true; });
      status = answer.status;
      const body = await answer.read();
      log.debug('issuer_answered', { ...logged, status });
      return { status: answer.status, header: (name) => [answer.headers[name] ?? null].flat()[0] ?? null, body: utf8.decode(body) };
    };
    try {
      return await Promise.race([answered(), ends.ended]);
    } catch (cause) {
      // Of the configuration, that is; a caller's signal may give one as its reason.
      if (cause instanceof BrokerError && ends.reason() === null) throw cause;
      log.debug('issuer_request_failed', { ...logged, sent, status, why: cleanText([...chain(cause)].at(-1)?.message ?? '') });
      throw new WireError(sent, status, ends.reason() ?? cause);
    } finally {
      ends.finish();
    }
  }

  return {
    async send(connection, url, request, signal, terms = {}) {
      const refused = refusedUrl(url, connection.allowLoopbackHttp);
      if (refused !== null) throw new AnswerRefused('as_metadata_invalid', `an endpoint of the issuer ${refused}`);
      const running = exchange(connection, new URL(url), request, signal, terms);
      underWay.add(running);
      try {
        return await running;
      } finally {
        underWay.delete(running);
      }
    },
    trust: trustOf,
    async close() {
      await Promise.allSettled(underWay);
    },
  };
}

/** RFC 9728, section 7.7. Behind a proxy it is the proxy that looks a name up; an address that is written is seen from here. @throws AnswerRefused */
async function publicLookup({ hostname }: URL, { proxy, allowLoopbackHttp }: IssuerConnection, resolve: Resolve): Promise<LookupFunction | null> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (proxy !== null && isIP(host) === 0) return null;
  const { lookup } = await pinnedLookup(host, { allowPrivate: false, allowLoopback: allowLoopbackHttp && LOOPBACK.includes(host) }, resolve);
  return proxy === null ? lookup : null;
}

/** What ends one exchange from outside: the time, the caller's signal, and as long as it holds the early end. All its sockets end with it. */
function endsOf(signals: readonly AbortSignal[], { early, holds }: { readonly early: AbortSignal; readonly holds: () => boolean }): {
  readonly keep: (socket: Socket) => void;
  /** Rejects at the end from outside, whatever node's events do; never resolves. */
  readonly ended: Promise<never>;
  readonly reason: () => unknown;
  readonly finish: () => void;
} {
  const sockets: Socket[] = [];
  let tooEarly: unknown = null;
  const reason = (): unknown => signals.find(({ aborted }) => aborted)?.reason ?? tooEarly;
  let end: (why: unknown) => void = () => {};
  const ended = new Promise<never>((_resolve, reject) => { end = reject; });
  const stop = (): void => {
    end(reason());
    // The outermost first: TLS over a tunnel over TLS.
    for (const socket of sockets.toReversed()) socket.destroy();
  };
  const stopEarly = (): void => {
    if (!holds()) return;
    tooEarly = early.reason;
    stop();
  };
  for (const each of signals) each.addEventListener('abort', stop);
  early.addEventListener('abort', stopEarly);
  if (reason() !== null) stop();
  return {
    ended,
    keep(socket) {
      // Whoever waits for this socket hears of its errors; the one that comes after them must not be nobody's.
      socket.on('error', () => {});
      sockets.push(socket);
      if (reason() !== null) stop();
    },
    reason,
    finish() {
      for (const each of signals) each.removeEventListener('abort', stop);
      early.removeEventListener('abort', stopEarly);
      for (const socket of sockets.toReversed()) socket.destroy();
    },
  };
}
