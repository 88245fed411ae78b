import type * as v from 'valibot';
import type { endSessionRequest, EndSessionReply, GrantsReply, LogoutReply } from '../../../shared/schemas.ts';
import { parseProfileName } from '../../../shared/names.ts';
import { BrokerError } from '../../core/errors.ts';
import { grantFacts } from '../../core/grant-facts.ts';
import type { Ask } from '../dispatch.ts';
import { signOut } from '../../tokens/sign-out.ts';
import { encodeRevoked } from '../encode.ts';
import type { Broker } from './broker.ts';
import { grantViews } from './grant-views.ts';
import { isWorkload, pickProfile } from './pick-profile.ts';

export async function grants(broker: Broker, { caller }: Ask): Promise<GrantsReply> {
  await broker.lifecycle.ensureOpen();
  return { grants: grantViews(broker, caller) };
}

/** Gone here at once; then revoked at the issuer, the refresh token first (RV-01). */
export async function logout(broker: Broker, ask: Ask): Promise<LogoutReply> {
  await broker.lifecycle.ensureOpen();
  const name = parseProfileName(ask.params['profile'] ?? '');
  const profile = name === null ? undefined : broker.config.current().profiles.get(name);
  if (name !== null && broker.config.current().workloads.has(name) && broker.book.get(name) === null) throw isWorkload(name);
  if (name === null || (profile === undefined && broker.book.get(name) === null)) {
    throw new BrokerError('unknown_profile', 'there is neither a profile nor a grant of this name');
  }
  await broker.logins.stopOf(name, new BrokerError('login_cancelled', `profile ${name} was logged out`));
  const forgotten = broker.approvals.forget(name);
  broker.justInTime.end(name, 'logout');
  const done = await signOut(broker, name, profile ?? null);
  await forgotten;
  if (done === null) return { profile: name, revoked: [] };
  const { grant, revoked } = done;
  await broker.audit.append({ event: 'grant_removed', profile: name, caller: ask.caller, request: ask.requestId, facts: { reason: 'logout', ...grantFacts(grant, broker.fingerprints), scopes: grant.scopes, resource: grant.resource, generation: grant.generation, sub: grant.identity?.sub ?? null } });
  return { profile: name, revoked: encodeRevoked(revoked) };
}

/** Who is meant is known while the grant is there; without one the issuer asks, or takes whoever is signed in. */
export async function endSession(broker: Broker, ask: Ask): Promise<EndSessionReply> {
  const { returns = false } = ask.body as v.InferOutput<typeof endSessionRequest>; // parsed by this method's schema
  const profile = pickProfile(broker.config.current(), parseProfileName(ask.params['profile'] ?? '') ?? undefined);
  if (broker.lifecycle.shut === null) await broker.lifecycle.ensureOpen();
  const { startUrl, endsAt } = await broker.endSessions.start(profile, broker.book.get(profile.name), returns, ask.caller);
  return { profile: profile.name, issuer_host: new URL(profile.issuer).host, start_url: startUrl, browser: profile.browser === null ? null : [...profile.browser], expires_at: Math.floor(endsAt / 1000) };
}
