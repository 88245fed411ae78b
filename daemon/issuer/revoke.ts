import { ResponseBodyError, tokenRevocation } from 'openid-client';
import type { ClientAt, RevokeOutcome } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { Answer, WireDeps } from './exchange.ts';
import { outcomeOf } from './outcome.ts';

/** One revocation (RFC 7009). A token that the server no longer knows is as dead as one that it revoked. */
export async function revokeToken(deps: WireDeps, client: ClientAt, token: Secret, kind: 'refresh_token' | 'access_token'): Promise<RevokeOutcome> {
  // Of an answer that brought a refresh token and no access token.
  if (token.reveal() === '') return { kind: 'revoked' };
  if (client.server.revocationEndpoint === null) return { kind: 'unsupported' };
  const exchange = openExchange(deps, client, null);
  try {
    await tokenRevocation(configure(client, exchange.fetch), token.reveal(), { token_type_hint: kind });
    return { kind: 'revoked' };
  } catch (cause) {
    return revokeOutcomeOf(cause, exchange.answer());
  }
}

export function revokeOutcomeOf(cause: unknown, answer: Answer | null): RevokeOutcome {
  const status = answer?.status ?? 0;
  // Section 2.2 says 200; some answer 204.
  if (status > 200 && status < 300) return { kind: 'revoked' };
  if (cause instanceof ResponseBodyError && cause.error === 'invalid_token') return { kind: 'revoked' };
  // Section 2.2.1.
  if (cause instanceof ResponseBodyError && cause.error === 'unsupported_token_type') return { kind: 'unsupported' };
  return outcomeOf(cause, answer);
}
