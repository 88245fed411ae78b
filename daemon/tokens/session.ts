/**
 * SU-03: how long a person's sign-in is good for, whatever the issuer's refresh token may live. Two limits: since
 * the sign-in, and since a person last took part. Refreshes, and tokens that programs take, are no act of a person
 * (SU-04), so nothing that runs by itself keeps a session open.
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Grant, Profile } from '../core/domain.ts';
import type { BrokerError } from '../core/errors.ts';
import { momentOf, sinceMs } from '../core/time.ts';
import type { Instant, Moment } from '../core/time.ts';
import { sessionLimits } from '../policy/assurance.ts';
import type { SessionLimits } from '../policy/assurance.ts';
import { loginRequired } from './login-required.ts';

/** A person took part. It opens nothing that is over: there only a sign-in helps. Null: so it is, or no person takes part. */
export function withAct(profile: Profile, grant: Grant, rules: SessionLimits | null, at: Instant): Grant | null {
  if (grant.session === null || endedSession(profile, grant, rules, at) !== null) return null;
  return { ...grant, session: { ...grant.session, lastActAt: momentOf(at) } };
}

/** Null: the session goes on. */
export function endedSession(profile: Profile, { session }: Grant, rules: SessionLimits | null, at: Instant): BrokerError | null {
  if (session === null) return null;
  const { maxSessionS, maxIdleS } = sessionLimits(profile.tier, rules);
  if (maxSessionS !== null && sinceMs(session.startedAt, at) > maxSessionS * 1000) {
    return loginRequired(profile, 'session_limit', `the sign-in is over after ${spanText(maxSessionS)}`);
  }
  if (maxIdleS !== null && sinceMs(session.lastActAt, at) > maxIdleS * 1000) {
    return loginRequired(profile, 'session_limit', `nobody has taken part for ${spanText(maxIdleS)}`);
  }
  return null;
}

/** By the time of day; null: it does not end by this limit. */
export type SessionEnds = { readonly session: EpochMs | null; readonly idle: EpochMs | null; readonly isOver: boolean };

export function sessionEnds({ session }: Grant, { maxSessionS, maxIdleS }: SessionLimits, at: Instant): SessionEnds {
  const end = (limitS: number | null, from: Moment | undefined): EpochMs | null => {
    if (limitS === null || from === undefined) return null;
    const passedMs = sinceMs(from, at);
    return (Number.isFinite(passedMs) ? at.now + limitS * 1000 - passedMs : at.now) as EpochMs;
  };
  const ends = { session: end(maxSessionS, session?.startedAt), idle: end(maxIdleS, session?.lastActAt) };
  return { ...ends, isOver: [ends.session, ends.idle].some((each) => each !== null && each < at.now) };
}

function spanText(seconds: number): string {
  if (seconds % 86_400 === 0 && seconds > 86_400) return `${seconds / 86_400} days`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
