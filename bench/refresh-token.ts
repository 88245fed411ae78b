/** A refresh token for a peer, by the authorization code flow with PKCE and the scripted browser. */
import { createHash, randomBytes } from 'node:crypto';
import { followLogin } from '../demo/browser.ts';
import { Unexpected } from './stage.ts';

/** A confidential client of the embedded issuer. */
export const PEER_CLIENT = { id: 'confidential-post', secret: 'post-client-secret-EXAMPLE' };
export const PEER_SCOPE = 'openid offline_access';
/** Nothing listens there: the browser stops before it. */
const REDIRECT = 'http://127.0.0.1:9/callback';

export async function obtainRefreshToken(issuer: string): Promise<string> {
  const verifier = randomBytes(32).toString('base64url');
  const start = new URL(`${issuer}/auth`);
  start.search = new URLSearchParams({
    client_id: PEER_CLIENT.id, redirect_uri: REDIRECT, response_type: 'code', scope: PEER_SCOPE, prompt: 'consent', state: 'bench',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  }).toString();
  const { finalUrl } = await followLogin(start.href, { login: 'ada', stopBefore: (url) => url.href.startsWith(REDIRECT) });
  const reply = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', code: new URL(finalUrl).searchParams.get('code') ?? '', redirect_uri: REDIRECT, code_verifier: verifier,
      client_id: PEER_CLIENT.id, client_secret: PEER_CLIENT.secret,
    }),
  });
  const answer: unknown = await reply.json();
  if (typeof answer !== 'object' || answer === null || !('refresh_token' in answer)) throw new Unexpected(`the issuer gave no refresh token (${reply.status})`);
  return String(answer.refresh_token);
}
