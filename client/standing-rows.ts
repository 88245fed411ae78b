/** The two questions, a row a profile: is somebody signed in, and until when; the token's end apart, as it is renewed by itself. */
import type { GrantView, StatusReply } from '../shared/schemas.ts';
import type { StandingView } from '../shared/standing-schemas.ts';
import { subjectName } from './login-screen.ts';
import { remaining } from './time-words.ts';

export const STANDING_HEADER = ['PROFILE', 'SIGNED IN AS', 'SIGN-IN', 'TOKEN'] as const;

/** The sign-in ends with the earlier of the two. */
function signInWords({ profile, state, reason, session_ends_at: session, idle_ends_at: idle }: StandingView, now: number): string {
  if (state === 'unknown') return 'not known: locked';
  if (state === 'login_required') return reason === 'never_signed_in' ? `none: valetkey login ${profile}` : `over (${reason ?? 'unknown'}): valetkey login ${profile}`;
  if (idle !== null && (session === null || idle < session)) return `active ${remaining(idle, now)}, longer if it is used`;
  return session === null ? 'active, no end is known' : `active ${remaining(session, now)}`;
}

function tokenWords({ state, token_ends_at: end }: StandingView, now: number): string {
  if (state !== 'signed_in') return '-';
  if (end === null) return 'none cached';
  return end > now ? remaining(end, now) : 'renewed at the next use';
}

/** Of a grant whose profile is gone from the configuration, or of a daemon of an earlier build. */
function standingOf({ profile, state, reason, authorization_expires_at: last, session_ends_at: session, refresh_token_expires_at: unused, idle_ends_at: idle, tokens }: GrantView): StandingView {
  const earliest = (...ends: readonly (number | null | undefined)[]): number | null => {
    const known = ends.filter((end) => typeof end === 'number');
    return known.length === 0 ? null : Math.min(...known);
  };
  return {
    profile, state: state === 'active' ? 'signed_in' : 'login_required', reason,
    session_ends_at: earliest(last, session), idle_ends_at: earliest(unused, idle),
    token_ends_at: tokens.length === 0 ? null : Math.max(...tokens.map(({ expires_at: end }) => end)),
  };
}

export function standingRows({ standings = [], grants }: { readonly standings?: StatusReply['standings']; readonly grants: StatusReply['grants'] }, now: number): readonly (readonly string[])[] {
  const others = grants.filter(({ profile }) => !standings.some((standing) => standing.profile === profile)).map(standingOf);
  return [...standings, ...others].map((standing) => {
    const grant = standing.state === 'signed_in' ? grants.find(({ profile }) => profile === standing.profile) : undefined;
    const who = grant === undefined ? '-' : grant.subject === null ? '(not named)' : subjectName(grant.subject);
    return [standing.profile, who, signInWords(standing, now), tokenWords(standing, now)];
  });
}
