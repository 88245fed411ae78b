import type { GrantsReply, LogoutReply } from '../../../shared/schemas.ts';
import { parseProfileName } from '../../../shared/names.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Ask } from '../dispatch.ts';
import { signOut } from '../../tokens/sign-out.ts';
import { encodeRevoked } from '../encode.ts';
import type { Broker } from './broker.ts';
import { grantViews } from './grant-views.ts';

export async function grants(broker: Broker, { caller }: Ask): Promise<GrantsReply> {
  await broker.lifecycle.ensureOpen();
  return { grants: grantViews(broker, caller) };
}

/** Gone here at once; then revoked at the issuer, the refresh token first (RV-01). */
export async function logout(broker: Broker, ask: Ask): Promise<LogoutReply> {
  await broker.lifecycle.ensureOpen();
  const name = parseProfileName(ask.params['profile'] ?? '');
  const profile = name === null ? undefined : broker.config.current().profiles.get(name);
  if (name === null || (profile === undefined && broker.book.get(name) === null)) {
    throw new BrokerError('unknown_profile', 'there is neither a profile nor a grant of this name');
  }
  await broker.logins.stopOf(name, new BrokerError('login_cancelled', `profile ${name} was logged out`));
  broker.approvals.forget(name);
  const done = await signOut(broker, name, profile ?? null);
  if (done === null) return { profile: name, revoked: [] };
  const { grant, revoked } = done;
  await broker.audit.append({ event: 'grant_removed', profile: name, caller: ask.caller, request: ask.requestId, facts: { generation: grant.generation, sub: grant.identity?.sub ?? null } });
  return { profile: name, revoked: encodeRevoked(revoked) };
}
