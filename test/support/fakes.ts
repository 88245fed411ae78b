/** Hand-written fakes of the ports: they answer as told and keep what they were asked. */
import type { AuditEvent, Audit, AuditKeys, AuditState, Issuer, IssuerOutcome, Log, LogFields, PollOutcome, Random, Rejected, RevokeOutcome, StoredGrant, TokenSet, Vault, VaultStatus } from '../../daemon/core/ports.ts';
import type { Grant, RefreshIntent, Revocation } from '../../daemon/core/domain.ts';
import { BrokerError } from '../../daemon/core/errors.ts';
import type { WorkloadAt, WorkloadIssuer, WorkloadRecord, WorkloadStore } from '../../daemon/core/workload.ts';
import { ApprovalPins } from '../../daemon/vault/approval-pin.ts';
import type { PinRecord } from '../../daemon/vault/approval-pin.ts';
import { newSeed, SealedAuditKeys } from '../../daemon/vault/audit-keys.ts';
import { Secret } from '../../daemon/core/secret.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import { someServer, T0 } from './builders.ts';
import { FakeConsentStore } from './fake-consents.ts';

/** What an issuer refuses with. */
export const refusal = (oauthError: string | null, over: Partial<Rejected> = {}): Rejected => ({
  kind: 'rejected', code: 'issuer_refused', oauthError, subError: null, description: 'no', tokens: null, ...over,
});

export function tokenSet(n: number, over: Partial<TokenSet> = {}): TokenSet {
  return {
    accessToken: new Secret(`at-${n}-EXAMPLE`), tokenType: 'Bearer', expiresInS: 600, scope: null,
    refreshToken: new Secret(`rt-${n}-EXAMPLE`), refreshTokenExpiresInS: null, authorizationExpiresInS: null, identity: null, withheld: null, ...over,
  };
}

export class FakeIssuer implements Issuer, WorkloadIssuer {
  refreshes: string[] = [];
  refreshWants: { scopes: readonly string[]; resource: string | null }[] = [];
  revoked: string[] = [];
  polls: number[] = [];
  onRefresh: (n: number) => Promise<IssuerOutcome> = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1) });
  onRevoke: () => Promise<RevokeOutcome> = async () => ({ kind: 'revoked' });
  onPoll: (n: number) => Promise<PollOutcome> = async () => ({ kind: 'pending', slowDown: false });
  pollClock: () => number = () => 0;

  discover: Issuer['discover'] = async (profile) => ({ kind: 'server', server: someServer({ issuer: profile.issuer }) });
  newAuthorizationRequest: Issuer['newAuthorizationRequest'] = (redirectUri) => ({
    redirectUri, state: new Secret('state-EXAMPLE'), nonce: new Secret('nonce-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE'),
  });
  authorizationUrl: Issuer['authorizationUrl'] = async () => ({ kind: 'url', url: 'https://issuer.example/auth?x=1', expiresInS: null });
  redeem: Issuer['redeem'] = async () => ({ kind: 'tokens', tokens: tokenSet(1) });
  startDevice: Issuer['startDevice'] = async () => ({
    kind: 'device', deviceCode: new Secret('device-EXAMPLE'), verifier: new Secret('verifier-EXAMPLE'), userCode: 'ABCD-EFGH', verificationUri: 'https://issuer.example/device',
    verificationUriComplete: null, expiresInS: 600, intervalS: 5,
  });
  async pollDevice(): Promise<PollOutcome> {
    this.polls.push(this.pollClock());
    return this.onPoll(this.polls.length);
  }
  /** Whether a connection to it can be had at all. */
  isReached = true;
  async refresh(...[, , refreshToken, want, , onConnected]: Parameters<Issuer['refresh']>): Promise<IssuerOutcome> {
    if (this.isReached) await onConnected();
    this.refreshes.push(refreshToken.reveal());
    this.refreshWants.push(want);
    return this.onRefresh(this.refreshes.length);
  }
  probes = 0;
  onProbe: Issuer['probe'] = async () => ({ kind: 'reached' });
  probe: Issuer['probe'] = (server, connection) => {
    this.probes += 1;
    return this.onProbe(server, connection);
  };
  /** Requests in a workload's own name. */
  clientRequests: { client: WorkloadAt; scopes: readonly string[]; resource: string | null }[] = [];
  onClientCredentials: (n: number) => Promise<IssuerOutcome> = async (n) => ({ kind: 'tokens', tokens: tokenSet(n, { refreshToken: null }) });
  async clientCredentials(...[client, , { scopes, resource }]: Parameters<WorkloadIssuer['clientCredentials']>): Promise<IssuerOutcome> {
    this.clientRequests.push({ client, scopes, resource });
    return this.onClientCredentials(this.clientRequests.length);
  }
  keysMade = 0;
  makeClientKey: WorkloadIssuer['makeClientKey'] = async (alg) => {
    this.keysMade += 1;
    return { kid: `kid-${this.keysMade}`, alg, publicJwk: { kty: 'EC', kid: `kid-${this.keysMade}` }, privateJwk: new Secret(`private-${this.keysMade}-EXAMPLE`) };
  };
  revokeWorkloadToken: WorkloadIssuer['revokeWorkloadToken'] = async (_client, token) => {
    this.revoked.push(token.reveal());
    return { kind: 'revoked' };
  };
  skews: Issuer['skews'] = () => [];
  async revoke(...[, token]: Parameters<Issuer['revoke']>): Promise<RevokeOutcome> {
    this.revoked.push(token.reveal());
    return this.onRevoke();
  }
}

