/**
 * The Issuer port over openid-client, jose and undici, which nothing else imports. Outcomes are returned; a
 * throw from here is a mistake of the daemon or of its configuration.
 */
import type { AuthorizationRequest, Clock, Issuer, Log, Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { makeAuthorizationUrl } from './authorize.ts';
import { pollDevice, startDevice } from './device.ts';
import { discoverServer } from './discover.ts';
import { createHttp } from './http.ts';
import { IdTokens } from './id-token.ts';
import { SigningKeys } from './keys.ts';
import { redeemCode } from './redeem.ts';
import { refreshTokens } from './refresh.ts';
import { revokeToken } from './revoke.ts';

/** RFC 7636, section 4.1: 32 octets make a verifier of 43 characters. */
const RANDOM_BYTES = 32;
/** Of one request, from the name to the last byte of the body. */
const TIMEOUT_MS = 10_000;

type IssuerDeps = { readonly clock: Clock; readonly random: Random; readonly log: Log };

export function createIssuer({ clock, random, log }: IssuerDeps, options: { readonly timeoutMs?: number } = {}): Issuer & { close(): Promise<void> } {
  const http = createHttp({ log, timeoutMs: options.timeoutMs ?? TIMEOUT_MS });
  const idTokens = new IdTokens({ keys: new SigningKeys(http, clock), clock, log });
  const deps = { http, clock, log, idTokens };
  const fresh = (): Secret => new Secret(random.token(RANDOM_BYTES));
  /** Requests whose code was offered (AZ-13). */
  const redeemed = new WeakSet<AuthorizationRequest>();

  return {
    discover: (profile) => discoverServer(deps, profile),
    newAuthorizationRequest: (redirectUri) => ({ redirectUri, state: fresh(), nonce: fresh(), verifier: fresh() }),
    authorizationUrl: (client, profile, request, want, stepUp, loginHint) => makeAuthorizationUrl(deps, client, profile, request, want, stepUp, loginHint),
    async redeem(client, profile, request, callback, want, stepUp) {
      if (redeemed.has(request)) throw new Error('an authorization request is redeemed once');
      redeemed.add(request);
      return redeemCode(deps, client, profile, request, callback, want, stepUp);
    },
    startDevice: (client, profile, want) => startDevice(deps, client, profile, want, fresh()),
    pollDevice: (client, profile, device, want, signal) => pollDevice(deps, client, profile, device, want, signal),
    refresh: (client, profile, refreshToken, want, previous) => refreshTokens(deps, client, profile, refreshToken, want, previous),
    revoke: (client, token, kind) => revokeToken(deps, client, token, kind),
    probe: async () => ({ kind: 'reached' }),
    skews: () => [],
    close: () => http.close(),
  };
}
