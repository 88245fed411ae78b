/**
 * By which sign-in a request is decided, and of which its token comes: the grant of the profile, or for what policy
 * calls privileged the one that was made for it, just in time (AU-08). Token requests and explain ask the same.
 */
import type { AccessToken, Grant, Profile } from '../../core/domain.ts';
import type { TokenNeed } from '../../core/grant.ts';
import type { Tier } from '../../core/policy-rules.ts';
import type { Instant } from '../../core/time.ts';
import type { Policy } from '../../policy/decide.ts';
import type { PolicyRequest, Subject } from '../../policy/facts.ts';
import { isPrivileged } from '../../policy/privilege.ts';
import { refuseUnrecorded } from '../../tokens/just-in-time.ts';
import { privilegeRequired } from '../../tokens/login-required.ts';
import type { Broker } from './broker.ts';
import { momentOf } from './moment.ts';
import { policyRequestOf } from './ruling.ts';

export type Ground = {
  readonly grant: Grant | null;
  readonly isPrivileged: boolean;
  /** What rules look at, with the facts of that grant. */
  readonly request: PolicyRequest;
  /** Throws login_required: a token that holds more than was asked for may be privileged for what it holds. */
  readonly check: (token: AccessToken) => void;
};

/** @param over - what the asker wants it to be, in the place of what is known of the grant */
export function groundOf(broker: Pick<Broker, 'audit' | 'book' | 'justInTime' | 'screen'>, policy: Policy, subject: Subject, profile: Profile, asked: TokenNeed, at: Instant, over: Partial<PolicyRequest> = {}): Ground {
  const { book, justInTime } = broker;
  const kept = book.get(profile.name);
  const known = { ...momentOf(broker, policy, subject, profile.name), ...over };
  const request = { ...policyRequestOf(profile, kept, asked, at), ...known };
  const check = (token: AccessToken): void => {
    if (isPrivileged(policy, subject, { ...request, scopes: token.scopes })) throw privilegeRequired(profile, null);
  };
  if (!isPrivileged(policy, subject, request)) return { grant: kept, isPrivileged: false, request, check };
  const grant = justInTime.find(profile, asked);
  return { grant, isPrivileged: true, request: { ...policyRequestOf(profile, grant, asked, at), ...known }, check: () => undefined };
}

/** Throws what keeps a privileged request from going on, whatever the rules say. */
export function refuseWithout({ audit }: Pick<Broker, 'audit'>, { grant, isPrivileged: is }: Ground, profile: Profile, { scopes }: Pick<TokenNeed, 'scopes'>): void {
  if (!is) return;
  refuseUnrecorded(audit);
  if (grant === null) throw privilegeRequired(profile, scopes);
}

/** The same for a workload, which no person signs in for. */
export function refuseUnrecordedOf({ audit }: Pick<Broker, 'audit'>, tier: Tier): void {
  if (tier === 'privileged') refuseUnrecorded(audit);
}
