import type { LogoutReply } from '../shared/schemas.ts';
import type { Terminal } from './terminal.ts';
import { duration } from './time-words.ts';

type Revoked = LogoutReply['revoked'][number];

/** Says honestly what the issuer did: a token that was not revoked lives on. */
function revokedWords({ token, outcome, until }: Revoked, now: number): string {
  const what = token === 'refresh_token' ? 'refresh token' : 'access token';
  const lives = until === null ? '' : ` It may live on for ${duration(until - now)}.`;
  switch (outcome) {
    case 'revoked': return `The ${what} was revoked.${lives}`;
    case 'unsupported': return `The issuer cannot revoke the ${what}.${lives}`;
    case 'pending': return `The ${what} will be revoked as soon as the issuer can be reached.${lives}`;
    case 'failed': return `The ${what} could not be revoked.${lives}`;
  }
}

/** @param prefix - names the profile, where there may be several */
export function showRevoked(terminal: Terminal, revoked: readonly Revoked[], now: number, prefix = ''): void {
  for (const one of revoked) {
    const words = prefix + revokedWords(one, now);
    if (one.outcome === 'revoked') terminal.note(words);
    else terminal.warn(words);
  }
}
