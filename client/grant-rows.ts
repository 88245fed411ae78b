import type { GrantView } from '../shared/schemas.ts';
import { subjectName } from './login-screen.ts';
import { ago, remaining } from './time-words.ts';

export const GRANT_HEADER = ['PROFILE', 'SIGNED IN AS', 'STATE', 'TOKEN', 'SINCE'] as const;

/** Whether a person is needed, in words: an expired token is nothing to act on while the grant can refresh. */
function stateWords({ state, reason, refreshable }: GrantView): string {
  if (state === 'login_required') return `login required (${reason ?? 'unknown'})`;
  return refreshable ? 'active' : 'active, no refresh token';
}

export function grantRow(grant: GrantView, now: number): readonly string[] {
  const lives = grant.tokens.map(({ expires_at }) => expires_at);
  const token = lives.length === 0 ? 'none cached' : remaining(Math.max(...lives), now);
  return [grant.profile, grant.subject === null ? '(not named)' : subjectName(grant.subject), stateWords(grant), token, ago(grant.signed_in_at, now)];
}
