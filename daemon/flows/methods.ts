import type { Identity } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { hasMethods, NO_PROOF } from '../core/grant.ts';
import type { Login } from './login.ts';

/** ID-04: by none of them a token would be refused at once, so the person learns it now. */
export function refuseOtherMethods({ methods, profile }: Login['facts'], identity: Identity | null): void {
  if (hasMethods(identity ?? NO_PROOF, methods)) return;
  throw new BrokerError('stepup_unmet', `policy wants the person to sign in to profile ${profile.name} by ${methods.map((list) => list.join(' or ') || 'a method that counts, and none does').join(', and by ')} (RFC 8176)`);
}
