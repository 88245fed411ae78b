/**
 * The Issuer port. Nothing of openid-client, jose and the network is loaded before the first call that needs it:
 * a daemon that only hands out what it has does without their memory and their time.
 */
import { later } from '../core/later.ts';
import type { AuthorizationRequest, Clock, Issuer, Log, Random, Transient } from '../core/ports.ts';
import type { Discovery } from '../core/discovery-port.ts';
import type { Resources } from '../core/resource-port.ts';
import { Secret } from '../core/secret.ts';
import type { WorkloadIssuer } from '../core/workload.ts';
import { Skews } from './skew.ts';
import type { TimeLimits, WiredIssuer } from './wired-issuer.ts';

/** RFC 7636, section 4.1: 32 octets make a verifier of 43 characters. */
const RANDOM_BYTES = 32;
const TIME_LIMITS: TimeLimits = { timeoutMs: 10_000, patienceMs: 60_000 };

/** What could not even be loaded has sent nothing. */
const NOT_SENT: Transient = { kind: 'transient', answerLost: false, retryAfterMs: null, cause: 'network', reach: 'network', timedOut: false };

type IssuerDeps = { readonly clock: Clock; readonly random: Random; readonly log: Log };

export function createIssuer({ clock, random, log }: IssuerDeps, limits: TimeLimits = TIME_LIMITS): Issuer & WorkloadIssuer & Resources & Discovery & { close(): Promise<void> } {
  const skews = new Skews(clock);
  const fresh = (): Secret => new Secret(random.token(RANDOM_BYTES));
  /** Requests whose code was offered (AZ-13). */
  const redeemed = new WeakSet<AuthorizationRequest>();
  let wired: WiredIssuer | null = null;
  const load = later(async () => {
    const { wireIssuer } = await import('./wired-issuer.ts');
    return (wired = wireIssuer({ clock, random, log, skews }, limits));
  });

  async function call<Outcome>(ask: (issuer: WiredIssuer) => Promise<Outcome>): Promise<Outcome | Transient> {
    let issuer: WiredIssuer;
    try {
      issuer = await load();
    } catch (cause) {
      log.error('issuer_not_loaded', {}, cause);
      return NOT_SENT;
    }
    return ask(issuer);
  }

  return {
    discover: (profile, { fresh: isFresh } = { fresh: false }) => call((issuer) => issuer.discover(profile, isFresh)),
    newAuthorizationRequest: (redirectUri) => ({ redirectUri, state: fresh(), nonce: fresh(), verifier: fresh() }),
    authorizationUrl: (...args) => call((issuer) => issuer.authorizationUrl(...args)),
    async redeem(client, profile, request, callback, want, stepUp) {
      if (redeemed.has(request)) throw new Error('an authorization request is redeemed once');
      redeemed.add(request);
      return call((issuer) => issuer.redeem(client, profile, request, callback, want, stepUp));
    },
    startDevice: (client, profile, want) => call((issuer) => issuer.startDevice(client, profile, want, fresh())),
    pollDevice: (...args) => call((issuer) => issuer.pollDevice(...args)),
    refresh: (...args) => call((issuer) => issuer.refresh(...args)),
    revoke: (...args) => call((issuer) => issuer.revoke(...args)),
    probe: (...args) => call((issuer) => issuer.probe(...args)),
    makeClientKey: async (alg) => (await load()).makeClientKey(alg),
    clientCredentials: (...args) => call((issuer) => issuer.clientCredentials(...args)),
    revokeWorkloadToken: (...args) => call((issuer) => issuer.revokeWorkloadToken(...args)),
    fetchResource: async (...args) => (await load()).fetchResource(...args),
    protectedResource: async (...args) => (await load()).protectedResource(...args),
    registerClient: async (...args) => (await load()).registerClient(...args),
    clientDocument: async (...args) => (await load()).clientDocument(...args),
    skews: () => skews.list(),
    async close() {
      await wired?.close();
    },
  };
}
