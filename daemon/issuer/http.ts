/**
 * One HTTP request to an issuer, and the whole answer or a WireError: certificates verified whatever the
 * environment says, no proxy but the profile's, no redirect followed, ten seconds in all, at most 1 MiB of
 * body after decompression. undici is loaded at the first request (it takes 90 ms).
 */
import { createHash } from 'node:crypto';
import type { ReadableStream } from 'node:stream/web';
import type { Agent, Dispatcher, ProxyAgent } from 'undici';
import { BUILD_VERSION } from '../../shared/version.ts';
import type { IssuerConnection } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { refusedUrl } from './address.ts';
import { AnswerRefused, WireError } from './failures.ts';
import { secureContext, systemTrust } from './trust.ts';

const MAX_BODY_BYTES = 1_048_576;
/** Profiles come and go while the daemon lives; connections that nobody used for long make room. */
const MAX_DISPATCHERS = 64;
/** These have no body (RFC 9110, section 15). */
const WITHOUT_BODY = [204, 205, 304];
const PASSED_ON = ['content-type', 'retry-after', 'x-retry-after'];

type HttpRequest = { readonly method: 'GET' | 'POST'; readonly headers: Readonly<Record<string, string>>; readonly body: string | null };

export type Http = {
  /** Throws WireError; AnswerRefused where the URL may not be used. */
  send(connection: IssuerConnection, url: string, request: HttpRequest, signal: AbortSignal | null): Promise<Response>;
  close(): Promise<void>;
};

export function createHttp({ log, timeoutMs }: { readonly log: Log; readonly timeoutMs: number }): Http {
  const dispatchers = new Map<string, Agent | ProxyAgent>();
  let system: readonly string[] | null = null;

  async function dispatcherFor({ caPem, proxy }: IssuerConnection): Promise<Agent | ProxyAgent> {
    const undici = await import('undici');
    const key = createHash('sha256').update(JSON.stringify([caPem, proxy])).digest('base64url');
    const known = dispatchers.get(key);
    if (known !== undefined) return known;
    system ??= systemTrust(log);
    const tls = { secureContext: secureContext(system, caPem), rejectUnauthorized: true, timeout: timeoutMs };
    // No connection is used twice: an issuer that closes an idle one just as a refresh goes out leaves it unknown whether the token was spent.
    const made = proxy === null
      ? new undici.Agent({ connect: tls, pipelining: 0 })
      : new undici.ProxyAgent({ uri: proxyUrl(proxy), requestTls: tls, proxyTls: tls, pipelining: 0 });
    dispatchers.set(key, made);
    makeRoom();
    return made;
  }

  function makeRoom(): void {
    const [oldest] = dispatchers;
    if (dispatchers.size <= MAX_DISPATCHERS || oldest === undefined) return;
    dispatchers.delete(oldest[0]);
    void oldest[1].close();
  }

  return {
    async send(connection, url, request, signal) {
      const refused = refusedUrl(url, connection.allowLoopbackHttp);
      if (refused !== null) throw new AnswerRefused('as_metadata_invalid', `an endpoint of the issuer ${refused}`);
      const limit = AbortSignal.timeout(timeoutMs);
      const { origin, pathname } = new URL(url);
      const dispatcher = await dispatcherFor(connection);
      const { fetch } = await import('undici');
      let sent = false;
      let status: number | null = null;
      try {
        const answer = await fetch(url, {
          method: request.method,
          headers: { ...request.headers, 'user-agent': `valetkey/${BUILD_VERSION}` },
          body: request.body,
          redirect: 'manual',
          dispatcher: dispatcher.compose(onSending(() => { sent = true; })),
          signal: signal === null ? limit : AbortSignal.any([limit, signal]),
        });
        status = answer.status;
        const headers = PASSED_ON.flatMap((name) => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value] satisfies [string, string]];
        });
        const body = await readBody(answer.status, answer.body);
        log.debug('issuer_answered', { method: request.method, url: `${origin}${pathname}`, status });
        return new Response(body, { status, headers });
      } catch (cause) {
        log.debug('issuer_request_failed', { method: request.method, url: `${origin}${pathname}`, sent, status });
        throw new WireError(sent, status, cause);
      }
    },

    async close() {
      const open = [...dispatchers.values()];
      dispatchers.clear();
      await Promise.all(open.map((dispatcher) => dispatcher.close()));
    },
  };
}

function proxyUrl(proxy: string): string {
  if (URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol)) return proxy;
  throw new BrokerError('config_invalid', 'the proxy of the profile is not an http or https URL');
}

/** Tells when the request is about to be written: name found, TLS done, proxy passed. */
function onSending(tell: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => dispatch(options, {
    onRequestStart(controller, context) {
      tell();
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (controller, status, headers, socket) => handler.onRequestUpgrade?.(controller, status, headers, socket),
    onResponseStart: (controller, status, headers, message) => handler.onResponseStart?.(controller, status, headers, message),
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
  });
}

async function readBody(status: number, body: ReadableStream<Uint8Array> | null): Promise<Buffer<ArrayBuffer> | null> {
  if (body === null) return null;
  if (WITHOUT_BODY.includes(status) || status >= 500) {
    await body.cancel();
    return null;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw new AnswerRefused('issuer_response_invalid', 'the answer is larger than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
