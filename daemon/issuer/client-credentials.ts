/**
 * Client credentials (RFC 6749, section 4.4) of a workload: one request, one assertion, one access token. There is no
 * refresh token: when the token ends, the client proves itself again. Nothing is spent by a request whose answer is lost.
 */
import { clientCredentialsGrant, tokenRevocation } from 'openid-client';
import type { IssuerOutcome, Log, RevokeOutcome, Want } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import type { Workload, WorkloadAt } from '../core/workload.ts';
import { configureWorkload } from './client-assertion.ts';
import type { AssertionDeps } from './client-assertion.ts';
import { openExchange } from './exchange.ts';
import type { Exchange, WireDeps } from './exchange.ts';
import { AnswerRefused } from './failures.ts';
import { outcomeOf, withTokens } from './outcome.ts';
import { clientScopes, resourceParams } from './request-params.ts';
import { revokeOutcomeOf } from './revoke.ts';
import { receivedTokens } from './token-set.ts';

type Deps = WireDeps & AssertionDeps & { readonly log: Log };

const wired = (deps: Deps, { server, connection }: WorkloadAt): Exchange => openExchange(deps, { server, connection, clientSecret: null }, null);

export async function clientCredentials(deps: Deps, client: WorkloadAt, workload: Workload, want: Want): Promise<IssuerOutcome> {
  const exchange = wired(deps, client);
  try {
    const configuration = await configureWorkload(deps, client, exchange.fetch);
    await clientCredentialsGrant(configuration, { ...clientScopes(workload, want), ...resourceParams(workload, want) });
  } catch (cause) {
    return withTokens(outcomeOf(cause, exchange.answer()), receivedTokens(exchange.answer(), workload, want));
  }
  const received = receivedTokens(exchange.answer(), workload, want);
  if (received === null) return outcomeOf(new AnswerRefused('issuer_response_invalid', 'the answer holds no token'), exchange.answer());
  // RFC 6749, section 4.4.3: it SHOULD NOT be there. It is neither kept nor used.
  if (received.refreshToken !== null) deps.log.warn('refresh_token_ignored', { profile: workload.name, issuer: workload.issuer });
  return { kind: 'tokens', tokens: { ...received, refreshToken: null } };
}

export async function revokeWorkloadToken(deps: Deps, client: WorkloadAt, token: Secret): Promise<RevokeOutcome> {
  if (client.server.revocationEndpoint === null) return { kind: 'unsupported' };
  const exchange = wired(deps, client);
  try {
    await tokenRevocation(await configureWorkload(deps, client, exchange.fetch), token.reveal(), { token_type_hint: 'access_token' });
    return { kind: 'revoked' };
  } catch (cause) {
    return revokeOutcomeOf(cause, exchange.answer());
  }
}
