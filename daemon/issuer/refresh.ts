/**
 * One refresh. From the moment it is sent nothing here aborts it but the time limit; an answer that may have
 * been a success and cannot be used is a lost answer, never a verdict on the grant.
 */
import { refreshTokenGrant } from 'openid-client';
import type { Identity, Profile } from '../core/domain.ts';
import type { ClientAt, IssuerOutcome, Want } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { WireDeps } from './exchange.ts';
import type { IdTokens } from './id-token.ts';
import { outcomeOf } from './outcome.ts';
import { refreshScopes, resourceParams } from './request-params.ts';
import { toTokenSet } from './token-set.ts';

export async function refreshTokens(
  deps: WireDeps & { readonly idTokens: IdTokens }, client: ClientAt, profile: Profile, refreshToken: Secret, want: Want, previous: Identity | null,
): Promise<IssuerOutcome> {
  const exchange = openExchange(deps, client, null);
  try {
    const parameters = { ...refreshScopes(profile, want), ...resourceParams(profile, want) };
    const response = await refreshTokenGrant(configure(client, exchange.fetch), refreshToken.reveal(), parameters);
    const set = toTokenSet(response, profile, want);
    const identity = await deps.idTokens.atRefresh(client, exchange.answer()?.idToken ?? null, response.access_token, previous);
    return { kind: 'tokens', tokens: { ...set, identity } };
  } catch (cause) {
    return outcomeOf(cause, exchange.answer(), true);
  }
}
