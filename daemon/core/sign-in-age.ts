/**
 * How long ago a person signed in. The issuer tells it by the time of day, which can be set back here; so it is never
 * less than what the clock since boot has counted since the answer came.
 */
import type { AccessToken } from './access-token.ts';
import type { Grant } from './domain.ts';
import { sinceMs } from './time.ts';
import type { Instant } from './time.ts';

/** As the issuer says, else since the answer came. Infinity where the clock was set back over a boot. */
export function signInAgeS({ identity, signedInAt, session }: Pick<Grant, 'identity' | 'signedInAt' | 'session'>, at: Instant): number {
  const authTimeS = identity?.authTime ?? signedInAt / 1000;
  return Math.max(at.now / 1000 - authTimeS, session === null ? 0 : sinceMs(session.startedAt, at) / 1000);
}

/** Of a token that answers for itself; Infinity where the issuer does not say. */
export function proofAgeS({ authTime, life }: Pick<AccessToken, 'authTime' | 'life'>, at: Instant): number {
  if (authTime === null) return Infinity;
  return Math.max(at.now / 1000 - authTime, life?.bootId === at.bootId ? (at.boottimeMs - life.fromMs) / 1000 : 0);
}
