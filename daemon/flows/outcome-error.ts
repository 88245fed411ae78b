import { BrokerError } from '../core/errors.ts';
import type { Rejected, Transient } from '../core/ports.ts';

/** An issuer's outcome as the error that its caller sees. `what`: "the authorization code", … */
export function failureOf(outcome: Transient | Rejected, issuer: string, what: string): BrokerError {
  if (outcome.kind === 'transient') {
    const did = outcome.cause.startsWith('http_') ? 'answered with an error to' : 'did not answer';
    return new BrokerError('issuer_unreachable', `${issuer} ${did} ${what} (${outcome.cause}); start again`, {
      ...(outcome.retryAfterMs === null ? {} : { retryAfterS: Math.ceil(outcome.retryAfterMs / 1000) }),
    });
  }
  if (outcome.oauthError === 'access_denied') return new BrokerError('access_denied', `${issuer}: the sign-in was refused${outcome.description === '' ? '' : `: ${outcome.description}`}`);
  const said = outcome.oauthError === null ? '' : ` (${outcome.oauthError})`;
  return new BrokerError(outcome.code, `${issuer} refused ${what}${said}: ${outcome.description}`, outcome.oauthError === 'invalid_client' ? { hint: 'Check client_id; the client may need a secret: see valetkey help profile add' } : {});
}
