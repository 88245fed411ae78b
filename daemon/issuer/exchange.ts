/**
 * The wire below one call of openid-client: its requests go out by http.ts, and what it is shown has been
 * made regular. Keeps what the outcome needs and openid-client does not tell: status, Retry-After, ID token.
 */
import type { CustomFetch } from 'openid-client';
import type { ClientAt, Clock } from '../core/ports.ts';
import { readMembers, regularAnswer } from './answer.ts';
import type { Members } from './answer.ts';
import type { Http } from './http.ts';

export type Answer = {
  readonly status: number;
  /** Null: no JSON object. */
  readonly members: Members | null;
  readonly idToken: string | null;
  readonly retryAfterMs: number | null;
};

export type Exchange = {
  readonly fetch: CustomFetch;
  /** The latest answer; null: none came. */
  answer(): Answer | null;
};

export type WireDeps = { readonly http: Http; readonly clock: Clock };

/** Parameters that no error text may repeat. */
const SECRETS = ['code', 'code_verifier', 'refresh_token', 'device_code', 'token', 'client_secret', 'state', 'nonce'];
/** Shorter ones would tear holes into plain words. */
const SHORTEST_SECRET = 8;
const RETRY_AFTER_MAX_MS = 86_400_000;

/** @param signal - null for what must not be aborted once it is sent. */
export function openExchange({ http, clock }: WireDeps, client: Pick<ClientAt, 'connection' | 'clientSecret'>, signal: AbortSignal | null): Exchange {
  let latest: Answer | null = null;
  return {
    answer: () => latest,
    async fetch(url, options) {
      latest = null;
      const body = options.body instanceof URLSearchParams ? options.body : null;
      const response = await http.send(client.connection, url, {
        method: options.method === 'GET' ? 'GET' : 'POST',
        headers: options.headers,
        body: body === null ? null : body.toString(),
      }, signal);
      const secrets = [...SECRETS.flatMap((name) => body?.getAll(name) ?? []), client.clientSecret?.reveal() ?? ''];
      const retryAfterMs = readRetryAfter(response.headers, clock.now());
      const members = readMembers(response.headers.get('content-type'), await response.text());
      if (members === null) {
        latest = { status: response.status, members, idToken: null, retryAfterMs };
        return new Response(null, { status: response.status });
      }
      const regular = regularAnswer(response.status, members, secrets.filter((secret) => secret.length >= SHORTEST_SECRET));
      latest = { ...regular, retryAfterMs };
      return Response.json(regular.members, { status: regular.status });
    },
  };
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function readRetryAfter(headers: Headers, now: number): number | null {
  const said = (headers.get('retry-after') ?? headers.get('x-retry-after') ?? '').trim();
  const ms = /^\d{1,9}$/.test(said) ? Number(said) * 1000 : Date.parse(said) - now;
  return ms >= 0 ? Math.min(ms, RETRY_AFTER_MAX_MS) : null;
}
