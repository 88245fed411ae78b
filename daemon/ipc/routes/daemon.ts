import type * as v from 'valibot';
import type { unlockRequest } from '../../../shared/schemas.ts';
import type { OkReply, PurgeReply, ReloadReply, StatusReply, VaultView } from '../../../shared/schemas.ts';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../../../shared/version.ts';
import type { Grant } from '../../core/domain.ts';
import { missingScopes } from '../../core/grant.ts';
import type { Ask } from '../dispatch.ts';
import { encodeGrant, encodeRevoked } from '../encode.ts';
import type { Broker } from './broker.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);
/** TK-02 as decided: longer-lived tokens are handed out, and warned of. */
const LONG_LIVED_MS = 3_600_000;

export async function status(broker: Broker): Promise<StatusReply> {
  const { facts, locked } = broker.lifecycle;
  const config = broker.config.current();
  return {
    version: BUILD_VERSION,
    protocol: PROTOCOL_VERSION,
    pid: facts.pid,
    started_at: seconds(facts.startedAtMs),
    started_by: facts.startedBy,
    socket: facts.socket,
    state_dir: facts.stateDir,
    config: { file: config.file, loaded_at: seconds(config.loadedAt), profiles: config.profiles.size },
    vault: broker.vault.status(),
    locked,
    grants: broker.book.list().map(encodeGrant),
    logins: broker.logins.list().map(({ facts: f }) => ({ id: f.id, profile: f.profile.name, flow: f.flow, expires_at: seconds(f.expiresAt) })),
    pending_revocations: broker.revocations.count,
    warnings: [...facts.warnings, ...config.warnings, ...unsavedWarnings(broker), ...grantWarnings(broker)],
    environment: facts.environment,
  };
}

function unsavedWarnings(broker: Broker): readonly string[] {
  return broker.book.unsaved().map((name) => `${name}: the disk refuses the newest refresh token, which is kept in memory; if the daemon ends now, a sign-in is needed`);
}

function grantWarnings(broker: Broker): readonly string[] {
  return broker.book.list().flatMap((grant) => {
    if (grant.state.kind !== 'active') return [];
    const long = grant.state.tokens.find((t) => t.expiresAt - t.obtainedAt > LONG_LIVED_MS);
    return [
      ...(long === undefined ? [] : [`${grant.profile}: the issuer's access tokens live ${Math.round((long.expiresAt - long.obtainedAt) / 60_000)} minutes; over 60 is long for a token that leaves the daemon`]),
      ...notGranted(broker, grant),
      ...(grant.state.refreshToken === null ? [`${grant.profile}: the issuer gave no refresh token; the grant works until its access token expires`] : []),
    ];
  });
}

function notGranted(broker: Broker, grant: Grant): readonly string[] {
  const profile = broker.config.current().profiles.get(grant.profile);
  if (profile === undefined) return [];
  const { offlineScope, scopeAliases } = profile.traits;
  const missing = missingScopes(grant, profile.scopes.filter((scope) => scope !== offlineScope), scopeAliases);
  return missing.length === 0 ? [] : [`${grant.profile}: the issuer did not grant: ${missing.join(' ')}`];
}

export async function reload(broker: Broker, ask: Ask): Promise<ReloadReply> {
  const changed = await broker.lifecycle.reload(ask.caller);
  const config = broker.config.current();
  return { file: config.file, profiles: config.profiles.size, changed: [...changed] };
}

export async function lock(broker: Broker, ask: Ask): Promise<VaultView> {
  await broker.lifecycle.lock(ask.caller);
  return broker.vault.status();
}

export async function unlock(broker: Broker, ask: Ask): Promise<VaultView> {
  const body = ask.body as v.InferOutput<typeof unlockRequest>; // parsed by this method's schema
  await broker.lifecycle.unlock(ask.caller, body.passphrase ?? null, body.create ?? false);
  return broker.vault.status();
}

export async function shutdown(broker: Broker): Promise<OkReply> {
  broker.lifecycle.shutdown('asked by a client');
  return { ok: true };
}

export async function purge(broker: Broker, ask: Ask): Promise<PurgeReply> {
  const { grants, notRevoked } = await broker.lifecycle.purge(ask.caller);
  return { grants: grants.map(({ profile, revoked }) => ({ profile, revoked: encodeRevoked(revoked) })), not_revoked: notRevoked };
}
