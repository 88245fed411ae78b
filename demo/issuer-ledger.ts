/**
 * What an embedded issuer saw and made: every request, every event that tests and the demo count, and every
 * secret that was ever minted or shown to it. The search for leaked secrets is only as good as this list,
 * so values are taken from the stored models and from the answers both.
 */
import type { Endpoint } from './issuer-endpoints.ts';

export type MintedKind =
  | 'authorization_code' | 'access_token' | 'refresh_token' | 'id_token' | 'device_code' | 'user_code' | 'request_uri'
  | 'code_verifier' | 'code_challenge' | 'state' | 'nonce' | 'client_secret' | 'client_assertion';

export type Minted = { readonly kind: MintedKind; readonly value: string };

export type IssuerRequest = {
  readonly at: number;
  readonly method: string;
  readonly endpoint: Endpoint;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of the query and the form body; a parameter sent twice is a list. Complete once the request was answered. */
  params: Readonly<Record<string, unknown>>;
  /** Null until it was answered. */
  status: number | null;
};

export type IssuerEvent = {
  readonly at: number;
  readonly name: 'grant.revoked' | 'grant.error' | 'grant.success' | 'authorization.error' | 'refresh_token.consumed' | 'authorization_code.consumed';
  /** Grant id, OAuth error or grant type: whatever names it best. */
  readonly detail: string;
};

const SECRET_PARAMS: Readonly<Record<string, MintedKind>> = {
  code: 'authorization_code',
  access_token: 'access_token',
  refresh_token: 'refresh_token',
  id_token: 'id_token',
  id_token_hint: 'id_token',
  device_code: 'device_code',
  user_code: 'user_code',
  request_uri: 'request_uri',
  code_verifier: 'code_verifier',
  code_challenge: 'code_challenge',
  state: 'state',
  nonce: 'nonce',
  client_secret: 'client_secret',
  client_assertion: 'client_assertion',
};

export class IssuerLedger {
  readonly requests: IssuerRequest[] = [];
  readonly events: IssuerEvent[] = [];
  readonly #minted = new Map<string, Minted>();
  readonly #listeners = new Set<(event: IssuerEvent) => void>();

  get minted(): readonly Minted[] {
    return [...this.#minted.values()];
  }

  mint(kind: MintedKind, value: unknown): void {
    if (typeof value !== 'string' || value === '' || this.#minted.has(value)) return;
    this.#minted.set(value, { kind, value });
    // People type the user code without its dashes, so a leak may look like that too.
    if (kind === 'user_code' && value.includes('-')) this.mint(kind, value.replaceAll('-', ''));
  }

  /** Notes every parameter that is a secret; lists and values that are not text are looked into. */
  mintFrom(params: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(params)) {
      const kind = SECRET_PARAMS[name];
      if (kind !== undefined) for (const each of [value].flat()) this.mint(kind, each);
    }
  }

  /** RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined. */
  mintFromBasic(header: string | undefined): void {
    const encoded = header?.match(/^Basic ([A-Za-z0-9+/=]+)$/i)?.[1];
    if (encoded === undefined) return;
    const text = Buffer.from(encoded, 'base64').toString();
    const secret = text.slice(text.indexOf(':') + 1);
    this.mint('client_secret', decodeURIComponent(secret.replaceAll('+', ' ')));
  }

  note(name: IssuerEvent['name'], detail: string): void {
    const event = { at: Date.now(), name, detail };
    this.events.push(event);
    for (const listener of this.#listeners) listener(event);
  }

  onEvent(listener: (event: IssuerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** How many requests reached the endpoint; at the token endpoint, of one grant type if it is named. */
  count(endpoint: Endpoint, grantType?: string): number {
    return this.requests.filter((r) => r.endpoint === endpoint && (grantType === undefined || r.params['grant_type'] === grantType)).length;
  }
}