/** A vault in memory that records each step, and fails as told. */
export class FakeVault implements Vault {
  steps: string[] = [];
  stored = new Map<ProfileName, StoredGrant>();
  floors = new Map<ProfileName, number>();
  kept = new Map<string, Revocation>();
  secrets = new Map<ProfileName, Secret>();
  failOn: string | null = null;
  state: VaultStatus['state'] = 'open';

  status(): VaultStatus {
    return { backend: 'memory', state: this.state, detail: 'a fake' };
  }
  async unlock(): Promise<void> {
    this.state = 'open';
  }
  async lock(): Promise<void> {
    this.state = 'locked';
  }
  dropKept(): void {
    this.steps.push('dropKept');
  }
  end(): Promise<void> {
    return this.lock();
  }
  async grants(): ReturnType<Vault['grants']> {
    this.#step('grants');
    return { grants: [...this.stored.values()], corrupt: [], floors: new Map(this.floors) };
  }
  async beginRefresh(profile: ProfileName, intent: RefreshIntent): Promise<void> {
    this.#step('intent');
    const stored = this.stored.get(profile);
    if (stored !== undefined) this.stored.set(profile, { grant: stored.grant, intent });
  }
  async abandonRefresh(profile: ProfileName): Promise<void> {
    this.#step('abandon');
    const stored = this.stored.get(profile);
    if (stored !== undefined) this.stored.set(profile, { grant: stored.grant, intent: null });
  }
  async save(grant: Grant): Promise<void> {
    this.#step('save');
    this.stored.set(grant.profile, { grant, intent: null });
    this.#raise(grant.profile, grant.generation);
  }
  async remove(profile: ProfileName): Promise<void> {
    this.#step('remove');
    const stored = this.stored.get(profile);
    this.stored.delete(profile);
    if (stored !== undefined) this.#raise(profile, stored.grant.generation + 1);
  }
  async revocations(): Promise<readonly Revocation[]> {
    return [...this.kept.values()];
  }
  async saveRevocation(revocation: Revocation): Promise<void> {
    this.#step('tombstone');
    this.kept.set(revocation.id, revocation);
  }
  async removeRevocation(id: string): Promise<void> {
    this.kept.delete(id);
  }
  async clientSecret(profile: ProfileName): Promise<Secret | null> {
    return this.secrets.get(profile) ?? null;
  }
  async saveClientSecret(profile: ProfileName, _digest: string, secret: Secret): Promise<void> {
    this.secrets.set(profile, secret);
  }
  async removeClientSecret(profile: ProfileName): Promise<void> {
    this.secrets.delete(profile);
  }
  pin: PinRecord | null = null;
  readonly pins = new ApprovalPins(() => this.now(), async () => ({
    read: async () => this.pin,
    write: async (record) => {
      this.#step('pin');
      this.pin = record;
    },
  }));
  readonly consents = new FakeConsentStore();
  now: () => EpochMs = () => T0;
  readonly records = new Map<ProfileName, WorkloadRecord>();
  async workloads(): Promise<WorkloadStore> {
    this.#step('workloads');
    return {
      read: async (profile) => this.records.get(profile) ?? null,
      save: async (record) => void this.records.set(record.profile, record),
      remove: async (profile) => void this.records.delete(profile),
    };
  }
  readonly #auditKeys = new SealedAuditKeys({ seed: newSeed(), last: null }, null);
  async auditKeys(): Promise<AuditKeys> {
    this.#step('audit keys');
    return this.#auditKeys;
  }
  async erase(): Promise<void> {
    this.stored.clear();
    this.floors.clear();
  }
  #raise(profile: ProfileName, generation: number): void {
    this.floors.set(profile, Math.max(generation, this.floors.get(profile) ?? 0));
  }
  #step(name: string): void {
    this.steps.push(name);
    if (this.state !== 'open') throw new BrokerError('vault_locked', 'the fake is locked');
    if (this.failOn === name) throw new BrokerError('vault_unwritable', 'the fake disk is full');
  }
}

export class FakeAudit implements Audit {
  events: AuditEvent[] = [];
  async append(event: AuditEvent): Promise<void> {
    this.events.push(event);
  }
  /** What is wrong with its disk. */
  wrong: string | null = null;
  trouble(): string | null {
    return this.wrong;
  }
  keys: AuditKeys | null = null;
  async useKeys(keys: AuditKeys | null): Promise<void> {
    this.keys = keys;
  }
  state(): AuditState {
    const { keys } = this;
    return { file: '/state/audit/audit.jsonl', head: { seq: this.events.length, hash: '0'.repeat(64) }, signed: null, key: keys === null ? null : { kid: keys.kid, publicKey: keys.publicKey, isLasting: keys.isLasting, last: keys.last }, detections: [] };
  }
  async close(): Promise<void> {}
}

export class LogSink implements Log {
  lines: { level: string; event: string; fields: LogFields; cause: unknown }[] = [];
  debug = (event: string, fields: LogFields | (() => LogFields) = {}): void => this.#add('debug', event, typeof fields === 'function' ? fields() : fields);
  info = (event: string, fields: LogFields = {}): void => this.#add('info', event, fields);
  warn = (event: string, fields: LogFields = {}): void => this.#add('warn', event, fields);
  error = (event: string, fields: LogFields = {}, cause: unknown = null): void => this.#add('error', event, fields, cause);
  #add(level: string, event: string, fields: LogFields, cause: unknown = null): void {
    this.lines.push({ level, event, fields, cause });
  }
}

/** Counts up; each value is its own. */
export function fakeRandom(): Random {
  let n = 0;
  return {
    token: (bytes) => String((n += 1)).padStart(Math.ceil((bytes * 4) / 3), 'r'),
    fraction: () => 0.5,
  };
}
