import type { LoginReason } from '../../shared/errors.ts';
import type { Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { GrantBook } from '../core/ports.ts';

const SENTENCES: Readonly<Record<LoginReason, string>> = {
  never_signed_in: 'nobody has signed in yet',
  expired: 'the sign-in has expired',
  no_refresh_token: 'the issuer gave no refresh token, so no newer or longer-lived access token can be had',
  revoked_or_reused: 'the issuer no longer accepts the refresh token: it expired, was revoked, or was used by something else',
  refresh_answer_lost: 'the answer to a refresh was lost, so the stored refresh token may be spent',
  rolled_back: 'the stored sign-in comes from a backup and is older than the last one that was saved, so its refresh token may be spent',
  grant_rebound: 'issuer, client, endpoints, CA or proxy of the profile changed since the sign-in',
  session_limit: 'the organisation\'s limit for one sign-in is reached',
  interaction_required: 'the issuer wants to see the person again before it gives another token',
  signed_out: 'somebody signed out',
  identity_changed: 'the ID token that came with a refresh does not fit the sign-in',
  vault_corrupt: 'the stored sign-in cannot be read',
  max_age: 'the sign-in is older than was asked for',
  acr: 'the sign-in was not as strong as was asked for',
  amr: 'the person did not sign in by one of the methods that policy wants',
  flow: 'policy does not allow tokens of a sign-in by this flow',
  privileged: 'this is privileged access, which takes a sign-in of its own each time, with a reason',
};

/** The one way to say that a person is needed: reason, sentence, and the one command. */
export function loginRequired(profile: Profile, reason: LoginReason, sentence: string = SENTENCES[reason]): BrokerError {
  return new BrokerError('login_required', `profile ${profile.name}: ${sentence}`, {
    reason, hint: `Run: valetkey login ${profile.name}`,
  });
}

/** The sign-in of a profile as it is configured today. Throws login_required where there is none that can be used. */
export function signedIn(profile: Profile, book: Pick<GrantBook, 'get' | 'absence'>): Grant {
  const grant = book.get(profile.name);
  if (grant === null) throw loginRequired(profile, book.absence(profile.name));
  if (grant.digest !== profile.digest) throw loginRequired(profile, 'grant_rebound');
  if (grant.state.kind === 'parked') throw loginRequired(profile, grant.state.reason);
  return grant;
}

/** For what was asked, and no more. Who named no scopes gets what is not privileged by an ordinary sign-in, unless the profile itself is. */
export function privilegeRequired(profile: Profile, scopes: readonly string[] | null): BrokerError {
  const { message, facts } = loginRequired(profile, 'privileged');
  if (scopes === null && profile.tier !== 'privileged') return new BrokerError('login_required', message, facts);
  return new BrokerError('login_required', message, { ...facts, hint: `Run: valetkey login ${profile.name}${scopes === null ? '' : ` --scope "${scopes.join(' ')}"`} --reason "why"` });
}
