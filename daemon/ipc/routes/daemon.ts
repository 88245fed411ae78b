import type * as v from 'valibot';
import type { unlockRequest } from '../../../shared/schemas.ts';
import type { OkReply, PanicReply, PurgeReply, ReloadReply, StatusReply, VaultView } from '../../../shared/schemas.ts';
import type { UpgradeReply } from '../../../shared/upgrade-schemas.ts';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../../../shared/version.ts';
import { whyNotOfPerson } from '../../approvals/may-approve.ts';
import type { Caller, Grant } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import { missingScopes } from '../../core/grant.ts';
import { scopesOfSignIn } from '../../policy/privilege.ts';
import type { Ask } from '../dispatch.ts';
import { encodeRevoked } from '../encode.ts';
import type { Broker, Panicked } from './broker.ts';
import { endsOf, grantViews } from './grant-views.ts';
import { standings } from './standings.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);
/** TK-02 as decided: longer-lived tokens are handed out, and warned of. */
const LONG_LIVED_MS = 3_600_000;
/** DG-10: what the device flow brings in should live no longer than this; only the issuer can shorten it. */
const DEVICE_LONG_LIVED_MS = 600_000;
/** A working day ahead, and less for sign-ins that are short themselves. */
const SOON_MS = 28_800_000;

export async function status(broker: Broker, { caller }: Ask): Promise<StatusReply> {
  const { facts, locked, lockedOutSince } = broker.lifecycle;
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
    locked_out_since: lockedOutSince === null ? null : seconds(lockedOutSince),
    screen: broker.lifecycle.screen,
    standings: standings(broker, caller),
    grants: grantViews(broker, caller),
    logins: broker.logins.list().map(({ facts: f }) => ({ id: f.id, profile: f.profile.name, flow: f.flow, expires_at: seconds(f.expiresAt) })),
    pending_revocations: broker.revocations.count,
    issuers: issuerViews(broker),
    warnings: [...facts.warnings, ...config.warnings, ...policyWarnings(broker), ...hookWarnings(broker), ...unsavedWarnings(broker), ...broker.approvals.consents.warnings(), ...auditWarnings(broker), ...screenWarnings(broker), ...movedWarnings(broker), ...grantWarnings(broker, caller), ...privilegedWarnings(broker)],
    upgrade: broker.upgrades.view,
    environment: facts.environment,
  };
}

/** Of each issuer of which something is known: its clock, and whether it fails. */
function issuerViews(broker: Broker): StatusReply['issuers'] {
  const skews = broker.issuer.skews();
  const outages = broker.circuits.outages();
  return [...new Set([...skews, ...outages].map(({ issuer }) => issuer))].map((issuer) => {
    const skew = skews.find((each) => each.issuer === issuer);
    const outage = outages.find((each) => each.issuer === issuer);
    return {
      issuer,
      skew_s: skew === undefined ? null : Math.round(skew.skewMs / 1000),
      failing_since: outage === undefined ? null : seconds(outage.since),
      cause: outage?.cause ?? null,
      retry_after_s: outage?.retryAfterS ?? null,
    };
  });
}

function screenWarnings({ lifecycle }: Broker): readonly string[] {
  return lifecycle.screen === 'screen_lock_unheard' ? ['screen_lock_unheard: policy lets no token out while the screen is locked, and logind cannot be heard on the system bus; nothing is handed out'] : [];
}

function unsavedWarnings(broker: Broker): readonly string[] {
  return broker.book.unsaved().map((name) => `${name}: the disk refuses the newest refresh token, which is kept in memory; if the daemon ends now, a sign-in is needed`);
}

function movedWarnings(broker: Broker): readonly string[] {
  return broker.metadata.moved().map((name) => `${name}: the issuer names other endpoints by now than the sign-in is bound to; if refreshes fail, run: valetkey login ${name}`);
}

function policyWarnings({ policies: { trouble } }: Broker): readonly string[] {
  return trouble === null ? [] : [`policy: ${trouble}`];
}

function hookWarnings({ hooks: { trouble } }: Broker): readonly string[] {
  return trouble === null ? [] : [`hooks: ${trouble}`];
}

function auditWarnings(broker: Broker): readonly string[] {
  const trouble = broker.audit.trouble();
  return [
    ...(trouble === null ? [] : [`audit: ${trouble}`]),
    ...broker.audit.state().detections.map(({ what }) => `noticed: ${what} (valetkey audit search --event detected)`),
  ];
}

function grantWarnings(broker: Broker, caller: Caller): readonly string[] {
  return broker.book.list().flatMap((grant) => {
    if (grant.state.kind !== 'active') return [];
    const long = grant.state.tokens.find((t) => t.expiresAt - t.obtainedAt > LONG_LIVED_MS);
    return [
      ...(long === undefined ? [] : [`${grant.profile}: the issuer's access tokens live ${Math.round((long.expiresAt - long.obtainedAt) / 60_000)} minutes; over 60 is long for a token that leaves the daemon`]),
      ...deviceWarnings(grant),
      ...notGranted(broker, grant, caller),
      ...endingSoon(broker, grant, endsOf(broker, grant, caller).session),
      ...(grant.state.refreshToken === null ? [`${grant.profile}: the issuer gave no refresh token; the grant works until its access token expires`] : []),
    ];
  });
}

