/**
 * The authorization request: response_type=code with PKCE by S256 and nothing else (RFC 9700, section 2.1),
 * pushed where the server can (RFC 9126), so that the browser sees client_id and a one-time request_uri.
 */
import { ResponseBodyError, buildAuthorizationUrl, buildAuthorizationUrlWithPAR, calculatePKCECodeChallenge } from 'openid-client';
import type { Configuration } from 'openid-client';
import type { Profile } from '../core/domain.ts';
import type { AuthorizationRequest, ClientAt, Log, Rejected, StepUp, Transient, Want } from '../core/ports.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { WireDeps } from './exchange.ts';
import { AnswerRefused } from './failures.ts';
import { outcomeOf } from './outcome.ts';
import { resourceParams, signInScopes } from './request-params.ts';

type UrlOutcome = { readonly kind: 'url'; readonly url: string; readonly expiresInS: number | null } | Transient | Rejected;

/** What a preset may not set: the request's own, and what would change where or how the answer comes. */
const RESERVED = ['request', 'request_uri', 'response_mode', 'response_type', 'client_id', 'redirect_uri', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'claims'];
/** With these a preset gets a refresh token, which a step-up does not ask for. */
const FOR_OFFLINE = ['prompt', 'access_type'];

export async function makeAuthorizationUrl(
  deps: WireDeps & { readonly log: Log },
  client: ClientAt, profile: Profile, request: AuthorizationRequest, want: Want, stepUp: StepUp, loginHint: string | null,
): Promise<UrlOutcome> {
  const exchange = openExchange(deps, client, null);
  try {
    const configuration = configure(client, exchange.fetch);
    const parameters = await authorizationParams(client, profile, request, want, stepUp, loginHint);
    const pushed = client.server.pushedAuthorizationRequestEndpoint === null ? null : await push(deps.log, configuration, client, parameters);
    if (pushed === null) return { kind: 'url', url: buildAuthorizationUrl(configuration, parameters).href, expiresInS: null };
    const life = exchange.answer()?.members?.['expires_in'];
    return { kind: 'url', url: pushed.href, expiresInS: typeof life === 'number' ? life : null };
  } catch (cause) {
    return outcomeOf(cause, exchange.answer());
  }
}

/** Null: the server takes pushed requests, but not from this client. */
async function push(log: Log, configuration: Configuration, client: ClientAt, parameters: Record<string, string>): Promise<URL | null> {
  try {
    return await buildAuthorizationUrlWithPAR(configuration, parameters);
  } catch (cause) {
    // Some servers offer it to certain clients only; without a requirement the plain request is as good.
    const isForOthers = cause instanceof ResponseBodyError && cause.error === 'unauthorized_client';
    if (!isForOthers || client.server.requirePushedAuthorizationRequests) throw cause;
    log.info('par_not_for_this_client', { issuer: client.server.issuer, client_id: client.clientId });
    return null;
  }
}

async function authorizationParams(
  client: ClientAt, profile: Profile, request: AuthorizationRequest, want: Want, stepUp: StepUp, loginHint: string | null,
): Promise<Record<string, string>> {
  const isOpenId = want.scopes.some((scope) => scope === 'openid');
  const reserved = stepUp.isBeside ? [...RESERVED, ...FOR_OFFLINE] : RESERVED;
  const wantsStepUp = stepUp.acrValues.length > 0 || stepUp.maxAgeS !== null;
  if (wantsStepUp && !isOpenId) throw new AnswerRefused('stepup_unmet', 'without the scope openid nothing would tell how the person signed in');
  return {
    ...Object.fromEntries(Object.entries(profile.traits.authorizationParams).filter(([name]) => !reserved.includes(name))),
    // OIDC Core, section 3.1.2.1.
    ...(stepUp.isAgain ? { prompt: 'login' } : {}),
    ...signInScopes(profile, client.server, want, !stepUp.isBeside),
    ...resourceParams(profile, want),
    ...(stepUp.acrValues.length === 0 ? {} : { acr_values: stepUp.acrValues.join(' ') }),
    ...(stepUp.maxAgeS === null ? {} : { max_age: String(stepUp.maxAgeS) }),
    ...(loginHint === null ? {} : { login_hint: loginHint }),
    ...(isOpenId ? { nonce: request.nonce.reveal() } : {}),
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: request.redirectUri,
    state: request.state.reveal(),
    code_challenge: await calculatePKCECodeChallenge(request.verifier.reveal()),
    code_challenge_method: 'S256',
  };
}
