/**
 * SU-03: how long a person's sign-in is good for, whatever the issuer's refresh token may live. Two limits: since
 * the sign-in, and since a person last took part. Refreshes, and tokens that programs take, are no act of a person
 * (SU-04), so nothing that runs by itself keeps a session open.
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Grant, Profile, Session } from '../core/domain.ts';
import type { BrokerError } from '../core/errors.ts';
import type { TokenNeed } from '../core/grant.ts';
import { momentOf, sinceMs } from '../core/time.ts';
import type { Instant } from '../core/time.ts';
import { sessionLimits } from '../policy/assurance.ts';
import type { SessionLimits } from '../policy/assurance.ts';
import { loginRequired } from './login-required.ts';

export function newSession(at: Instant): Session {
  return { startedAt: momentOf(at), lastActAt: momentOf(at) };
}

/** A person took part again; where they had to sign in anew, this does not help. */
export function withAct(grant: Grant, at: Instant): Grant {
  return grant.session === null ? grant : { ...grant, session: { ...grant.session, lastActAt: momentOf(at) } };
}

/** Null: the session goes on. */
export function endedSession(profile: Profile, { session }: Grant, need: Pick<TokenNeed, 'bounds'>, at: Instant): BrokerError | null {
  if (session === null) return null;
  const { maxSessionS, maxIdleS } = sessionLimits(profile.tier, need.bounds);
  if (maxSessionS !== null && sinceMs(session.startedAt, at) > maxSessionS * 1000) {
    return loginRequired(profile, 'session_limit', `the sign-in is over after ${spanText(maxSessionS)}`);
  }
  if (maxIdleS !== null && sinceMs(session.lastActAt, at) > maxIdleS * 1000) {
    return loginRequired(profile, 'session_limit', `nobody has taken part for ${spanText(maxIdleS)}`);
  }
  return null;
}

/** When it ends by the time of day; null: by this limit it does not. */
export function sessionEnds({ session }: Grant, { maxSessionS, maxIdleS }: SessionLimits, at: Instant): { readonly session: EpochMs | null; readonly idle: EpochMs | null } {
  const end = (limitS: number | null, from: 'startedAt' | 'lastActAt'): EpochMs | null =>
    (session === null || limitS === null ? null : ((at.now + Math.max(limitS * 1000 - sinceMs(session[from], at), session[from].at - at.now)) as EpochMs));
  return { session: end(maxSessionS, 'startedAt'), idle: end(maxIdleS, 'lastActAt') };
}

function spanText(seconds: number): string {
  if (seconds % 86_400 === 0 && seconds > 86_400) return `${seconds / 86_400} days`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
