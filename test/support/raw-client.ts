/**
 * The smallest OAuth client: authorization code with PKCE, and the device flow, by hand and without any of
 * the product's code. Tests of the rig use it, so that the rig is not measured with what it has to measure.
 */
import { createHash, randomBytes } from 'node:crypto';
import { followLogin } from '../../demo/browser.ts';
import type { BrowseOptions } from '../../demo/browser.ts';

export type RawServer = Readonly<Record<string, string>> & { readonly issuer: string };

export async function fetchMetadata(issuer: string): Promise<RawServer> {
  const reply = await fetch(`${issuer}/.well-known/openid-configuration`);
  return await reply.json() as RawServer;
}

/** Any answer of a token, device or PAR endpoint. */
export type RawTokens = {
  readonly status: number;
  readonly expires_in?: number;
  readonly interval?: number;
} & { readonly [member in
  | 'access_token' | 'refresh_token' | 'id_token' | 'token_type' | 'scope' | 'error' | 'error_description'
  | 'device_code' | 'user_code' | 'verification_uri' | 'verification_uri_complete' | 'request_uri']?: string };

export async function postForm(url: string, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<RawTokens> {
  const reply = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers });
  const text = await reply.text();
  return { ...(text.startsWith('{') ? JSON.parse(text) as Record<string, string> : {}), status: reply.status };
}

export type RawLogin = BrowseOptions & {
  readonly clientId?: string;
  readonly scope?: string;
  readonly redirectUri?: string;
  /** More parameters of the authorization request. */
  readonly params?: Readonly<Record<string, string>>;
};

export type RawAuthorization = {
  /** The redirect back to the client, with its parameters; nobody listens there. */
  readonly redirect: URL;
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  readonly redirectUri: string;
};

/** Signs in with the scripted browser and stops where it would call the client back. */
export async function authorize(server: RawServer, { clientId = 'valetkey', scope = 'openid offline_access profile email', redirectUri = 'http://127.0.0.1:1/callback', params = {}, ...browse }: RawLogin): Promise<RawAuthorization> {
  const [verifier, state, nonce] = [32, 16, 16].map((bytes) => randomBytes(bytes).toString('base64url')) as [string, string, string];
  const url = new URL(server['authorization_endpoint'] ?? '');
  url.search = new URLSearchParams({
    client_id: clientId, response_type: 'code', redirect_uri: redirectUri, scope, state, nonce, prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...params,
  }).toString();
  const attempt = await followLogin(url.href, { ...browse, stopBefore: (target) => target.href.startsWith(redirectUri) });
  return { redirect: new URL(attempt.finalUrl), verifier, state, nonce, redirectUri };
}

export async function rawLogin(server: RawServer, login: RawLogin): Promise<RawTokens> {
  const { redirect, verifier, redirectUri } = await authorize(server, login);
  return postForm(server['token_endpoint'] ?? '', {
    grant_type: 'authorization_code', code: redirect.searchParams.get('code') ?? '', code_verifier: verifier, redirect_uri: redirectUri, client_id: login.clientId ?? 'valetkey',
  });
}

export function rawRefresh(server: RawServer, refreshToken: string, more: Readonly<Record<string, string>> = {}): Promise<RawTokens> {
  return postForm(server['token_endpoint'] ?? '', { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'valetkey', ...more });
}

export async function startRawDevice(server: RawServer, scope = 'openid offline_access'): Promise<RawTokens> {
  return postForm(server['device_authorization_endpoint'] ?? '', { client_id: 'valetkey', scope });
}

export function pollRawDevice(server: RawServer, deviceCode: string): Promise<RawTokens> {
  return postForm(server['token_endpoint'] ?? '', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: deviceCode, client_id: 'valetkey' });
}

/** The claims of a JWT, unverified. */
export function peekJwt(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