/** AU-08: who looks sees that it is there, and why. */
function privilegedWarnings({ justInTime, clock }: Broker): readonly string[] {
  return justInTime.list().map(({ grant, reason, untilMs }) =>
    `${grant.profile}: privileged access (${grant.scopes.join(' ')}) for ${Math.ceil((untilMs - clock.boottimeMs()) / 60_000)} minutes at most: ${reason}`);
}

function deviceWarnings({ profile, flow, state }: Grant): readonly string[] {
  if (flow !== 'device_code' || state.kind !== 'active') return [];
  const long = state.tokens.find((t) => t.expiresAt - t.obtainedAt > DEVICE_LONG_LIVED_MS);
  return long === undefined ? [] : [`${profile}: signed in by the device flow, with access tokens of ${Math.round((long.expiresAt - long.obtainedAt) / 60_000)} minutes; over 10 is long for that. Where a browser is, run: valetkey login ${profile}`];
}

/** TK-10: the end of a sign-in that the issuer or policy (SU-03) named, where it is near enough to plan for. */
function endingSoon({ clock }: Broker, { profile, authorizationExpiresAt, refreshTokenExpiresAt, signedInAt }: Grant, sessionEnd: number | null): readonly string[] {
  const ends = [authorizationExpiresAt, refreshTokenExpiresAt, sessionEnd].filter((end) => end !== null);
  if (ends.length === 0) return [];
  const end = Math.min(...ends);
  const left = end - clock.now();
  if (left > Math.min(SOON_MS, (end - signedInAt) / 4)) return [];
  const when = left <= 0 ? 'has ended' : `ends in ${Math.max(1, Math.round(left / 60_000))} minutes`;
  return [end === authorizationExpiresAt || end === sessionEnd
    ? `${profile}: the sign-in ${when}, whatever is refreshed; run: valetkey login ${profile}`
    : `${profile}: the sign-in ${when} unless it is used before (keep_alive_s in the profile keeps it)`];
}

function notGranted(broker: Broker, grant: Grant, caller: Caller): readonly string[] {
  const profile = broker.config.current().profiles.get(grant.profile);
  if (profile === undefined) return [];
  const { offlineScope, scopeAliases } = profile.traits;
  const policy = broker.policies.inForce();
  // What is privileged is not asked for with the rest (AU-08).
  const asked = policy === null ? profile.scopes : scopesOfSignIn(policy, caller, profile, null);
  const missing = missingScopes(grant, asked.filter((scope) => scope !== offlineScope), scopeAliases);
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
  if (body.create === true) demandMaker(broker, ask.caller);
  await broker.lifecycle.unlock(ask.caller, body.passphrase ?? null, body.create ?? false);
  return broker.vault.status();
}

/** Under a passphrase that a script chose, it could read what people's sign-ins leave on the disk. Where nobody signs in it may. */
function demandMaker({ config }: Broker, { origin }: Caller): void {
  const whyNot = config.current().profiles.size === 0 ? null : whyNotOfPerson(origin);
  if (whyNot !== null) throw new BrokerError('approval_refused', `this process may not make a vault: it ${whyNot}`, { hint: 'Run it at a terminal of your own: valetkey unlock --create' });
}

function encodeEnded({ profile, issuer, revoked }: Panicked['workloads'][number]): PanicReply['workloads'][number] {
  return { profile, issuer, revoked: encodeRevoked(revoked) };
}

export async function panic(broker: Broker, ask: Ask): Promise<PanicReply> {
  const { lockedOutSince, grants, workloads, notReached, notDurable, loginsEnded, tookMs } = await broker.lifecycle.panic(ask.caller);
  return {
    locked_out_since: seconds(lockedOutSince),
    grants: grants.map(encodeEnded),
    workloads: workloads.map(encodeEnded),
    not_reached: notReached, not_durable: notDurable, logins_ended: loginsEnded, took_ms: tookMs,
  };
}

export async function shutdown(broker: Broker): Promise<OkReply> {
  broker.lifecycle.shutdown('asked by a client');
  return { ok: true };
}

export async function upgrade(broker: Broker): Promise<UpgradeReply> {
  return broker.upgrades.ask();
}

export async function purge(broker: Broker, ask: Ask): Promise<PurgeReply> {
  const { grants, workloads, notRevoked } = await broker.lifecycle.purge(ask.caller);
  return { grants: grants.map(({ profile, revoked }) => ({ profile, revoked: encodeRevoked(revoked) })), workloads: workloads.map(encodeEnded), not_revoked: notRevoked };
}
