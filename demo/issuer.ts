/**
 * A real authorization server in this process, for the demo and the tests: oidc-provider on a loopback port,
 * speaking HTTP. PKCE is demanded, refresh tokens rotate and a second use of one revokes its whole grant.
 * Anybody may sign in under any name: it guards nothing. It prints nothing but its own mistakes.
 */
import { generateKeyPair, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { KeyObject } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import type { ClientMetadata, JWK } from 'oidc-provider';
import { Provider } from 'oidc-provider/lib/provider.js';
import { issuerConfiguration } from './issuer-configuration.ts';
import type { Lifetimes } from './issuer-configuration.ts';
import type { Endpoint } from './issuer-endpoints.ts';
import { IssuerLedger } from './issuer-ledger.ts';
import type { IssuerEvent, IssuerRequest, Minted } from './issuer-ledger.ts';
import { serveInteractions } from './issuer-interactions.ts';
import { recordTraffic } from './issuer-traffic.ts';
import { createIssuerStorage } from './issuer-storage.ts';

export type IssuerClient = {
  readonly id: string;
  /** With a secret the client is confidential, by client_secret_basic unless `auth` says otherwise. */
  readonly secret?: string;
  readonly auth?: 'none' | 'client_secret_basic' | 'client_secret_post';
  /** Paths of loopback redirect URIs; any port, on 127.0.0.1 and [::1]. Default: /callback. */
  readonly redirectPaths?: readonly string[];
  /** More metadata of the registration (RFC 7591), in its own names. */
  readonly metadata?: Readonly<Record<string, unknown>>;
};

/** How strongly, and since when, a person counts as signed in. */
export type SignIn = { readonly acr?: string; readonly amr?: readonly string[]; readonly authTime?: number };

export type IssuerOptions = {
  readonly clients?: readonly IssuerClient[];
  /** Path of the issuer identifier, e.g. /realms/a; none by default. */
  readonly path?: string;
  readonly port?: number;
  /** Origin that discovery names, for an issuer behind a proxy: the proxy has to keep the Host header. */
  readonly publicOrigin?: string;
  readonly lifetimes?: Partial<Lifetimes>;
  /** Of access tokens for a resource; those for no resource are always opaque. Default: opaque. */
  readonly accessTokenFormat?: 'opaque' | 'jwt';
  readonly signingAlg?: 'ES256' | 'RS256';
  readonly rotateRefreshTokens?: boolean;
  /** Seconds in which a replaced refresh token still works, as some servers allow; Infinity: a second use is never seen. Default 0. */
  readonly reuseGraceS?: number;
  /** A refresh ends the access token that came before, as ory/fosite, GitHub and others do. Default: it lives on. */
  readonly endsOlderTokens?: boolean;
  /** When a refresh token is issued. Default: with the scope offline_access. */
  readonly refreshTokens?: 'offline_access' | 'always' | 'never';
  readonly par?: 'offered' | 'required' | 'none';
  readonly deviceFlow?: boolean;
  /** Registers whoever asks (RFC 7591). Default: no. */
  readonly registers?: boolean;
  /** Clients may ask in their own name (client_credentials); their assertions have to be as RFC 10070 says. Default: no. */
  readonly workloads?: boolean;
  /** False: no iss in authorization responses, and none promised (RFC 9207). */
  readonly issParameter?: boolean;
  /** Resources that may be named; default: any. */
  readonly resources?: readonly string[];
  /** Resource of requests that name none; default: none. */
  readonly defaultResource?: string;
  /** Scopes besides those of OpenID Connect, at every resource and without one. */
  readonly scopes?: readonly string[];
  /** Claims of a login name besides sub; default: email and name. */
  readonly claims?: (login: string) => Readonly<Record<string, unknown>>;
  readonly signIn?: (login: string, params: Readonly<Record<string, unknown>>) => SignIn;
  readonly acrValues?: readonly string[];
  /** Changes the metadata document before it is served. */
  readonly editMetadata?: (metadata: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
};

export type Introspection = { readonly active: boolean } & Readonly<Record<string, unknown>>;

export type EmbeddedIssuer = {
  /** The issuer identifier. */
  readonly url: string;
  /** Where this process really listens; the same as the origin of `url` unless `publicOrigin` was given. */
  readonly origin: string;
  /** By their ids, registered ones among them. */
  readonly clients: ReadonlyMap<string, ClientMetadata>;
  readonly requests: readonly IssuerRequest[];
  readonly events: readonly IssuerEvent[];
  readonly minted: readonly Minted[];
  /** Mistakes of the embedded issuer itself; they were printed too. */
  readonly mistakes: readonly Error[];
  count(endpoint: Endpoint, grantType?: string): number;
  onEvent(listener: (event: IssuerEvent) => void): () => void;
  setLifetimes(lifetimes: Partial<Lifetimes>): void;
  registerClient(client: IssuerClient): void;
  introspect(token: string): Promise<Introspection>;
  /** Revokes everything that came of a sign-in, as an administrator would. Returns how many grants ended. */
  revokeGrantsOf(login: string): Promise<number>;
  /** A JWT under the issuer's own key, for tests that need a well signed but wrong ID token. */
  signJwt(claims: JWTPayload, header?: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
};

/** Client of introspect(); confidential, and of no use for signing in. */
const INSPECTOR = { id: 'resource-server', secret: 'resource-server-secret-EXAMPLE' };

const DEFAULT_CLIENTS: readonly IssuerClient[] = [
  { id: 'valetkey' },
  { id: 'second-client', redirectPaths: ['/callback/second'] },
  { id: 'confidential-basic', secret: 'basic-client-secret-EXAMPLE', auth: 'client_secret_basic' },
  { id: 'confidential-post', secret: 'post-client-secret-EXAMPLE', auth: 'client_secret_post' },
];

function registration(client: IssuerClient, deviceFlow: boolean): ClientMetadata {
  const auth = client.auth ?? (client.secret === undefined ? 'none' : 'client_secret_basic');
  return {
    client_id: client.id,
    application_type: 'native',
    token_endpoint_auth_method: auth,
    ...(client.secret === undefined ? {} : { client_secret: client.secret }),
    redirect_uris: (client.redirectPaths ?? ['/callback']).flatMap((path) => [`http://127.0.0.1${path}`, `http://[::1]${path}`]),
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', ...(deviceFlow ? ['urn:ietf:params:oauth:grant-type:device_code'] : [])],
    require_auth_time: true,
    ...client.metadata,
  };
}

type SigningKey = { readonly alg: string; readonly kid: string; readonly jwk: JWK; readonly privateKey: KeyObject };

async function makeSigningKey(alg: 'ES256' | 'RS256'): Promise<SigningKey> {
  const generate = promisify(generateKeyPair);
  const { privateKey } = alg === 'ES256' ? await generate('ec', { namedCurve: 'P-256' }) : await generate('rsa', { modulusLength: 2048 });
  const kid = randomBytes(8).toString('hex');
  return { alg, kid, privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

/** Serves under a path of its own, and the well-known documents where RFC 8414, section 3.1 inserts that path. */
function mounted(handle: (req: IncomingMessage, res: ServerResponse) => unknown, path: string): (req: IncomingMessage, res: ServerResponse) => void {
  const inserted = new RegExp(`^(/\\.well-known/(?:oauth-authorization-server|openid-configuration))${path}$`);
  return (req, res) => {
    const url = req.url ?? '/';
    const inner = url.match(inserted)?.[1] ?? (url.startsWith(`${path}/`) ? url.slice(path.length) : null);
    if (inner === null) {
      res.writeHead(404).end();
      return;
    }
    // oidc-provider learns its mount path from originalUrl, as under Express.
    Object.assign(req, { originalUrl: `${path}${inner}`, url: inner });
    handle(req, res);
  };
}

async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the embedded issuer has no port');
  return `http://127.0.0.1:${address.port}`;
}

export async function startIssuer(options: IssuerOptions = {}): Promise<EmbeddedIssuer> {
  const path = options.path ?? '';
  const server = createServer();
  const origin = await listen(server, options.port ?? 0);
  const url = `${options.publicOrigin ?? origin}${path}`;

  const ledger = new IssuerLedger();
  const storage = createIssuerStorage({ reuseGraceS: options.reuseGraceS ?? 0, endsOlderTokens: options.endsOlderTokens ?? false });
  const key = await makeSigningKey(options.signingAlg ?? 'ES256');
  const lifetimes: Lifetimes = { accessTokenS: 3600, refreshTokenS: 14 * 86_400, idTokenS: 3600, codeS: 60, deviceCodeS: 600, sessionS: 86_400, ...options.lifetimes };
  const registerClient = (client: IssuerClient): void => {
    storage.clients.set(client.id, registration(client, options.deviceFlow ?? true));
    ledger.mint('client_secret', client.secret);
  };
  for (const client of options.clients ?? DEFAULT_CLIENTS) registerClient(client);
  registerClient({ ...INSPECTOR, metadata: { redirect_uris: [], response_types: [], grant_types: [] } });

  const provider = new Provider(url, issuerConfiguration({ options, path, lifetimes, jwk: key.jwk, alg: key.alg, adapter: storage.adapter }));
  recordTraffic(provider, ledger, { path, issParameter: options.issParameter ?? true, editMetadata: options.editMetadata ?? ((metadata) => metadata) });
  serveInteractions(provider, options.signIn ?? (() => ({})));

  const mistakes: Error[] = [];
  const mistake = (error: Error & { readonly code?: string }): void => {
    // A client that hangs up in the middle is not a mistake of ours.
    if (error.code !== undefined && /^(ECONNRESET|EPIPE|ERR_STREAM_|ECONNABORTED)/.test(error.code)) return;
    mistakes.push(error);
    process.stderr.write(`embedded issuer: ${error.stack ?? error.message}\n`);
  };
  provider.on('server_error', (_ctx, error) => mistake(error));
  // Koa's own event, which the types of oidc-provider leave out.
  EventEmitter.prototype.on.call(provider, 'error', mistake);
  server.on('request', path === '' ? provider.callback() : mounted(provider.callback(), path));

  return {
    url,
    origin,
    clients: storage.clients,
    requests: ledger.requests,
    events: ledger.events,
    mistakes,
    get minted() {
      return ledger.minted;
    },
    count: (endpoint, grantType) => ledger.count(endpoint, grantType),
    onEvent: (listener) => ledger.onEvent(listener),
    setLifetimes: (change) => void Object.assign(lifetimes, change),
    registerClient,
    async introspect(token) {
      const reply = await fetch(`${origin}${path}/token/introspection`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${INSPECTOR.id}:${INSPECTOR.secret}`).toString('base64')}` },
        body: new URLSearchParams({ token }),
      });
      const answer: unknown = await reply.json();
      if (!reply.ok || typeof answer !== 'object' || answer === null || !('active' in answer)) throw new Error(`introspection failed: ${reply.status}`);
      return { ...answer, active: answer.active === true };
    },
    revokeGrantsOf: (login) => storage.revokeGrantsOf(login),
    signJwt: (claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.privateKey),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
