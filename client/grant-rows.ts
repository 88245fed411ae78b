import type { GrantView } from '../shared/schemas.ts';
import { subjectName } from './login-screen.ts';
import { ago, remaining } from './time-words.ts';

export const GRANT_HEADER = ['PROFILE', 'SIGNED IN AS', 'STATE', 'TOKEN', 'SINCE'] as const;

/** When the sign-in ends by itself, the earliest of what the issuer and policy named; null: neither did. */
export function endOf({ refresh_token_expires_at: unused, authorization_expires_at: last, session_ends_at: session, idle_ends_at: idle }: GrantView): number | null {
  // A daemon of an earlier build does not know the last two.
  const ends = [unused, last, session ?? null, idle ?? null].filter((end) => end !== null);
  return ends.length === 0 ? null : Math.min(...ends);
}

/** Whether a person is needed, in words: an expired token is nothing to act on while the grant can refresh. */
function stateWords(grant: GrantView, now: number): string {
  if (grant.state === 'login_required') return `login required (${grant.reason ?? 'unknown'})`;
  if (!grant.refreshable) return 'active, no refresh token';
  const end = endOf(grant);
  return end === null ? 'active' : `active ${remaining(end, now)}`;
}

export function grantRow(grant: GrantView, now: number): readonly string[] {
  const lives = grant.tokens.map(({ expires_at }) => expires_at);
  const token = lives.length === 0 ? 'none cached' : remaining(Math.max(...lives), now);
  return [grant.profile, grant.subject === null ? '(not named)' : subjectName(grant.subject), stateWords(grant, now), token, ago(grant.signed_in_at, now)];
}
