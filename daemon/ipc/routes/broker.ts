import type { ErrorCode } from '../../../shared/errors.ts';
import type { EpochMs, ProfileName } from '../../../shared/names.ts';
import type { BrokerEvent, StatusReply } from '../../../shared/schemas.ts';
import type { UpgradeReply, UpgradeView } from '../../../shared/upgrade-schemas.ts';
import type { Caller } from '../../core/domain.ts';
import type { Counts } from '../../core/counts.ts';
import type { Fingerprints } from '../../core/fingerprints.ts';
import type { KeychainTrial, Load } from '../../core/machine-port.ts';
import type { Approvals } from '../../approvals/approvals.ts';
import type { Audit, Callers, Clock, ConfigStore, Desktop, GrantBook, Issuer, Log, PolicyFiles, Vault } from '../../core/ports.ts';
import type { ResourceServers } from '../../core/discovery-port.ts';
import type { Assertions, WorkloadIssuer } from '../../core/workload.ts';
import type { Circuits } from '../../tokens/circuit.ts';
import type { EndSessions } from '../../flows/end-session.ts';
import type { Logins } from '../../flows/logins.ts';
import type { Policy } from '../../policy/decide.ts';
import type { JustInTime } from '../../tokens/just-in-time.ts';
import type { Metadata } from '../../tokens/metadata.ts';
import type { Revocations, Revoked } from '../../tokens/revocations.ts';
import type { TokenSource } from '../../tokens/token-source.ts';
import type { WorkloadEnded } from '../../workloads/revoke-tokens.ts';
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
  readonly justInTime: JustInTime;
  readonly endSessions: Pick<EndSessions, 'start'>;
  readonly revocations: Revocations;
  readonly releases: Releases;
  readonly workloads: Workloads;
  readonly approvals: Approvals;
  readonly desktop: Desktop;
  readonly vault: Vault;
  readonly tryKeychain: () => Promise<KeychainTrial>;
  readonly issuer: Issuer;
  readonly resources: ResourceServers;
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
  readonly clock: Clock;
  readonly log: Log;
  readonly uid: number;
  readonly events: Events;
  readonly counts: Counts;
  readonly load: () => Load;
  /** Connections to the socket that are open. */
  readonly connections: () => number;
  readonly lifecycle: Lifecycle;
  /** As logind tells; null: nobody does, or policy does not ask. */
  readonly screen: { readonly isLocked: boolean | null };
  /** A program was turned away for want of a sign-in that nobody makes yet. */
  readonly loginNeeded: (profile: ProfileName, reason: string, caller: Caller) => void;
  /** What is wrong with hooks.toml, for people; null: nothing. */
  readonly hooks: { readonly trouble: string | null; look(): Promise<void> };
  readonly upgrades: Upgrades;
};

/** Another daemon takes the place of this one. */
export type Upgrades = {
  readonly view: UpgradeView;
  /** Answers when the other one waits for its turn. Throws upgrade_failed. */
  ask(): Promise<UpgradeReply>;
};

/** The user's own lock; everything was ended; the screen is locked, or nobody can tell, and policy asks for it. */
export type Shut = 'user-lock' | 'panic' | 'screen-lock' | 'screen-unheard';

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
  /** Reads the files, and takes nothing of them. Throws as reload(). */
  look(): Promise<void>;
};

export type Events = {
  emit(event: BrokerEvent['event'], profile: ProfileName | null, detail: string | null, asked?: { readonly caller: string | null; readonly count: number | null }): void;
  /** Calls back for each event until the signal ends; not at all where it has. `by` names the process. */
  subscribe(by: string, listener: (event: BrokerEvent) => void, signal: AbortSignal): void;
  /** Of the daemon's own, for as long as it runs: no stream that anybody reads. */
  listen(listener: (event: BrokerEvent) => void): void;
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
  readonly workloads: readonly WorkloadEnded[];
  /** Why the vault could not be opened any more, so that nothing was revoked; null: it was. */
  readonly notRevoked: ErrorCode | null;
};

export type Panicked = {
  readonly lockedOutSince: EpochMs;
  readonly grants: readonly { readonly profile: ProfileName; readonly issuer: string; readonly revoked: readonly Revoked[] }[];
  readonly workloads: readonly WorkloadEnded[];
  /** Why the vault, or a part of it, could not be reached; null: everything in it was ended. */
  readonly notReached: ErrorCode | null;
  /** Why the block is not on the disk; null: it is. */
  readonly notDurable: ErrorCode | null;
  readonly loginsEnded: number;
  readonly tookMs: number;
};

export type Lifecycle = {
  readonly facts: Facts;
  /** The user's own lock. */
  readonly locked: boolean;
  /** Since when a panic blocks everything; null: none does. */
  readonly lockedOutSince: EpochMs | null;
  readonly screen: StatusReply['screen'];
  /** What keeps tokens in now; null: nothing. */
  readonly shut: Shut | null;
  /** ensureOpen() has nothing to do. */
  readonly isOpen: boolean;
  /** Reads the grants if that has not happened; throws vault_locked and the like. */
  ensureOpen(): Promise<void>;
  /** For a sign-in, which a person may begin behind a panic: it is what ends it. Throws locked_out for any other caller. */
  ensureOpenFor(caller: Caller): Promise<void>;
  panic(caller: Caller): Promise<Panicked>;
  /** The caller is null where policy asks for it, at a locked screen or before suspend. */
  lock(caller: Caller | null): Promise<void>;
  unlock(caller: Caller, passphrase: string | null, create: boolean): Promise<void>;
  /** The caller is null for a signal. */
  reload(caller: Caller | null): Promise<readonly ProfileName[]>;
  purge(caller: Caller): Promise<Purged>;
  /** Answers first, then drains and ends. */
  shutdown(reason: string): void;
};
