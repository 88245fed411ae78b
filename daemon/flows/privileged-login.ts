/**
 * A sign-in for privileged access (AU-08): a person signs in anew for it, in a browser, and says why. It asks for no
 * refresh token, and what it brings is never stored.
 */
import type { Scope } from '../../shared/names.ts';
import type { Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Audit } from '../core/ports.ts';
import type { Policy } from '../policy/decide.ts';
import type { Subject } from '../policy/facts.ts';
import { isPrivileged, signInRequest } from '../policy/privilege.ts';
import { refuseUnrecorded } from '../tokens/just-in-time.ts';
import type { LoginAsk } from './login-ask.ts';
import type { LoginFacts } from './login.ts';

/** @param ask - with the scopes that it is for */
export function asPrivileged(ask: LoginAsk & { readonly scopes: readonly Scope[] }): LoginAsk {
  const { profile, scopes, stepUp } = ask;
  return {
    ...ask,
    // Whatever preset or profile say: nothing that brings a refresh token.
    profile: { ...profile, traits: { ...profile.traits, offlineScope: null } },
    scopes: [...openId(profile, scopes), ...scopes.filter((scope) => scope !== 'offline_access' && scope !== profile.traits.offlineScope)],
    // OpenID Connect Core, section 3.1.2.1: whoever is signed in at the issuer already signs in once more.
    stepUp: { ...stepUp, maxAgeS: 0 },
  };
}

/** Without an ID token nothing would prove that the person was there. */
function openId({ scopes: own }: Profile, scopes: readonly Scope[]): readonly Scope[] {
  return scopes.some((scope) => scope === 'openid') ? [] : own.filter((scope) => scope === 'openid');
}

/** Throws reason_required, and audit_unwritable where it could not be recorded (TK-04). */
export function reasonFor({ profile, scopes, reason }: LoginAsk, audit: Pick<Audit, 'trouble'>): string {
  refuseUnrecorded(audit);
  if (reason !== null && reason !== '') return reason;
  throw new BrokerError('reason_required', `${scopes === null ? `profile ${profile.name}` : `${scopes.join(' ')} of profile ${profile.name}`} is privileged: say why it is needed`, {
    hint: `Run: valetkey login ${profile.name}${scopes === null ? '' : ` --scope "${scopes.join(' ')}"`} --reason "why"`,
  });
}

export function privilegedOf(policy: Policy | null, subject: Subject, profile: Profile): LoginFacts['privilegedOf'] {
  return (scopes) => (policy === null ? [] : scopes.filter((scope) => isPrivileged(policy, subject, signInRequest(profile, [scope]))));
}
