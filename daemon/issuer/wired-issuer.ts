/**
 * The calls to an issuer over openid-client, jose and node's own HTTP, which nothing else imports. Outcomes are
 * returned; a throw from here is a mistake of the daemon or of its configuration.
 */
import type { Profile } from '../core/domain.ts';
import type { ClientAt, Clock, DeviceOutcome, Discoverable, Issuer, Log, Random, ServerOutcome, Want } from '../core/ports.ts';
import type { Discovery } from '../core/discovery-port.ts';
import type { Resources } from '../core/resource-port.ts';
import type { Secret } from '../core/secret.ts';
import type { WorkloadIssuer } from '../core/workload.ts';
import { makeAuthorizationUrl } from './authorize.ts';
import { makeClientKey } from './client-assertion.ts';
import { clientCredentials, revokeWorkloadToken } from './client-credentials.ts';
import { pollDevice, startDevice } from './device.ts';
import { discoverServer } from './discover.ts';
import { DiscoveryCache } from './discovery-cache.ts';
import { createHttp } from './http.ts';
import { IdTokens } from './id-token.ts';
import { SigningKeys } from './keys.ts';
import { readClientDocument, registerClient } from './new-client.ts';
import { probeServer } from './probe.ts';
import { findProtectedResource } from './protected-resource.ts';
import { redeemCode } from './redeem.ts';
import { refreshTokens } from './refresh.ts';
import { createResources } from './resource.ts';
import { revokeToken } from './revoke.ts';
import type { Skews } from './skew.ts';

export type TimeLimits = {
  /** Of one request, from the name to the last byte of the body. */
  readonly timeoutMs: number;
  /** Of a refresh, from the moment it is sent: its answer may hold the only valid refresh token. */
  readonly patienceMs: number;
};

export type WiredIssuer = Resources & Discovery & Pick<Issuer, 'authorizationUrl' | 'redeem' | 'pollDevice' | 'refresh' | 'revoke' | 'probe'> & WorkloadIssuer & {
  discover(profile: Discoverable, isFresh: boolean): Promise<ServerOutcome>;
  startDevice(client: ClientAt, profile: Profile, want: Want, verifier: Secret): Promise<DeviceOutcome>;
  close(): Promise<void>;
};

export function wireIssuer({ clock, random, log, skews }: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly skews: Skews }, { timeoutMs, patienceMs }: TimeLimits): WiredIssuer {
  const http = createHttp({ log, timeoutMs });
  const idTokens = new IdTokens({ keys: new SigningKeys(http, clock), skews, log });
  const deps = { http, clock, random, log, skews, idTokens };
  const discovered = new DiscoveryCache({ clock, log, fetch: (profile, signal) => discoverServer(deps, profile, signal) });

  return {
    discover: (profile, isFresh) => discovered.discover(profile, isFresh),
    authorizationUrl: (client, profile, request, want, stepUp, loginHint) => makeAuthorizationUrl(deps, client, profile, request, want, stepUp, loginHint),
    redeem: (client, profile, request, callback, want, stepUp) => redeemCode(deps, client, profile, request, callback, want, stepUp),
    startDevice: (client, profile, want, verifier) => startDevice(deps, client, profile, want, verifier),
    pollDevice: (client, profile, device, want, signal) => pollDevice(deps, client, profile, device, want, signal),
    refresh: (client, profile, refreshToken, want, previous, onConnected) => refreshTokens({ ...deps, patienceMs, onConnected }, client, profile, refreshToken, want, previous),
    revoke: (client, token, kind) => revokeToken(deps, client, token, kind),
    probe: (server, connection) => probeServer(deps, server, connection),
    ...createResources({ log, trust: http.trust }),
    protectedResource: (url, expected, connection) => findProtectedResource(http, url, expected, connection),
    registerClient: (endpoint, redirectUris, connection) => registerClient(http, endpoint, redirectUris, connection),
    clientDocument: (url, connection) => readClientDocument(http, url, connection),
    makeClientKey,
    clientCredentials: (client, workload, want) => clientCredentials(deps, client, workload, want),
    revokeWorkloadToken: (client, token) => revokeWorkloadToken(deps, client, token),
    async close() {
      discovered.close();
      await http.close();
    },
  };
}
