/** A tool that does its own OAuth, as kubelogin does: a sign-in by PKCE, and the file in which it keeps what came of it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { followLogin } from '../../demo/browser.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';

export type ToolTokens = { readonly id_token: string; readonly access_token: string; readonly refresh_token: string };

const REDIRECT = 'http://127.0.0.1:8000/callback';

export async function signInAsTool(issuer: EmbeddedIssuer, clientId: string, login: string): Promise<ToolTokens> {
  const verifier = randomBytes(32).toString('base64url');
  const ask = new URLSearchParams({
    client_id: clientId, response_type: 'code', redirect_uri: REDIRECT, scope: 'openid email offline_access', prompt: 'consent', state: randomBytes(16).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  const visit = await followLogin(`${issuer.url}/auth?${ask}`, { login, stopBefore: (url) => url.pathname === '/callback' });
  const code = new URL(visit.finalUrl).searchParams.get('code') ?? '';
  const reply = await fetch(`${issuer.url}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: clientId, redirect_uri: REDIRECT, code, code_verifier: verifier }) });
  const tokens = await reply.json() as Partial<ToolTokens>;
  if (tokens.refresh_token === undefined || tokens.id_token === undefined || tokens.access_token === undefined) throw new Error(`the tool could not sign in: ${reply.status}`);
  return { id_token: tokens.id_token, access_token: tokens.access_token, refresh_token: tokens.refresh_token };
}

/** As kubelogin saves them: only these two, in a file that is named by a digest. */
export function saveAsKubelogin(home: string, { id_token, refresh_token }: ToolTokens, name = createHash('sha256').update(id_token).digest('hex')): string {
  const path = join(home, '.kube/cache/oidc-login', name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, JSON.stringify({ id_token, refresh_token }), { mode: 0o600 });
  return path;
}
