/**
 * What of a request is privileged, so that it is had just in time and never with the rest (AU-08). Pure. Scopes that
 * policy lifts into that tier are told one by one; where only some together are lifted, all of them are privileged.
 */
import type { Scope } from '../../shared/names.ts';
import type { Profile } from '../core/domain.ts';
import { decide } from './decide.ts';
import type { Policy } from './decide.ts';
import type { PolicyRequest, Subject } from './facts.ts';

/** A sign-in that is only wished for: it would be of now, of a tenant that nobody knows yet, and by a person who is there. */
export function signInRequest(profile: Profile, scopes: readonly string[]): PolicyRequest {
  return {
    profile: profile.name, issuer: profile.issuer, tenant: null, resource: profile.resource, scopes, flow: 'authorization_code', use: 'token', signedInS: 0, found: [], screenLocked: false, tier: profile.tier, isSignIn: true,
  };
}

/** No rule is asked where nothing can lift: most requests are of such profiles. */
export function isPrivileged(policy: Policy, subject: Subject, request: PolicyRequest): boolean {
  if (request.tier === 'privileged') return true;
  return policy.baseLifts.length + policy.userLifts.length > 0 && decide(policy, subject, request).tier === 'privileged';
}

/**
 * The scopes of a sign-in. One that names none leaves out what is privileged, unless the profile is; one that names
 * some gets those, and is just in time if one of them is privileged.
 */
export function scopesOfSignIn(policy: Policy, subject: Subject, profile: Profile, named: readonly Scope[] | null): readonly Scope[] {
  if (named !== null) return named;
  const { scopes } = profile;
  if (!isPrivileged(policy, subject, signInRequest(profile, scopes))) return scopes;
  const rest = scopes.filter((scope) => !isPrivileged(policy, subject, signInRequest(profile, [scope])));
  return rest.length === 0 || isPrivileged(policy, subject, signInRequest(profile, rest)) ? scopes : rest;
}
