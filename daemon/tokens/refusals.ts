/** What a caller is told where no token can be given, as errors of the one table. */
import { BrokerError, discardedAnswer, unreachable } from '../core/errors.ts';
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import { holdsScope, missingScopes, remainingMs } from '../core/grant.ts';
import type { TokenBounds, TokenNeed } from '../core/grant.ts';
import { sinceMs } from '../core/time.ts';
import type { Instant, Moment } from '../core/time.ts';
import type { Transient } from '../core/ports.ts';
import type { Outage } from './circuit.ts';
import { loginRequired } from './login-required.ts';
import type { RefreshOutcome } from './refresh.ts';

/** What came of asking for a refresh: what the issuer said, or why it was not asked. */
export type FlightOutcome = RefreshOutcome | { readonly kind: 'outage'; readonly outage: Outage };

/** Of a refresh that is on the wire for longer than anybody waits. */
export const NO_ANSWER_YET: Transient = { kind: 'transient', answerLost: true, retryAfterMs: null, reach: 'network', cause: 'timeout', timedOut: true };

/** The cause of a back-off after an answer that is no OAuth answer. */
export const UNREADABLE = 'unreadable_answer';

/** No OAuth answer: a proxy or a portal stands between, or the server is ill. */
export function isNoise(outcome: FlightOutcome): boolean {
  return outcome.kind === 'refused' && outcome.code === 'issuer_response_invalid';
}

export function tooShort(profile: Pick<Profile, 'name' | 'issuer'>, lifeMs: number, need: TokenNeed, verb = 'token'): BrokerError {
  return new BrokerError('min_ttl_unmet', `${profile.issuer} gives tokens of ${Math.floor(lifeMs / 1000)} s; ${Math.ceil(need.minTtlMs / 1000)} s were asked for`, {
    hint: `Run: valetkey ${verb} ${profile.name} --min-ttl ${Math.max(0, Math.floor(lifeMs / 2000))}`,
  });
}

/** TK-02: a token that lives longer than is allowed here does not leave, however much of its life is over. */
export function refuseLongLife({ name, issuer, maxTokenLifeS }: Pick<Profile, 'name' | 'issuer' | 'maxTokenLifeS'>, token: AccessToken, bounds: TokenBounds | null, at: Instant): void {
  const lifeS = (token.expiresAt - token.obtainedAt) / 1000;
  const given = `${issuer} gives tokens of ${Math.floor(lifeS)} s`;
  if (maxTokenLifeS !== null && lifeS > maxTokenLifeS) throw new BrokerError('as_token_too_long', `${given}; profile ${name} allows ${maxTokenLifeS} s`);
  if (bounds === null) return;
  const hint = 'Let whoever runs the issuer shorten them, or see the rule that is named';
  if (bounds.maxTokenLifeS !== null && lifeS > bounds.maxTokenLifeS) {
    throw new BrokerError('as_token_too_long', `${given}; rule ${bounds.rule} allows ${bounds.maxTokenLifeS} s`, { reason: bounds.rule, hint });
  }
  const leftS = remainingMs(token, at) / 1000;
  if (bounds.maxRemainingS !== null && leftS > bounds.maxRemainingS) {
    throw new BrokerError('as_token_too_long', `the token lives ${Math.floor(leftS)} s more; rule ${bounds.rule} allows ${bounds.maxRemainingS} s`, { reason: bounds.rule, hint });
  }
}

/** A fresh token of fewer scopes than were asked for, or of more than policy lets out: asking again gives no other. */
export function unmetScopes(profile: Profile, need: TokenNeed, token: AccessToken): BrokerError | null {
  const beyond = need.bounds?.beyond?.(token.scopes) ?? [];
  if (need.bounds !== null && beyond.length > 0) {
    return new BrokerError('policy_denied', `${profile.issuer} grants more than rule ${need.bounds.rule} lets out: ${beyond.join(' ')}`, {
      reason: need.bounds.rule, hint: 'Make a profile with fewer scopes, and sign in to it',
    });
  }
  const missing = (need.scopes ?? []).filter((scope) => !holdsScope(token.scopes, scope, profile.traits.scopeAliases));
  return missing.length === 0 ? null : new BrokerError('scope_not_granted', `${profile.issuer} granted only: ${token.scopes.join(' ')}`);
}

