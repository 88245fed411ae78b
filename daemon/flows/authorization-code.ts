/**
 * Authorization code with PKCE on a loopback listener (RFC 8252, RFC 7636). The server is pinned at the
 * start: the code goes to that token endpoint and no other, once (AZ-06, AZ-13). After the browser was
 * sent to the issuer there is no other flow to fall back to (FC-10).
 */
import { BrokerError } from '../core/errors.ts';
import type { Profile } from '../core/domain.ts';
import type { LoopbackListener } from '../core/loopback-port.ts';
import type { AuthorizationRequest, ClientAt, Clock, Issuer, StepUp, TokenSet, Want } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { failureOf } from './outcome-error.ts';

export type CodeFlow = {
  readonly issuer: Issuer;
  readonly clock: Clock;
  readonly profile: Profile;
  readonly client: ClientAt;
  readonly listener: LoopbackListener;
  readonly want: Want;
  readonly stepUp: StepUp;
  /** Has to hold before a browser is told of the issuer; whatever it throws ends the sign-in. */
  readonly beforeStart: () => Promise<void>;
  /** Revokes tokens that nobody will hold. */
  readonly discard: (set: TokenSet) => Promise<void>;
};

/** Requests are pushed anew so long before their end, in seconds: the browser still has to get there. */
const PUSH_MARGIN_S = 10;

/** Makes the authorization request, pushes it where the server can (RFC 9126), and arms the listener. */
export async function prepareCodeFlow(flow: CodeFlow, loginHint: string | null): Promise<AuthorizationRequest> {
  const { issuer, clock, profile, client, listener, want, stepUp } = flow;
  const request = issuer.newAuthorizationRequest(listener.redirectUri);
  const make = (): ReturnType<Issuer['authorizationUrl']> => issuer.authorizationUrl(client, profile, request, want, stepUp, loginHint);
  const made = await make();
  if (made.kind !== 'url') throw withRedirectHint(failureOf(made, profile.issuer, 'the authorization request'), client, listener.redirectUri, profile.traits.redirectPorts.length > 0);
  const madeAtMs = clock.boottimeMs();
  // A person may follow the link minutes later; a request_uri often lives for one (RFC 9126, section 2.2).
  const urlNow = async (): Promise<string> => {
    await flow.beforeStart();
    if (made.expiresInS === null || clock.boottimeMs() - madeAtMs < (made.expiresInS - PUSH_MARGIN_S) * 1000) return made.url;
    const again = await make();
    if (again.kind !== 'url') throw failureOf(again, profile.issuer, 'the authorization request');
    return again.url;
  };
  listener.arm(urlNow, request.state, { issuer: client.server.issuer, required: client.server.issParameterSupported });
  return request;
}

/** Waits for the browser's return and redeems the code. Throws when refused, failed or the listener was closed. */
export async function finishCodeFlow(flow: CodeFlow, request: AuthorizationRequest): Promise<TokenSet> {
  const { issuer, profile, client, listener, want, stepUp } = flow;
  const { parameters } = await listener.callback;
  const refused = refusalIn(parameters, profile.issuer);
  if (refused !== null) throw withRedirectHint(refused, client, listener.redirectUri, profile.traits.redirectPorts.length > 0);
  const outcome = await issuer.redeem(client, profile, request, parameters, want, stepUp);
  if (outcome.kind === 'rejected' && outcome.tokens !== null) await flow.discard(outcome.tokens);
  if (outcome.kind !== 'tokens') throw failureOf(outcome, profile.issuer, 'the authorization code');
  return outcome.tokens;
}

/** The usual reasons for a refused request: another client, or a redirect URI that was not registered to the letter. */
function withRedirectHint(error: BrokerError, client: ClientAt, redirectUri: string, isFixed: boolean): BrokerError {
  if (error.code !== 'issuer_refused' || error.facts.hint !== undefined) return error;
  const registered = isFixed ? redirectUri : `${redirectUri.replace(/:\d+\//, ':{port}/')} (any port)`;
  return new BrokerError(error.code, error.message, {
    ...error.facts, hint: `See what it said; it has to know the client ${cleanText(client.clientId, 100)} with the redirect URI ${registered}`,
  });
}

/** RFC 6749, section 4.1.2.1. */
function refusalIn(parameters: URLSearchParams, issuer: string): BrokerError | null {
  const error = parameters.get('error');
  if (error === null) return null;
  const said = cleanText(parameters.get('error_description') ?? '');
  const text = `${issuer} answered ${cleanText(error, 64)}${said === '' ? '' : `: ${said}`}`;
  return new BrokerError(error === 'access_denied' ? 'access_denied' : 'issuer_refused', text);
}
