import type * as v from 'valibot';
import type { profileAddRequest } from '../../../shared/profile-schemas.ts';
import type { ProfileAddReply, ProfilesReply, ProfileView } from '../../../shared/profile-schemas.ts';
import type { OkReply } from '../../../shared/schemas.ts';
import type { AuthorizationServer, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { signOut } from '../../tokens/sign-out.ts';
import type { Ask } from '../dispatch.ts';
import { encodeProfile } from '../encode.ts';
import type { Broker } from './broker.ts';
import { pickProfile } from './pick-profile.ts';

type AddBody = v.InferOutput<typeof profileAddRequest>;

function view(broker: Broker, profile: Profile): ProfileView {
  const signedIn = broker.book.get(profile.name)?.state.kind === 'active';
  return encodeProfile(profile, broker.config.redirectUris(profile), signedIn, broker.config.current().file);
}

export async function profiles(broker: Broker): Promise<ProfilesReply> {
  return { profiles: [...broker.config.current().profiles.values()].map((profile) => view(broker, profile)) };
}

/** A wrong issuer is found here and not at the first login. */
export async function addProfile(broker: Broker, ask: Ask): Promise<ProfileAddReply> {
  const body = ask.body as AddBody; // parsed by this method's schema
  // Before the issuer is asked; config.add() looks again, at the file itself.
  if (broker.config.current().profiles.has(body.name)) throw new BrokerError('profile_exists', `there is a profile ${body.name} already`);
  const planned = await broker.config.plan(body.name, body.profile);
  if (planned.clientAuth !== 'none' && body.client_secret === undefined) {
    throw new BrokerError('client_secret_required', `profile ${body.name} authenticates as ${planned.clientAuth}; the profile was not written`, {
      hint: 'Run the same command with --client-secret-stdin, and the secret on standard input',
    });
  }
  const found = await broker.issuer.discover(planned, { fresh: true });
  if (found.kind === 'transient') throw new BrokerError('issuer_unreachable', `${planned.issuer} cannot be reached (${found.cause}); the profile was not written`);
  if (found.kind === 'rejected') throw new BrokerError(found.code, `${found.description}; the profile was not written`);
  const warnings = [...broker.config.caveats(planned), ...warningsOf(planned, found.server, body.client_secret !== undefined)];
  if (body.dry_run === true) return { profile: view(broker, planned), server: serverView(found.server), warnings, written: null };
  const profile = await write(broker, body);
  await broker.audit.append({ event: 'profile_added', profile: profile.name, caller: ask.caller, request: ask.requestId, facts: { issuer: profile.issuer, client_id: profile.clientId } });
  return { profile: view(broker, profile), server: serverView(found.server), warnings, written: broker.config.current().file };
}

/** The configuration first: where it refuses, because the name is taken, the secret of that name is left as it is. */
async function write(broker: Broker, { name, profile: table, client_secret: secret }: AddBody): Promise<Profile> {
  if (secret !== undefined) await broker.lifecycle.ensureOpen();
  const profile = await broker.config.add(name, table);
  if (secret === undefined) return profile;
  try {
    await broker.vault.saveClientSecret(name, profile.digest, new Secret(secret));
  } catch (cause) {
    await broker.config.remove(name);
    throw cause;
  }
  return profile;
}

/** Its grant is logged out first, so that no token outlives its profile unseen. What may refuse comes before what is lost. */
export async function removeProfile(broker: Broker, ask: Ask): Promise<OkReply> {
  // Only an open vault tells who is signed in.
  await broker.lifecycle.ensureOpen();
  const profile = pickProfile(broker.config.current(), ask.params['profile']);
  const { name } = profile;
  refuseRemoval(broker, profile);
  await broker.logins.stopOf(name, new BrokerError('login_cancelled', `profile ${name} was removed`));
  // It may have ended well in that moment.
  refuseRemoval(broker, profile);
  await broker.config.remove(name);
  await signOut(broker, name, profile);
  // The next profile of this name is another one.
  await broker.approvals.forget(name);
  if (broker.revocations.pendingOf(name) === 0) await broker.vault.removeClientSecret(name);
  await broker.audit.append({ event: 'profile_removed', profile: name, caller: ask.caller, request: ask.requestId, facts: {} });
  return { ok: true };
}

function refuseRemoval(broker: Broker, { name, clientAuth }: Profile): void {
  if (broker.book.get(name)?.state.kind === 'active') {
    throw new BrokerError('bad_request', `profile ${name} is signed in`, { hint: `Run: valetkey logout ${name}, then the command again` });
  }
  // A public client needs nothing of its profile to revoke; this one needs its secret.
  if (clientAuth === 'none') return;
  const pending = broker.revocations.pendingOf(name);
  if (pending > 0) {
    throw new BrokerError('issuer_unreachable', `profile ${name} still has ${pending} tokens to revoke, for which its client secret is needed`, {
      hint: 'Run the command again once its issuer can be reached: valetkey status shows what is pending',
    });
  }
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
