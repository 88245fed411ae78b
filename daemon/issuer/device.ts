/**
 * The device authorization grant's two requests (RFC 8628): the start, and one poll. When to poll is decided
 * in flows/; openid-client's own loop reacts to an abort after five seconds and dies of one network error.
 */
import { ResponseBodyError, calculatePKCECodeChallenge, genericGrantRequest, initiateDeviceAuthorization } from 'openid-client';
import type { Profile } from '../core/domain.ts';
import { NO_STEP_UP } from '../core/issuer-port.ts';
import type { ClientAt, DeviceGrant, DeviceOutcome, PollOutcome, Want } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { cleanText } from '../core/text.ts';
import { acceptSignIn } from './accept-sign-in.ts';
import { configure } from './configuration.ts';
import { openExchange } from './exchange.ts';
import type { WireDeps } from './exchange.ts';
import { AnswerRefused } from './failures.ts';
import type { IdTokens } from './id-token.ts';
import { outcomeOf, withTokens } from './outcome.ts';
import { resourceParams, signInScopes } from './request-params.ts';
import { receivedTokens } from './token-set.ts';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628, section 3.2. */
const DEFAULT_INTERVAL_S = 5;

export async function startDevice(deps: WireDeps, client: ClientAt, profile: Profile, want: Want, verifier: Secret): Promise<DeviceOutcome> {
  const exchange = openExchange(deps, client, null);
  try {
    const parameters = {
      ...signInScopes(profile, client.server, want), ...resourceParams(profile, want),
      code_challenge: await calculatePKCECodeChallenge(verifier.reveal()), code_challenge_method: 'S256',
    };
    const started = await initiateDeviceAuthorization(configure(client, exchange.fetch), parameters);
    return {
      kind: 'device',
      deviceCode: new Secret(started.device_code),
      verifier,
      userCode: cleanText(started.user_code, 64),
      verificationUri: uriOf(started.verification_uri),
      verificationUriComplete: started.verification_uri_complete === undefined ? null : uriOf(started.verification_uri_complete),
      expiresInS: started.expires_in,
      intervalS: started.interval ?? DEFAULT_INTERVAL_S,
    };
  } catch (cause) {
    return outcomeOf(cause, exchange.answer());
  }
}

export async function pollDevice(
  deps: WireDeps & { readonly idTokens: IdTokens }, client: ClientAt, profile: Profile, device: DeviceGrant, want: Want, signal: AbortSignal,
): Promise<PollOutcome> {
  const exchange = openExchange(deps, client, signal);
  try {
    const parameters = { device_code: device.deviceCode.reveal(), code_verifier: device.verifier.reveal(), ...resourceParams(profile, want) };
    await genericGrantRequest(configure(client, exchange.fetch), DEVICE_GRANT, parameters);
    const terms = { client, profile, want, nonce: null, stepUp: NO_STEP_UP };
    return { kind: 'tokens', tokens: await acceptSignIn(deps.idTokens, exchange.answer(), terms) };
  } catch (cause) {
    // The signal's reason belongs to whoever gave it; what it did here is that no answer came.
    if (signal.aborted && exchange.answer() === null) return { kind: 'transient', answerLost: true, retryAfterMs: null, cause: 'aborted', reach: 'network', timedOut: false };
    // Google sends them with 428 and 403, others with 429: the word counts, not the status.
    if (cause instanceof ResponseBodyError && cause.error === 'authorization_pending') return { kind: 'pending', slowDown: false };
    if (cause instanceof ResponseBodyError && cause.error === 'slow_down') return { kind: 'pending', slowDown: true };
    return withTokens(outcomeOf(cause, exchange.answer()), receivedTokens(exchange.answer(), profile, want));
  }
}

/** Its scheme and host are judged in flows/ before anybody sees it; here it only has to be a URL in plain letters. */
function uriOf(text: string): string {
  if (text.length > 2048 || /[^\x21-\x7e]/.test(text) || !URL.canParse(text)) throw new AnswerRefused('issuer_response_invalid', 'the device page is not a URL');
  return text;
}
