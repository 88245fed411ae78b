/**
 * May this caller have what it asks for? Pure and total; an unknown case is a deny. Every answer names the
 * rule that gave it. The kernel told the caller's uid; nothing that a client says of itself is looked at.
 */
import type { Caller, Profile, ResourceStyle } from '../core/domain.ts';

export type DecisionRequest = {
  readonly resource: string | null;
  /** The user's own lock (`valetkey lock`). */
  readonly locked: boolean;
  readonly ownerUid: number;
};

export type Decision =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string };

/** Issuers of these styles cannot bind a token to a resource that the sign-in did not name. */
const ONE_RESOURCE: readonly ResourceStyle[] = ['none'];

export function decide(request: DecisionRequest, caller: Caller, profile: Profile): Decision {
  if (caller.uid !== request.ownerUid) {
    return { kind: 'deny', rule: 'same-user', reason: 'the caller is another user' };
  }
  if (request.locked) {
    return { kind: 'deny', rule: 'user-lock', reason: 'the user locked the broker' };
  }
  const foreign = request.resource !== null && request.resource !== profile.resource;
  if (foreign && ONE_RESOURCE.includes(profile.traits.resourceStyle)) {
    return { kind: 'deny', rule: 'one-resource', reason: 'this issuer cannot bind a token to a resource' };
  }
  return { kind: 'allow', rule: 'same-user' };
}
