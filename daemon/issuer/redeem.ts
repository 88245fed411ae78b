/**
 * An authorization response and the one redemption of its code, at the token endpoint that was pinned when
 * the sign-in began. Nothing is sent unless issuer and state hold (RFC 9207, section 2.4).
 */
import { authorizationCodeGrant } from 'openid-client';
import type { Profile } from '../core/domain.ts';
import type { AuthorizationRequest, ClientAt, IssuerOutcome, Rejected, StepUp, Transient, Want } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { acceptSignIn } from './accept-sign-in.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { WireDeps } from './exchange.ts';
import type { IdTokens } from './id-token.ts';
import { oauthOutcome, outcomeOf, rejected, withTokens } from './outcome.ts';
import { resourceParams } from './request-params.ts';
import { receivedTokens } from './token-set.ts';

export async function redeemCode(
  deps: WireDeps & { readonly idTokens: IdTokens },
  client: ClientAt, profile: Profile, request: AuthorizationRequest, callback: URLSearchParams, want: Want, stepUp: StepUp,
): Promise<IssuerOutcome> {
  const refused = refusedCallback(client, request, callback);
  if (refused !== null) return refused;
  const exchange = openExchange(deps, client, null);
  try {
    const landed = new URL(request.redirectUri);
    landed.search = callback.toString();
    const checks = { pkceCodeVerifier: request.verifier.reveal(), expectedState: request.state.reveal() };
    await authorizationCodeGrant(configure(client, exchange.fetch), landed, checks, resourceParams(profile, want));
    const terms = { client, profile, want, nonce: request.nonce, stepUp };
    return { kind: 'tokens', tokens: await acceptSignIn(deps.idTokens, exchange.answer(), terms) };
  } catch (cause) {
    return withTokens(outcomeOf(cause, exchange.answer()), receivedTokens(exchange.answer(), profile, want));
  }
}

/**
 * Issuer first: the text of a stranger's error is not shown. Of iss, advertised and present must be equal,
 * advertised and absent is refused, unadvertised and present must be equal, unadvertised and absent passes.
 */
function refusedCallback({ server }: ClientAt, request: AuthorizationRequest, callback: URLSearchParams): Transient | Rejected | null {
  const names = [...callback.keys()];
  // RFC 6749, section 3.1.
  if (new Set(names).size !== names.length) return rejected('issuer_response_invalid', 'the authorization response repeats a parameter');
  const iss = callback.get('iss');
  if (iss === null ? server.issParameterSupported : iss !== server.issuer) {
    return rejected('iss_mismatch', iss === null ? 'the authorization response does not say which issuer it is from' : 'the authorization response is from another issuer');
  }
  const state = callback.get('state');
  if (state === null || !request.state.equals(state)) return rejected('issuer_response_invalid', 'the authorization response belongs to another sign-in');
  const error = callback.get('error');
  if (error !== null) return oauthOutcome(cleanText(error, 64), cleanText(callback.get('error_description') ?? ''), null);
  const code = callback.get('code');
  return code === null || code === '' ? rejected('issuer_response_invalid', 'the authorization response holds no code') : null;
}
