import type * as v from 'valibot';
import type { profileAddRequest } from '../../../shared/schemas.ts';
import type { OkReply, ProfileAddReply, ProfilesReply, ProfileView } from '../../../shared/schemas.ts';
import type { AuthorizationServer, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { Ask } from '../app.ts';
import { encodeProfile } from '../encode.ts';
import type { Broker } from './broker.ts';
import { pickProfile } from './pick-profile.ts';

function view(broker: Broker, profile: Profile): ProfileView {
  const signedIn = broker.book.get(profile.name)?.state.kind === 'active';
  return encodeProfile(profile, broker.config.redirectUris(profile), signedIn, broker.config.current().file);
}

export async function profiles(broker: Broker): Promise<ProfilesReply> {
  return { profiles: [...broker.config.current().profiles.values()].map((profile) => view(broker, profile)) };
}

/** A wrong issuer is found here and not at the first login. */
export async function addProfile(broker: Broker, ask: Ask): Promise<ProfileAddReply> {
  const body = ask.body as v.InferOutput<typeof profileAddRequest>; // parsed by this method's schema
  const planned = await broker.config.plan(body.name, body.profile);
  if (planned.clientAuth !== 'none' && body.client_secret === undefined) {
    throw new BrokerError('client_secret_required', `profile ${body.name} authenticates as ${planned.clientAuth}; the profile was not written`, {
      hint: 'Run the same command with --client-secret-stdin, and the secret on standard input',
    });
  }
  const found = await broker.issuer.discover(planned);
  if (found.kind === 'transient') throw new BrokerError('issuer_unreachable', `${planned.issuer} cannot be reached (${found.cause}); the profile was not written`);
  if (found.kind === 'rejected') throw new BrokerError(found.code, `${found.description}; the profile was not written`);
  const warnings = [...broker.config.caveats(planned), ...warningsOf(planned, found.server, body.client_secret !== undefined)];
  if (body.dry_run === true) return { profile: view(broker, planned), server: serverView(found.server), warnings, written: null };
  if (body.client_secret !== undefined) {
    await broker.lifecycle.ensureOpen();
    await broker.vault.saveClientSecret(body.name, planned.digest, new Secret(body.client_secret));
  }
  const profile = await broker.config.add(body.name, body.profile);
  await broker.audit.append({ event: 'profile_added', profile: profile.name, caller: ask.caller, request: ask.requestId, facts: { issuer: profile.issuer, client_id: profile.clientId } });
  return { profile: view(broker, profile), server: serverView(found.server), warnings, written: broker.config.current().file };
}

/** Its grant is logged out first, so that no token outlives its profile unseen. */
export async function removeProfile(broker: Broker, ask: Ask): Promise<OkReply> {
  const profile = pickProfile(broker.config.current(), ask.params['profile']);
  if (broker.book.get(profile.name)?.state.kind === 'active') {
    throw new BrokerError('bad_request', `profile ${profile.name} is signed in`, { hint: `Run: valetkey logout ${profile.name}, then the command again` });
  }
  await broker.lifecycle.ensureOpen();
  await broker.vault.removeClientSecret(profile.name);
  await broker.book.take(profile.name);
  await broker.config.remove(profile.name);
  await broker.audit.append({ event: 'profile_removed', profile: profile.name, caller: ask.caller, request: ask.requestId, facts: {} });
  return { ok: true };
}

function serverView(server: AuthorizationServer): ProfileAddReply['server'] {
  return {
    issuer: server.issuer,
    authorization_endpoint: server.authorizationEndpoint,
    token_endpoint: server.tokenEndpoint,
    revocation_endpoint: server.revocationEndpoint,
    device_authorization_endpoint: server.deviceAuthorizationEndpoint,
    pushed_authorization_request_endpoint: server.pushedAuthorizationRequestEndpoint,
    jwks_uri: server.jwksUri,
  };
}

function warningsOf(profile: Profile, server: AuthorizationServer, hasSecret: boolean): string[] {
  return [
    ...(server.revocationEndpoint === null ? ['The issuer names no revocation endpoint: a logout cannot end its tokens before they expire.'] : []),
    ...(hasSecret ? ['The client secret is sealed in the vault. It is not confidential: any installed app of this client holds it.'] : []),
    ...(profile.allowLoopbackHttp ? ['allow_loopback_http is on: for a local issuer in development only.'] : []),
  ];
}
