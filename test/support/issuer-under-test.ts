/**
 * The real Issuer adapter by a clock that follows the machine's and can be moved, and the hands of a sign-in
 * around it: a profile for an issuer on loopback, the client at it, a browser that brings back the callback.
 */
import { randomBytes } from 'node:crypto';
import { CookieJar } from '../../demo/cookie-jar.ts';
import { followLogin } from '../../demo/browser.ts';
import type { AuthorizationServer, Profile } from '../../daemon/core/domain.ts';
import { NO_STEP_UP } from '../../daemon/core/issuer-port.ts';
import type { AuthorizationRequest, ClientAt, Clock, Issuer, IssuerOutcome, TokenSet, Want } from '../../daemon/core/ports.ts';
import { createIssuer } from '../../daemon/issuer/issuer.ts';
import type { EpochMs } from '../../shared/names.ts';
import { scopes, someProfile } from './builders.ts';
import { LogSink } from './fakes.ts';

export class MovableClock implements Clock {
  /** Added to both clocks. */
  aheadMs = 0;
  now(): EpochMs {
    return (Date.now() + this.aheadMs) as EpochMs;
  }
  boottimeMs(): number {
    return performance.now() + this.aheadMs;
  }
  readonly bootId = 'boot-1';
  awakeMs(): number {
    return performance.now();
  }
  sleep(): Promise<void> {
    throw new Error('the issuer adapter never sleeps');
  }
}

export type UnderTest = { readonly issuer: Issuer & { close(): Promise<void> }; readonly clock: MovableClock; readonly log: LogSink };

/** @param limits - `patienceMs`: by default a refresh is given no more time than any other request */
export function makeIssuer(limits: { readonly timeoutMs?: number; readonly patienceMs?: number } = {}, clock = new MovableClock()): UnderTest {
  const { timeoutMs = 10_000, patienceMs = timeoutMs } = limits;
  const log = new LogSink();
  const random = { token: (bytes: number) => randomBytes(bytes).toString('base64url'), fraction: () => 0.5 };
  return { issuer: createIssuer({ clock, random, log }, { timeoutMs, patienceMs }), clock, log };
}

export const REDIRECT_URI = 'http://127.0.0.1:49152/callback';
/** For a refresh that has nothing to write before it is sent. */
export const atOnce = async (): Promise<void> => undefined;

export function profileAt(issuer: string, over: Partial<Profile> = {}): Profile {
  const base = someProfile();
  return {
    ...base, issuer, clientId: 'valetkey', scopes: scopes('openid read'), allowLoopbackHttp: true,
    traits: { ...base.traits, authorizationParams: { prompt: 'consent' } }, ...over,
  };
}

export function wantOf(profile: Profile): Want {
  return { scopes: profile.scopes, resource: profile.resource };
}

export function clientOf(profile: Profile, server: AuthorizationServer, over: Partial<ClientAt> = {}): ClientAt {
  return { server, clientId: profile.clientId, clientAuth: profile.clientAuth, clientSecret: null, connection: profile, ...over };
}

export async function discovered(issuer: Issuer, profile: Profile): Promise<AuthorizationServer> {
  const outcome = await issuer.discover(profile);
  if (outcome.kind !== 'server') throw new Error(`discovery failed: ${JSON.stringify(outcome)}`);
  return outcome.server;
}

export type Authorized = { readonly request: AuthorizationRequest; readonly callback: URLSearchParams; readonly url: URL };

/** Makes an authorization request and lets a person of this name answer it. */
export { NO_STEP_UP };

export async function authorize(issuer: Issuer, client: ClientAt, profile: Profile, login = 'ada', stepUp = NO_STEP_UP, deny = false): Promise<Authorized> {
  const request = issuer.newAuthorizationRequest(REDIRECT_URI);
  const made = await issuer.authorizationUrl(client, profile, request, wantOf(profile), stepUp, null);
  if (made.kind !== 'url') throw new Error(`no authorization URL: ${JSON.stringify(made)}`);
  const visit = await followLogin(made.url, { login, deny, jar: new CookieJar(), stopBefore: (url) => url.pathname === '/callback' });
  return { request, callback: new URL(visit.finalUrl).searchParams, url: new URL(made.url) };
}

export async function signIn(issuer: Issuer, client: ClientAt, profile: Profile, stepUp = NO_STEP_UP): Promise<IssuerOutcome> {
  const { request, callback } = await authorize(issuer, client, profile, 'ada', stepUp);
  return issuer.redeem(client, profile, request, callback, wantOf(profile), stepUp);
}

export function tokensOf(outcome: IssuerOutcome): TokenSet {
  if (outcome.kind !== 'tokens') throw new Error(`no tokens: ${JSON.stringify(outcome)}`);
  return outcome.tokens;
}
