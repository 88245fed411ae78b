/**
 * What policy says to a request for a token, in the words of the engine. The token route asks it before it
 * answers, and explain asks the same functions, so that the two cannot differ.
 */
import type { Caller, Grant, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import { decide, ruleText } from '../../policy/decide.ts';
import type { Decision, Policy } from '../../policy/decide.ts';
import type { PolicyRequest, Subject } from '../../policy/facts.ts';
import { rule } from '../../policy/interim.ts';
import type { Ruling } from '../../policy/interim.ts';
import type { Broker } from './broker.ts';

/** What is asked for, as rules see it: the grant tells what nobody named. Without one no token can leave, and what is asked is whether a sign-in would help. */
export function policyRequestOf(profile: Profile, grant: Grant | null, asked: { readonly scopes: readonly string[] | null; readonly resource: string | null }, nowMs: number): PolicyRequest {
  return {
    profile: profile.name,
    issuer: profile.issuer,
    tenant: grant?.identity?.tenant ?? null,
    resource: asked.resource,
    scopes: asked.scopes ?? grant?.scopes ?? profile.scopes,
    flow: grant?.flow ?? 'authorization_code',
    signedInS: grant === null ? 0 : (nowMs - signedInMs(grant)) / 1000,
    tier: profile.tier,
    isSignIn: grant === null,
  };
}

/** When the person signed in, as the issuer says; else when the answer came. */
function signedInMs({ identity, signedInAt }: Grant): number {
  return identity?.authTime === null || identity === null ? signedInAt : identity.authTime * 1000;
}

type Deciders = Pick<Broker, 'lifecycle' | 'uid' | 'approvals'>;

/** Before any rule of a file: another user, and the user's own lock. Null: neither. */
export function builtInDenial({ lifecycle, uid }: Pick<Broker, 'lifecycle' | 'uid'>, caller: Pick<Caller, 'uid'>): Decision & { readonly kind: 'deny' } | null {
  const denied = (name: string, reason: string): Decision & { readonly kind: 'deny' } => ({ kind: 'deny', by: { rule: name, source: 'built-in' }, reason, tier: 'normal' });
  if (caller.uid !== uid) return denied('same-user', 'the caller is another user');
  return lifecycle.locked ? denied('user-lock', 'the user locked the broker') : null;
}

export function rulingOn(broker: Deciders, policy: Policy, subject: Subject, request: PolicyRequest): Ruling {
  const denied = builtInDenial(broker, subject);
  if (denied !== null) return { kind: 'deny', decision: denied };
  return rule(policy, decide(policy, subject, request), broker.approvals);
}

/** Null: the request may go on. */
export function refusalOf(ruling: Ruling, profile: string): BrokerError | null {
  const { decision } = ruling;
  const name = ruleText(decision.by);
  const why = decision.reason ?? 'policy does not allow it';
  switch (ruling.kind) {
    case 'allow':
      return null;
    case 'deny':
      if (name === 'user-lock') return new BrokerError('vault_locked', 'the user locked the broker');
      return new BrokerError('policy_denied', `${why} (rule ${name})`, { reason: name, hint: `See which rule says so, and why: valetkey policy explain --profile ${profile}` });
    case 'ask':
    case 'no_channel':
      return new BrokerError('approval_required', `${why} (rule ${name}), and there is no way to ask a person yet`, { reason: name });
  }
}
