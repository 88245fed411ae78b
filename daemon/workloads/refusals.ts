/** What a caller is told where no token of a workload can be given, as errors of the one table. */
import type { AccessToken } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { holdsScope } from '../core/grant.ts';
import type { TokenBounds, TokenNeed } from '../core/grant.ts';
import type { Rejected, Transient } from '../core/issuer-port.ts';
import type { Instant } from '../core/time.ts';
import type { Workload } from '../core/workload.ts';
import type { BackOff } from '../tokens/back-off.ts';
import { tooShort } from '../tokens/refusals.ts';

type Named = Pick<Workload, 'name' | 'issuer'>;

/** A ceiling that names flows lets out only what came by one of them: this came by none that a person went. */
export function refuseFlow(name: string, bounds: TokenBounds | null): void {
  if (bounds === null || bounds.flows === null || bounds.flows.includes('client_credentials')) return;
  throw new BrokerError('policy_denied', `rule ${bounds.rule} lets out only what came by ${bounds.flows.join(' or ') || 'no flow at all'}; ${name} is a workload`, { reason: bounds.rule });
}

/** Nothing is lost, and nothing was spent: the next request proves the client anew. */
export function transientError({ issuer }: Named, { cause, reach }: Pick<Transient, 'cause' | 'reach'>, retryAfterS: number): BrokerError {
  return new BrokerError('issuer_unreachable', `${issuer} ${reach === 'server' ? 'answered with an error to' : 'did not answer'} the request for a token (${cause})`, { retryAfterS });
}

export function noAnswerYet(workload: Named): BrokerError {
  return transientError(workload, { cause: 'timeout', reach: 'network' }, 1);
}

export function waitsError({ issuer }: Named, { since, cause, notBeforeMs }: BackOff, at: Instant): BrokerError {
  return new BrokerError('issuer_unreachable', `${issuer} has answered with errors since ${new Date(since).toISOString().slice(0, 19)}Z (${cause}); the next try waits`, {
    retryAfterS: Math.max(1, Math.ceil((notBeforeMs - at.boottimeMs) / 1000)), sinceMs: since,
  });
}

/** RFC 6749, section 5.2. */
export function rejectedError({ name, issuer, clientId, auth }: Workload, { code, oauthError, description }: Rejected): BrokerError {
  const said = `${issuer} refused workload ${name}: ${oauthError === null ? '' : `${oauthError}, `}${description}`;
  if (oauthError !== 'invalid_client' && oauthError !== 'unauthorized_client') return new BrokerError(code, said);
  return new BrokerError(code, said, {
    hint: oauthError === 'unauthorized_client' ? `Allow the grant client_credentials to client ${clientId} at the issuer`
      : auth.kind === 'federated' ? `Let the issuer trust who vouches for client ${clientId}`
        : `Compare the keys that are registered for client ${clientId} with: valetkey workload show ${name}`,
  });
}

/** A fresh token that does not serve who asked for it: asking again gives no other. */
export function unmet(workload: Workload, need: TokenNeed, token: AccessToken): BrokerError {
  const { issuer, traits: { scopeAliases } } = workload;
  const beyond = need.bounds?.beyond?.(token.scopes) ?? [];
  if (need.bounds !== null && beyond.length > 0) {
    return new BrokerError('policy_denied', `${issuer} grants more than rule ${need.bounds.rule} lets out: ${beyond.join(' ')}`, { reason: need.bounds.rule, hint: 'Name fewer scopes in the workload profile' });
  }
  const missing = (need.scopes ?? []).filter((scope) => !holdsScope(token.scopes, scope, scopeAliases));
  if (missing.length > 0) return new BrokerError('scope_not_granted', `${issuer} did not grant: ${missing.join(' ')}`, { hint: 'Allow these scopes to the client at the issuer' });
  return tooShort(workload, token.expiresAt - token.obtainedAt, need, 'workload token');
}
