/**
 * One refresh. From the moment it is sent nothing here aborts it but a limit far longer than anybody waits: a
 * late answer is an answer. One that may have been a success and cannot be used is a lost answer, never a
 * verdict on the grant. A new refresh token is handed on whatever is wrong with the rest of its answer, unless its ID token names somebody else.
 */
import { refreshTokenGrant } from 'openid-client';
import type { Identity, Profile } from '../core/domain.ts';
import type { ClientAt, IssuerOutcome, Log, Want } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { SendingTerms } from './http.ts';
import type { WireDeps } from './exchange.ts';
import { AnswerRefused } from './failures.ts';
import type { IdTokens } from './id-token.ts';
import { outcomeOf, rejected, withTokens } from './outcome.ts';
import { refreshScopes, resourceParams } from './request-params.ts';
import { receivedTokens } from './token-set.ts';

export async function refreshTokens(
  deps: WireDeps & Required<SendingTerms> & { readonly idTokens: IdTokens; readonly log: Log },
  client: ClientAt, profile: Profile, refreshToken: Secret, want: Want, previous: Identity | null,
): Promise<IssuerOutcome> {
  const exchange = openExchange(deps, client, null, deps);
  let failure: unknown = null;
  try {
    const parameters = { ...refreshScopes(profile, want), ...resourceParams(profile, want) };
    await refreshTokenGrant(configure(client, exchange.fetch), refreshToken.reveal(), parameters);
  } catch (cause) {
    failure = cause;
  }
  const answer = exchange.answer();
  const received = receivedTokens(answer, profile, want);
  const flaw = received?.withheld ?? (failure === null ? null : 'the answer is not what OAuth 2.0 demands');
  // Without a new refresh token a flawed answer tells nothing of the old one.
  if (received === null || (flaw !== null && received.refreshToken === null)) {
    return outcomeOf(failure ?? new AnswerRefused('issuer_response_invalid', flaw ?? 'the answer holds no token'), answer, true);
  }
  const checked = await deps.idTokens.atRefresh(client, answer?.idToken ?? null, received.accessToken, previous);
  if (checked.kind === 'conflict') return withTokens(rejected('id_token_invalid', checked.why), received);
  const withheld = flaw ?? (checked.kind === 'flawed' ? checked.why : null);
  if (withheld !== null) deps.log.warn('access_token_withheld', { issuer: client.server.issuer, why: withheld });
  return { kind: 'tokens', tokens: { ...received, identity: checked.kind === 'holds' ? checked.identity : null, withheld } };
}
