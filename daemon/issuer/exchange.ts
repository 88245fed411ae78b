/**
 * The wire below one call of openid-client: its requests go out by http.ts, and what it is shown has been
 * made regular. Keeps what the outcome needs and openid-client does not tell: status, Retry-After, ID token.
 */
import type { CustomFetch } from 'openid-client';
import type { AuthorizationServer } from '../core/domain.ts';
import type { ClientAt, Clock } from '../core/ports.ts';
import { readMembers, regularAnswer } from './answer.ts';
import type { Members } from './answer.ts';
import type { Http, SendingTerms } from './http.ts';
import type { Skews } from './skew.ts';

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

export type WireDeps = { readonly http: Http; readonly clock: Clock; readonly skews: Skews };

/** Who is asked, and what must not come back in an error text. */
type Party = Pick<ClientAt, 'connection' | 'clientSecret'> & { readonly server: Pick<AuthorizationServer, 'issuer'> };

/** Parameters that no error text may repeat. */
const SECRETS = ['code', 'code_verifier', 'refresh_token', 'device_code', 'token', 'client_secret', 'client_assertion', 'state', 'nonce'];
/** Shorter ones would tear holes into plain words. */
const SHORTEST_SECRET = 8;
const RETRY_AFTER_MAX_MS = 86_400_000;

/**
 * @param signal - null for what must not be aborted once it is sent
 * @param terms - of what may be sent once only
 */
export function openExchange({ http, clock, skews }: WireDeps, client: Party, signal: AbortSignal | null, terms: SendingTerms = {}): Exchange {
  let latest: Answer | null = null;
  return {
    answer: () => latest,
    async fetch(url, options) {
      latest = null;
      const body = options.body instanceof URLSearchParams ? options.body : null;
      const startedMs = clock.boottimeMs();
      const response = await http.send(client.connection, url, {
        method: options.method === 'GET' ? 'GET' : 'POST',
        headers: options.headers,
        body: body === null ? null : body.toString(),
      }, signal, terms);
      skews.learn(client.server.issuer, response, startedMs);
      const secrets = [...SECRETS.flatMap((name) => body?.getAll(name) ?? []), client.clientSecret?.reveal() ?? ''];
      const retryAfterMs = readRetryAfter(response.header('retry-after') ?? response.header('x-retry-after'), skews.nowMsAt(client.server.issuer));
      const members = readMembers(response.header('content-type'), response.body);
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

/** Seconds, or a date by the server's clock (RFC 9110, section 10.2.3). */
function readRetryAfter(value: string | null, now: number): number | null {
  const said = (value ?? '').trim();
  const ms = /^\d{1,9}$/.test(said) ? Number(said) * 1000 : Date.parse(said) - now;
  return ms >= 0 ? Math.min(ms, RETRY_AFTER_MAX_MS) : null;
}
