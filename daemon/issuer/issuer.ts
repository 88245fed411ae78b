/**
 * The Issuer port. Nothing of openid-client, jose and the network is loaded before the first call that needs it:
 * a daemon that only hands out what it has does without their memory and their time.
 */
import type { AuthorizationRequest, Clock, Issuer, Log, Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { Skews } from './skew.ts';
import type { WiredIssuer } from './wired-issuer.ts';

/** RFC 7636, section 4.1: 32 octets make a verifier of 43 characters. */
const RANDOM_BYTES = 32;
/** Of one request, from the name to the last byte of the body. */
const TIMEOUT_MS = 10_000;

type IssuerDeps = { readonly clock: Clock; readonly random: Random; readonly log: Log };

export function createIssuer({ clock, random, log }: IssuerDeps, options: { readonly timeoutMs?: number } = {}): Issuer & { close(): Promise<void> } {
  const skews = new Skews(clock);
  const fresh = (): Secret => new Secret(random.token(RANDOM_BYTES));
  /** Requests whose code was offered (AZ-13). */
  const redeemed = new WeakSet<AuthorizationRequest>();
  let wired: Promise<WiredIssuer> | null = null;

  function load(): Promise<WiredIssuer> {
    wired ??= import('./wired-issuer.ts').then(({ wireIssuer }) => wireIssuer({ clock, log, skews }, options.timeoutMs ?? TIMEOUT_MS));
    return wired;
  }

  return {
    discover: async (profile, { fresh: isFresh } = { fresh: false }) => (await load()).discover(profile, isFresh),
    newAuthorizationRequest: (redirectUri) => ({ redirectUri, state: fresh(), nonce: fresh(), verifier: fresh() }),
    authorizationUrl: async (...args) => (await load()).authorizationUrl(...args),
    async redeem(client, profile, request, callback, want, stepUp) {
      if (redeemed.has(request)) throw new Error('an authorization request is redeemed once');
      redeemed.add(request);
      return (await load()).redeem(client, profile, request, callback, want, stepUp);
    },
    startDevice: async (client, profile, want) => (await load()).startDevice(client, profile, want, fresh()),
    pollDevice: async (...args) => (await load()).pollDevice(...args),
    refresh: async (...args) => (await load()).refresh(...args),
    revoke: async (...args) => (await load()).revoke(...args),
    probe: async (...args) => (await load()).probe(...args),
    skews: () => skews.list(),
    async close() {
      if (wired !== null) await (await wired).close();
    },
  };
}
