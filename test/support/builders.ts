/** Things of the domain for tests; each takes what differs. Secrets keep their shape and end in EXAMPLE. */
import type { EpochMs, ProfileName, Scope } from '../../shared/names.ts';
import type { AccessToken, AuthorizationServer, Caller, Grant, Identity, IssuerTraits, Origin, Profile, SessionFacts } from '../../daemon/core/domain.ts';
import type { Callers, Desktop } from '../../daemon/core/ports.ts';
import type { Workload } from '../../daemon/core/workload.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { momentOf } from '../../daemon/core/time.ts';
import type { Instant } from '../../daemon/core/time.ts';

export const T0 = Date.UTC(2026, 10, 23) as EpochMs;
/** T0 by both clocks. */
export function instant(sinceT0Ms = 0): Instant {
  return { now: (T0 + sinceT0Ms) as EpochMs, boottimeMs: 1_000_000 + sinceT0Ms, bootId: 'boot-1' };
}
export const profileName = (name: string): ProfileName => name as ProfileName;
export const scopes = (text: string): readonly Scope[] => text.split(' ').filter(Boolean) as Scope[];

export function someTraits(over: Partial<IssuerTraits> = {}): IssuerTraits {
  return {
    metadata: 'oidc', offlineScope: 'offline_access' as Scope, authorizationParams: {}, pkce: 'listed', resourceStyle: 'resource',
    scopeAliases: {}, extraScopes: 'refuse', narrowing: 'safe', redirectPorts: [], redirectPath: null, deviceVerificationHosts: [], refreshGraceS: null, refreshAt: 0.8,
    defaultExpiresInS: null, clientSecret: 'none', ...over,
  };
}

export function someProfile(over: Partial<Profile> = {}): Profile {
  return {
    name: profileName('work'), preset: 'oidc', issuer: 'https://issuer.example', clientId: 'client-EXAMPLE', clientAuth: 'none',
    scopes: scopes('openid api'), resource: null, flow: 'auto', browser: null, caFile: null, caPem: null, proxy: null,
    allowLoopbackHttp: false, keepAliveS: null, maxTokenLifeS: null, tier: 'normal', fetch: { origins: [], methods: ['GET', 'HEAD'], headers: [], allowPrivate: false }, redirectPath: '/cb/0123456789ab', endpoints: null, traits: someTraits(), digest: 'digest-1', ...over,
  };
}

export function someWorkload(over: Partial<Workload> = {}): Workload {
  return {
    name: profileName('backup'), preset: 'oidc', issuer: 'https://issuer.example', clientId: 'backup-EXAMPLE', scopes: scopes('read'), resource: null, tier: 'normal', maxTokenLifeS: null,
    caFile: null, caPem: null, proxy: null, allowLoopbackHttp: false, endpoints: null, traits: someTraits({ pkce: 'unused' }), digest: 'digest-w', auth: { kind: 'private_key_jwt' }, keyDigest: 'key-digest-w',
    owner: 'team EXAMPLE', purpose: 'a test', expiresAt: null, ...over,
  };
}

export function someServer(over: Partial<AuthorizationServer> = {}): AuthorizationServer {
  return {
    issuer: 'https://issuer.example', authorizationEndpoint: 'https://issuer.example/auth', tokenEndpoint: 'https://issuer.example/token',
    revocationEndpoint: 'https://issuer.example/revoke', deviceAuthorizationEndpoint: 'https://issuer.example/device', endSessionEndpoint: null,
    pushedAuthorizationRequestEndpoint: null, requirePushedAuthorizationRequests: false, jwksUri: 'https://issuer.example/jwks',
    issParameterSupported: true, idTokenSigningAlgs: ['RS256'], scopesSupported: null, isOpenIdProvider: true, ...over,
  };
}

export function someIdentity(over: Partial<Identity> = {}): Identity {
  return { sub: 'alice', name: 'Alice', email: 'alice@example.com', tenant: null, acr: null, amr: [], authTime: T0 / 1000, aud: ['client-EXAMPLE'], azp: null, nonceDigest: null, ...over };
}

export function someToken(over: Partial<AccessToken> = {}): AccessToken {
  return {
    value: new Secret('at-1-EXAMPLE'), tokenType: 'Bearer', scopes: scopes('openid api'), beyond: [], byDefault: true, resource: null,
    acr: null, amr: [], authTime: null, isStepUp: false, obtainedAt: T0, expiresAt: (T0 + 600_000) as EpochMs, life: null, ...over,
  };
}

export function someGrant(over: Partial<Grant> = {}): Grant {
  return {
    profile: profileName('work'), issuer: 'https://issuer.example', clientId: 'client-EXAMPLE', digest: 'digest-1', generation: 1,
    server: someServer(), flow: 'authorization_code', scopes: scopes('openid api'), resource: null, identity: someIdentity(),
    signedInAt: T0, session: { startedAt: momentOf(instant()), lastActAt: momentOf(instant()) }, refreshedAt: null, rotates: null, refreshTokenExpiresAt: null, authorizationExpiresAt: null,
    state: { kind: 'active', refreshToken: new Secret('rt-1-EXAMPLE'), tokens: [someToken()] }, ...over,
  };
}

/** A program of a person at a terminal. */
export function someOrigin(over: Partial<Origin> = {}): Origin {
  return {
    class: 'human', agent: null, agentProcess: null, program: { executable: '/usr/bin/git', script: null }, run: null, digest: null,
    lineage: [{ pid: 4700, startTime: '90', name: 'bash', executable: '/usr/bin/bash', script: null }],
    sessionLeader: { pid: 4700, startTime: '90' }, isOrphan: false, unit: 'session-3.scope', container: false, remote: false, forwarded: false, ...over,
  };
}

export function someCaller(over: Partial<Caller> = {}): Caller {
  return { origin: someOrigin(), uid: 1000, pid: 4711, startTime: '100', executable: '/usr/bin/git', script: null, terminal: { device: 34816, foreground: true }, label: 'git (pid 4711)', ...over };
}

/** A person at a local desktop with a browser. */
export function someFacts(over: Partial<SessionFacts> = {}): SessionFacts {
  return {
    automation: null, remote: false, container: false, wsl: null, vdi: false, sharedHost: false, gui: 'active', browser: 'graphical',
    tty: true, serviceSession: false, ide: false, forwarded: false, ...over,
  };
}

/** Callers that are always the same, and stay it. */
export function someCallers(over: Partial<Callers> = {}): Callers {
  return {
    attest: async () => someCaller(), stillSame: () => true, isRunning: () => true, lookOnce: (work) => work(), digestOf: async () => null, programAt: async () => null, classReason: () => 'a test says so',
    session: async () => someFacts(), ...over,
  };
}

/** A machine without a screen. */
export function someDesktop(over: Partial<Desktop> = {}): Desktop {
  return {
    find: async () => 'a test has no screen', ask: async () => ({ kind: 'none', why: 'a test has no screen' }), tell: async () => undefined,
    state: async () => ({ dialogs: null, notifications: false, why: 'a test has no screen' }), ...over,
  };
}
