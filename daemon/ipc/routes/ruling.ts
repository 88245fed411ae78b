/**
 * What policy says to a request for a token, in the words of the engine. The token route asks it before it
 * answers, and explain asks the same functions, so that the two cannot differ.
 */
import type { Asking } from '../../approvals/consents.ts';
import type { ErrorCode } from '../../../shared/errors.ts';
import type { Caller, Grant, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { ErrorFacts } from '../../core/errors.ts';
import type { Asking as Asked, TokenUse } from '../../core/policy-rules.ts';
import { signInAgeS } from '../../core/sign-in-age.ts';
import type { Instant } from '../../core/time.ts';
import { decide, ruleText } from '../../policy/decide.ts';
import type { Decision, Policy } from '../../policy/decide.ts';
import type { PolicyRequest, Subject } from '../../policy/facts.ts';
import type { Broker, Shut } from './broker.ts';

/** What is asked for, as rules see it: the grant tells what nobody named. Without one no token can leave, and what is asked is whether a sign-in would help. */
export function policyRequestOf(profile: Profile, grant: Grant | null, asked: { readonly scopes: readonly string[] | null; readonly resource: string | null }, at: Instant): PolicyRequest {
  return {
    profile: profile.name,
    issuer: profile.issuer,
    tenant: grant?.identity?.tenant ?? null,
    resource: asked.resource,
    scopes: asked.scopes ?? grant?.scopes ?? profile.scopes,
    flow: grant?.flow ?? 'authorization_code',
    use: 'token',
    signedInS: grant === null ? 0 : signInAgeS(grant, at),
    found: [],
    screenLocked: null,
    tier: profile.tier,
    isSignIn: grant === null,
  };
}

type Denied = Decision & { readonly kind: 'deny' };
type Deciders = Pick<Broker, 'lifecycle' | 'uid'>;

/** Before any rule of a file: another user, and the user's own lock. Null: neither. */
export function builtInDenial({ lifecycle, uid }: Pick<Broker, 'lifecycle' | 'uid'>, caller: Pick<Caller, 'uid'>): Denied | null {
  if (caller.uid !== uid) return builtIn('same-user', 'the caller is another user');
  return lifecycle.shut === null ? null : builtIn(lifecycle.shut, SHUT[lifecycle.shut].message);
}

const SHUT: Readonly<Record<Shut, { readonly code: ErrorCode; readonly message: string; readonly facts?: ErrorFacts }>> = {
  'user-lock': { code: 'vault_locked', message: 'the user locked the broker' },
  panic: { code: 'locked_out', message: 'everything was ended by valetkey panic, and nobody has come back since' },
  'screen-lock': { code: 'session_locked', message: 'the screen is locked, and policy lets no token out then' },
  'screen-unheard': {
    code: 'session_locked', message: 'policy lets no token out while the screen is locked, and logind does not tell whether it is',
    facts: { reason: 'screen_lock_unheard', hint: 'Run: valetkey status' },
  },
};

/** Why nothing leaves now; null: it may. */
export function shutError({ lifecycle: { shut } }: Pick<Broker, 'lifecycle'>): BrokerError | null {
  return shut === null ? null : shutErrorOf(shut);
}

function shutErrorOf(shut: Shut): BrokerError {
  const { code, message, facts } = SHUT[shut];
  return new BrokerError(code, message, facts);
}

const isShut = (name: string): name is Shut => Object.hasOwn(SHUT, name);

/** A no that no file can take away. */
export function builtIn(rule: string, reason: string): Denied {
  return { kind: 'deny', by: { rule, source: 'built-in' }, reason, tier: 'normal' };
}

export function rulingOn(broker: Deciders, policy: Policy, subject: Subject, request: PolicyRequest): Decision {
  return builtInDenial(broker, subject) ?? decide(policy, subject, request);
}

/** "Once" is once a month: a consent that nobody remembers is none. */
const ONCE_MS = 30 * 86_400_000;

export function askingOf(ask: Asked): Asking {
  switch (ask.kind) {
    case 'each': return { kind: 'each' };
    case 'for': return { kind: 'for', ms: ask.seconds * 1000 };
    case 'once': return { kind: 'for', ms: ONCE_MS };
  }
}

/** Null: the request may go on. Of one that a person is asked about: what it is told while nobody has answered. */
export function refusalOf(decision: Decision, profile: string, use: TokenUse = 'token'): BrokerError | null {
  const name = ruleText(decision.by);
  const why = decision.reason ?? 'policy does not allow it';
  switch (decision.kind) {
    case 'allow':
      return null;
    case 'deny':
      if (isShut(name)) return shutErrorOf(name);
      return new BrokerError('policy_denied', `${why} (rule ${name})`, { reason: name, hint: `See which rule says so, and why: valetkey policy explain --profile ${profile}${use === 'fetch' ? ' --use fetch' : ''}` });
    case 'confirm':
      return new BrokerError('approval_required', `a person has to agree that this program uses ${profile} (rule ${name})`, { reason: name });
  }
}
