/**
 * fetch with the profile's token, for the profile's resource only. The token goes to no other origin: not by
 * the first URL, and not by a redirect, since redirects are followed here and not by the platform.
 */
import { readStepUpDemand } from '../shared/challenge.ts';
import { loginBudget } from './step-up.ts';
import type { LoginBudget } from './step-up.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type TokenSource = {
  /** A token that is good now; `refused` is one that the resource has just answered with 401. */
  token(refused: string | null, signal: AbortSignal | null): Promise<string>;
  /** A token that meets the challenge of the resource that refused this one (RFC 9470); null: nobody may be asked to sign in. */
  stepUp(challenge: string, refused: string, budget: LoginBudget, signal: AbortSignal | null): Promise<string | null>;
  /** Origins that may see the token. */
  origins(signal: AbortSignal | null): Promise<ReadonlySet<string>>;
};

type Fetch = typeof globalThis.fetch;

const REDIRECTS_MAX = 20;
/** A resource that is never content is not asked for ever. */
const STEP_UPS_MAX = 2;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * The origin of a resource, as far as a token may be sent there: https, or http on this machine
 * (RFC 6750, section 5.3: no bearer token without TLS). Null for other URIs, such as `api://…`.
 */
export function tokenOrigin(resource: string): string | null {
  const url = URL.canParse(resource) ? new URL(resource) : null;
  if (url === null) return null;
  const loopback = url.hostname === '127.0.0.1' || url.hostname === '[::1]' || url.hostname === 'localhost';
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback) ? url.origin : null;
}

/** A body that can be sent a second time. Streams cannot. */
function isReplayable(body: RequestInit['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || body instanceof URLSearchParams
    || body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof Blob || body instanceof FormData;
}

type Hop = { readonly url: URL; readonly init: RequestInit };

/** The body of a Request is a stream, which can be read once: it is read here, so that it can be sent again. */
async function firstHop(input: Parameters<Fetch>[0], init: RequestInit): Promise<Hop> {
  if (!(input instanceof Request)) return { url: new URL(input), init };
  const { method, headers, signal, redirect } = input;
  const isOwn = input.body !== null && init.body === undefined;
  const own = { method, headers, signal, redirect, ...(isOwn ? { body: await input.arrayBuffer() } : {}) };
  return { url: new URL(input.url), init: { ...own, ...init } };
}

/** The next hop by the Fetch standard, section 4.4 (HTTP-redirect fetch). */
function nextHop({ url, init }: Hop, response: Response, location: string): Hop {
  const target = new URL(location, url);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw new TypeError('redirect to a URL that is not HTTP');
  const method = (init.method ?? 'GET').toUpperCase();
  const headers = new Headers(init.headers);
  if (target.origin !== url.origin) for (const name of ['authorization', 'cookie', 'proxy-authorization']) headers.delete(name);
  const becomesGet = (response.status === 303 && method !== 'GET' && method !== 'HEAD')
    || ((response.status === 301 || response.status === 302) && method === 'POST');
  if (!becomesGet) {
    if (!isReplayable(init.body)) throw new TypeError('redirect of a request whose body is a stream');
    return { url: target, init: { ...init, headers } };
  }
  for (const name of ['content-type', 'content-length', 'content-encoding', 'content-language', 'content-location']) headers.delete(name);
  const { body: _body, ...rest } = init;
  return { url: target, init: { ...rest, method: 'GET', headers } };
}

/** Of a resource that wants a stronger or fresher sign-in; null: it wants another token, or nothing that is known here. */
function challengeOf({ headers }: Response): string | null {
  const header = headers.get('www-authenticate');
  return header !== null && readStepUpDemand(header) !== null ? header : null;
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel();
}

export function bindFetch(source: TokenSource, fetch: Fetch): Fetch {
  /**
   * One request with the token; on 401 once more with a newer one, or with one of a stronger sign-in where the
   * resource asks for that.
   */
  async function sendWithToken({ url, init }: Hop, budget: LoginBudget): Promise<Response> {
    const signal = init.signal ?? null;
    const attempt = async (token: string) => {
      const headers = new Headers(init.headers);
      headers.set('authorization', `Bearer ${token}`);
      return { token, response: await fetch(url, { ...init, headers, redirect: 'manual' }) };
    };
    let sent = await attempt(await source.token(null, signal));
    let isRefreshed = false;
    for (let stepUps = 0; sent.response.status === 401 && isReplayable(init.body);) {
      const { token, response } = sent;
      const challenge = challengeOf(response);
      if (challenge === null ? isRefreshed : stepUps >= STEP_UPS_MAX) break;
      let next: string | null;
      try {
        next = challenge === null ? await source.token(token, signal) : await source.stepUp(challenge, token, budget, signal);
      } catch (error) {
        await discard(response);
        throw error;
      }
      if (next === null) break;
      if (challenge === null) isRefreshed = true;
      else stepUps += 1;
      await discard(response);
      sent = await attempt(next);
    }
    return sent.response;
  }

  return async (input, init = {}) => {
    const isRequest = input instanceof Request;
    const origins = await source.origins(init.signal ?? (isRequest ? input.signal : null));
    if (!origins.has(new URL(isRequest ? input.url : input).origin)) return fetch(input, init);
    const first = await firstHop(input, init);
    const mode = first.init.redirect ?? 'follow';
    let hop = first;
    const budget = loginBudget();
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
      // Once a redirect has left the origin, the rest of the chain gets no token, even if it comes back.
      const response = await sendWithToken(hop, budget);
      const location = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || location === null || mode === 'manual') return response;
      if (mode === 'error') throw new TypeError('a redirect was answered, and redirect is "error"');
      const next = nextHop(hop, response, location);
      await discard(response);
      if (next.url.origin !== first.url.origin) return fetch(next.url, { ...next.init, redirect: 'follow' });
      hop = next;
    }
    throw new TypeError(`more than ${REDIRECTS_MAX} redirects`);
  };
}

/** @throws ValetkeyError `bad_request` for an origin that must not see a token */
export function parseOrigins(origins: readonly string[]): ReadonlySet<string> {
  return new Set(origins.map((text) => {
    const origin = tokenOrigin(text);
    if (origin === null) throw ValetkeyError.local('bad_request', 'a token is only sent to https origins, or to http on this machine');
    return origin;
  }));
}