export function refuseMissingScopes(profile: Profile, grant: Grant, need: TokenNeed): void {
  if (need.scopes === null) return;
  const missing = missingScopes(grant, need.scopes, profile.traits.scopeAliases);
  if (missing.length === 0) return;
  throw new BrokerError('scope_not_granted', `the sign-in of profile ${profile.name} was not granted: ${missing.join(' ')}`, {
    hint: `Run: valetkey login ${profile.name} --scope "${[...new Set([...grant.scopes, ...missing])].join(' ')}"`,
  });
}

/**
 * Issuers refuse a resource that the sign-in did not name (RFC 8707, section 2.2), and some consume the
 * refresh token before they look: asking would cost the grant. Only where resources are scopes is it safe.
 */
export function refuseOtherResource(profile: Profile, grant: Grant, resource: string | null): void {
  if (resource === grant.resource || profile.traits.resourceStyle === 'scope_prefix') return;
  throw new BrokerError('resource_not_granted', `the sign-in of profile ${profile.name} was for ${grant.resource ?? 'no resource'}`, {
    hint: resource === null ? `Run: valetkey login ${profile.name}` : `Set resource = "${resource}" in a profile, then run: valetkey login PROFILE`,
  });
}

/** DG-10: a sign-in by a code that was typed elsewhere ends when nobody used it for a working day. */
const DEVICE_IDLE_MS = 28_800_000;

/**
 * DG-10: what a device sign-in is not good enough for. A profile for PKCE alone may have been another one when it was
 * signed in to.
 * @param lastUsedMs - when a caller last got a token of it
 */
export function refuseDeviceGrant(profile: Profile, lastUsed: Moment, at: Instant): void {
  if (profile.flow === 'pkce') throw loginRequired(profile, 'flow');
  if (sinceMs(lastUsed, at) > DEVICE_IDLE_MS) throw loginRequired(profile, 'session_limit');
}

/** An issuer that answers 500 was reached; the network is not to be searched. */
function whatItDid({ reach }: Transient): string {
  return reach === 'server' ? 'answered with an error to' : 'did not answer';
}

/** What is no OAuth answer decides nothing; but some servers say no more than that of a dead refresh token. */
const ifItGoesOn = (profile: Pick<Profile, 'name'>): string => `Nothing is lost. If it goes on, run: valetkey login ${profile.name}`;

/** Of one that was reached the network is in order; of the others the table says what to look at. */
function adviceOn(cause: string, reach: Transient['reach'], profile: Pick<Profile, 'name'>): { readonly hint?: string } {
  if (cause === UNREADABLE) return { hint: ifItGoesOn(profile) };
  return reach === 'server' ? { hint: 'The issuer is ill; nothing is lost, and it is asked again when somebody asks' } : {};
}

/** Since when it has been so, and why nothing is sent now. */
export function outageError({ issuer, since, cause, reach, retryAfterS }: Outage, profile: Pick<Profile, 'name'>): BrokerError {
  const what = reach === 'server' ? 'has answered with errors' : 'has not been reached';
  return new BrokerError('issuer_unreachable', `${issuer} ${what} since ${new Date(since).toISOString().slice(0, 19)}Z (${cause}); the next try waits`, { retryAfterS, sinceMs: since, ...adviceOn(cause, reach, profile) });
}

export function transientError(transient: Transient, profile: Profile, retryAfterS: number): BrokerError {
  const { cause, reach } = transient;
  return new BrokerError('issuer_unreachable', `${profile.issuer} ${whatItDid(transient)} the refresh (${cause})`, { retryAfterS, ...adviceOn(cause, reach, profile) });
}

/** Null where the outcome lets this caller look again, or holds its token. */
export function failureIn(outcome: FlightOutcome, profile: Profile, retryAfterS: number): BrokerError | null {
  switch (outcome.kind) {
    case 'transient':
      return transientError(outcome.transient, profile, retryAfterS);
    case 'outage':
      return outageError(outcome.outage, profile);
    case 'parked':
      return loginRequired(profile, outcome.reason);
    case 'refused':
      if (outcome.reason !== null) return loginRequired(profile, outcome.reason);
      return new BrokerError(outcome.code, outcome.message, isNoise(outcome) ? { hint: ifItGoesOn(profile) } : {});
    case 'refreshed':
      return outcome.discarded === null ? null : discardedAnswer(profile, outcome.discarded);
    case 'overtaken':
      return null;
    default:
      return unreachable(outcome);
  }
}

/** What concerns everybody who waits, as opposed to an answer to one wish. */
export function concernsAll({ kind }: FlightOutcome): boolean {
  return kind === 'transient' || kind === 'outage' || kind === 'parked';
}
