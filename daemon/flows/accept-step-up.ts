/**
 * From the tokens of a step-up (RFC 9470) to one more access token of the grant that is there. The grant keeps its
 * own sign-in and refresh token, so that routine requests go on with what they had (SU-01). What is not kept is
 * dropped and not revoked: servers that hold one grant a person and client would end the ordinary sign-in with it
 * (docs/decisions/0009). Nobody but this process ever had it.
 */
import type { Grant, Identity, Profile } from '../core/domain.ts';
import { BrokerError, discardedAnswer } from '../core/errors.ts';
import { acceptToken, proofOf, withToken } from '../core/grant.ts';
import type { Clock, TokenSet } from '../core/ports.ts';
import { instantOf } from '../core/time.ts';
import type { Login } from './login.ts';
import { refuseOtherMethods } from './methods.ts';

export type StepUpDeps = {
  readonly clock: Clock;
  /** Changes the grant while no refresh of it is on the wire; the change may refuse by throwing. Null: there is no active grant, or none that may be changed now. */
  readonly amend: (profile: Profile, change: (grant: Grant) => Grant | null) => Promise<Grant | null>;
};

export async function acceptStepUp({ clock, amend }: StepUpDeps, login: Login, set: TokenSet): Promise<Identity> {
  const { profile, scopes, byDefault } = login.facts;
  login.abort.signal.throwIfAborted();
  const { identity } = set;
  if (identity === null) throw new BrokerError('stepup_unmet', 'no ID token says how the person signed in');
  refuseOtherMethods(login.facts, identity);
  const accepted = acceptToken(set, { scopes, byDefault, resource: profile.resource, isStepUp: true, proof: proofOf(identity) }, profile, instantOf(clock));
  if (accepted.kind === 'discard') throw discardedAnswer(profile, accepted);
  const amended = await amend(profile, (grant) => besides(grant, profile, identity, accepted.token));
  if (amended === null) {
    throw new BrokerError('login_required', `profile ${profile.name}: the sign-in that the stronger token belongs to is not there any more, or in doubt`, { reason: 'interaction_required', hint: `Run: valetkey login ${profile.name}` });
  }
  return identity;
}

/** Also where both have the same email: the grant is of issuer and sub. Another person's stronger token never serves it (LB-11). */
function besides(grant: Grant, profile: Profile, { sub }: Identity, token: Parameters<typeof withToken>[1]): Grant {
  if (grant.state.kind !== 'active') throw new Error('only an active grant is amended');
  if (grant.identity?.sub !== sub || grant.issuer !== profile.issuer) {
    throw new BrokerError('subject_mismatch', `another account signed in than the one of profile ${profile.name}; nothing was stored`, { hint: 'Run the command again, and sign in with the account of this profile' });
  }
  const at = { now: token.obtainedAt, boottimeMs: token.life?.fromMs ?? 0, bootId: token.life?.bootId ?? '' };
  return { ...grant, state: { ...grant.state, tokens: withToken(grant.state.tokens, token, at) } };
}
