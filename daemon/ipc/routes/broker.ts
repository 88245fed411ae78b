import type { ErrorCode } from '../../../shared/errors.ts';
import type { ProfileName } from '../../../shared/names.ts';
import type { BrokerEvent } from '../../../shared/schemas.ts';
import type { Caller } from '../../core/domain.ts';
import type { Approvals } from '../../approvals/approvals.ts';
import type { Audit, Callers, Clock, ConfigStore, GrantBook, Issuer, Log, PolicyFiles, Vault } from '../../core/ports.ts';
import type { Assertions, WorkloadIssuer } from '../../core/workload.ts';
import type { Circuits } from '../../tokens/circuit.ts';
import type { Logins } from '../../flows/logins.ts';
import type { Policy } from '../../policy/decide.ts';
import type { Metadata } from '../../tokens/metadata.ts';
import type { Revocations, Revoked } from '../../tokens/revocations.ts';
import type { TokenSource } from '../../tokens/token-source.ts';
import type { WorkloadKeys } from '../../workloads/workload-keys.ts';
import type { WorkloadTokens } from '../../workloads/workload-tokens.ts';
import type { Releases } from './releases.ts';

/** What the routes work with. The daemon's composition root fills it. */
export type Broker = {
  readonly config: ConfigStore;
  readonly policies: Policies;
  readonly callers: Callers;
  readonly book: GrantBook;
  readonly source: TokenSource;
  readonly circuits: Pick<Circuits, 'outages'>;
  readonly metadata: Pick<Metadata, 'moved'>;
  readonly logins: Logins;
  readonly revocations: Revocations;
  readonly releases: Releases;
  readonly workloads: Workloads;
  readonly approvals: Approvals;
  readonly vault: Vault;
  readonly issuer: Issuer;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
  readonly uid: number;
  readonly events: Events;
  readonly lifecycle: Lifecycle;
};

/** What is there for workloads alone. */
export type Workloads = {
  readonly tokens: WorkloadTokens;
  readonly keys: WorkloadKeys;
  readonly releases: Releases;
  readonly issuer: Pick<WorkloadIssuer, 'revokeWorkloadToken'>;
  readonly assertions: Assertions;
};

export type Policies = {
  readonly files: PolicyFiles;
  /** What is wrong with the files, for people; null: nothing. */
  readonly trouble: string | null;
  /** Throws policy_untrusted or policy_invalid where nothing may be decided. */
  current(): Policy;
  /** Null where nothing may be decided. */
  inForce(): Policy | null;
  /** Throws as current(), and then the old one stays, unless somebody else could have changed a file. */
  reload(): Promise<void>;
};

export type Events = {
  emit(event: BrokerEvent['event'], profile: ProfileName | null, detail: string | null): void;
  /** Calls back for each event until the signal ends; not at all where it has. `by` names the process. */
  subscribe(by: string, listener: (event: BrokerEvent) => void, signal: AbortSignal): void;
  readonly subscribers: number;
  subscribersOf(by: string): number;
};

export type Facts = {
  readonly pid: number;
  readonly startedAtMs: number;
  readonly startedBy: string;
  readonly socket: string;
  readonly stateDir: string;
  readonly warnings: readonly string[];
  readonly environment: Readonly<Record<string, string | null>>;
};

export type Purged = {
  /** What became of the tokens of each grant. */
  readonly grants: readonly { readonly profile: ProfileName; readonly revoked: readonly Revoked[] }[];
  /** Why the vault could not be opened any more, so that nothing was revoked; null: it was. */
  readonly notRevoked: ErrorCode | null;
};

export type Lifecycle = {
  readonly facts: Facts;
  /** The user's own lock. */
  readonly locked: boolean;
  /** ensureOpen() has nothing to do. */
  readonly isOpen: boolean;
  /** Reads the grants if that has not happened; throws vault_locked and the like. */
  ensureOpen(): Promise<void>;
  lock(caller: Caller): Promise<void>;
  unlock(caller: Caller, passphrase: string | null, create: boolean): Promise<void>;
  /** The caller is null for a signal. */
  reload(caller: Caller | null): Promise<readonly ProfileName[]>;
  purge(caller: Caller): Promise<Purged>;
  /** Answers first, then drains and ends. */
  shutdown(reason: string): void;
};
