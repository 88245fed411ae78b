/**
 * What policy says to a sign-in: the facts that the chooser looks at, and what the sign-in has to reach so that
 * its tokens may be handed out (SU-02). A rule that asks for confirmation does not stop a sign-in, in which a
 * person takes part anyway.
 */
import type { Config, Profile } from '../core/domain.ts';
import type { StepUp } from '../core/ports.ts';
import type { Tier } from '../core/policy-rules.ts';
import { decide, ruleText } from '../policy/decide.ts';
import type { Policy } from '../policy/decide.ts';
import type { Subject } from '../policy/facts.ts';
import { signInRequest } from '../policy/privilege.ts';
import { NO_LIMITS } from '../policy/strictness.ts';
import type { Limits } from '../policy/strictness.ts';

export type Standing = {
  readonly trusted: boolean;
  readonly issuerAllowed: boolean;
  readonly deviceAllowed: boolean;
  readonly deviceOverride: boolean;
  readonly sshForward: boolean;
  readonly risk: Tier;
  readonly limits: Limits;
  /** The rule that decided; null: there is no policy to decide by. */
  readonly rule: string | null;
};

/** @param policy - null: it is closed, and nothing is allowed */
export function standingOf(policy: Policy | null, config: Config, profile: Profile, subject: Subject, scopes: readonly string[]): Standing {
  if (policy === null) return { trusted: false, issuerAllowed: false, deviceAllowed: false, deviceOverride: false, sshForward: false, risk: profile.tier, limits: NO_LIMITS, rule: null };
  const decision = decide(policy, subject, signInRequest(profile, scopes));
  const limits = decision.kind === 'deny' ? NO_LIMITS : decision.limits;
  return {
    trusted: true,
    issuerAllowed: decision.kind !== 'deny',
    deviceAllowed: isDeviceIssuer(policy, config, profile) && (limits.flows === null || limits.flows.includes('device_code')),
    deviceOverride: policy.documents.admin?.device.sameDevice === true && isDeviceIssuer(policy, config, profile),
    sshForward: limits.flows === null || limits.flows.includes('authorization_code'),
    risk: decision.tier,
    limits,
    rule: ruleText(decision.by),
  };
}

/** FC-08: without an admin's file the user's list is the policy; with one, an issuer has to be on both. */
function isDeviceIssuer({ documents: { admin, user } }: Policy, config: Config, { issuer }: Profile): boolean {
  if (!config.deviceIssuers.includes(issuer)) return false;
  if (admin !== null && admin.device.issuers?.includes(issuer) !== true) return false;
  return user === null || user.device.issuers === null || user.device.issuers.includes(issuer);
}

/** What the caller asked for and what policy demands, together. */
export function stepUpWithin({ acrValues, maxAgeS, ...rest }: StepUp, { acr, maxAgeS: limitS }: Limits): StepUp {
  const both = acr === null ? acrValues : acrValues.length === 0 ? acr : acrValues.filter((each) => acr.includes(each));
  return {
    ...rest,
    // Nothing in common: what policy demands; the token is then refused for want of what was asked for.
    acrValues: acr !== null && both.length === 0 ? acr : both,
    maxAgeS: limitS === null ? maxAgeS : maxAgeS === null ? limitS : Math.min(limitS, maxAgeS),
  };
}
