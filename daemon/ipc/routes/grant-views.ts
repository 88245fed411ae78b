/**
 * Grants as people see them: the end of the session, by the tier of the profile and by the rules as they decide on
 * whoever looks, apart from the ends of its tokens.
 */
import type { GrantView } from '../../../shared/schemas.ts';
import type { Caller, Grant, Profile } from '../../core/domain.ts';
import { instantOf } from '../../core/time.ts';
import { sessionLimits } from '../../policy/assurance.ts';
import type { SessionLimits } from '../../policy/assurance.ts';
import { decide } from '../../policy/decide.ts';
import type { Subject } from '../../policy/facts.ts';
import { sessionEnds } from '../../tokens/session.ts';
import type { SessionEnds } from '../../tokens/session.ts';
import { encodeGrant } from '../encode.ts';
import type { Broker } from './broker.ts';
import { policyRequestOf } from './ruling.ts';

export function grantViews(broker: Broker, caller: Caller): GrantView[] {
  return broker.book.list().map((grant) => encodeGrant(grant, endsOf(broker, grant, caller)));
}

/** Of a profile that is gone nothing is handed out, and nothing ends. */
export function endsOf(broker: Broker, grant: Grant, caller: Caller): SessionEnds {
  const at = instantOf(broker.clock);
  const profile = broker.config.current().profiles.get(grant.profile);
  if (profile === undefined) return { session: null, idle: null, isOver: false };
  return sessionEnds(grant, sessionLimits(profile.tier, rulesFor(broker, profile, grant, caller, profile)), at);
}

/** What the rules say to this program, asking for what the sign-in was for; null: they decide nothing, or no. */
export function rulesFor(broker: Pick<Broker, 'clock'> & { readonly policies: Pick<Broker['policies'], 'inForce'> }, profile: Profile, grant: Grant, subject: Subject, asked: { readonly resource: string | null }): SessionLimits | null {
  const policy = broker.policies.inForce();
  if (policy === null) return null;
  const decision = decide(policy, subject, policyRequestOf(profile, grant, { scopes: null, resource: asked.resource }, instantOf(broker.clock)));
  return decision.kind === 'deny' ? null : decision.limits;
}
