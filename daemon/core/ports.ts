/**
 * What the core asks of the world. Each port is small, says what absence means, and has a contract test
 * that the real adapter and the fake both pass. Adapters never import each other.
 */
import type { CheckpointClaims, Head } from '../../shared/audit-line.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { ConsentStore, ProcessName } from './consents.ts';
import type { Caller, Config, Grant, Profile, RefreshIntent, Revocation, SessionFacts } from './domain.ts';
import type { PolicyDocument, PolicyDocuments } from './policy-rules.ts';
import type { Secret } from './secret.ts';
import type { Instant } from './time.ts';
import type { WorkloadStore } from './workload.ts';

export type Clock = {
  now(): EpochMs;
  /** Milliseconds of a clock that never jumps and goes on during suspend (CLOCK_BOOTTIME). */
  boottimeMs(): number;
  /** Names the boot to which boottimeMs() counts: values of two boots cannot be compared. */
  readonly bootId: string;
  /** Milliseconds of a clock that never jumps and stands still during suspend. */
  awakeMs(): number;
  /** Resolves at the wake-up; rejects with the signal's reason when aborted. Sleeps in slices of 30 s at most. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};

export type Random = {
  /** Unguessable bytes, base64url. */
  token(bytes: number): string;
  /** Uniform in [0, 1), for jitter only. */
  fraction(): number;
};

export type LogFields = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
/** Fields are values of the domain, never bodies; text of strangers is cleaned before. */
export type Log = {
  /** The fields may be made when they are needed: where debugging is off, nobody pays for them. */
  debug(event: string, fields?: LogFields | (() => LogFields)): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields & { readonly cause?: never }, cause?: unknown): void;
};

// ---- issuer

export type * from './issuer-port.ts';

// ---- vault

export type VaultStatus = {
  readonly backend: 'keychain' | 'passphrase' | 'memory';
  readonly state: 'open' | 'locked' | 'unavailable';
  /** What a person should know: why, and what to do. */
  readonly detail: string;
};

export type StoredGrant = { readonly grant: Grant; readonly intent: RefreshIntent | null };
export type StoredGrants = {
  readonly grants: readonly StoredGrant[];
  readonly corrupt: readonly ProfileName[];
  /**
   * The highest generation that is known to have been saved of each profile, and one more where its grant was
   * removed since. A grant below it was rolled back: it comes from a backup, and its refresh token may be spent.
   */
  readonly floors: ReadonlyMap<ProfileName, number>;
};

/**
 * The sealed store. Every method but status() and unlock() throws BrokerError vault_locked or
 * vault_unavailable while it is not open, and vault_unwritable where the disk refuses.
 */
export type Vault = {
  status(): VaultStatus;
  /** Opens it: reads the key from the keychain, or derives it. `create` makes a new passphrase vault. Opening an open vault does nothing without a passphrase; with one, it is proved or refused. */
  unlock(passphrase: Secret | null, create: boolean): Promise<void>;
  /** Forgets the key at once. Resolves, after 3 s at most, when the floors are kept as well as they can be; never rejects. */
  lock(): Promise<void>;
  /** As lock(), for a daemon that ends: what a supervisor keeps for the next one stays with it. */
  end(): Promise<void>;
  /** All grants. A file that cannot be opened is set aside (renamed) and named in `corrupt`; so is one of a newer version, left as it is. */
  grants(): Promise<StoredGrants>;
  /** Durable when it resolves: the intent, and the space for the next generation. */
  beginRefresh(profile: ProfileName, intent: RefreshIntent): Promise<void>;
  /** The refresh was not sent, or its answer left the grant as it was. */
  abandonRefresh(profile: ProfileName): Promise<void>;
  /** Durable when it resolves; takes the intent away in the same step. */
  save(grant: Grant): Promise<void>;
  remove(profile: ProfileName): Promise<void>;
  revocations(): Promise<readonly Revocation[]>;
  saveRevocation(revocation: Revocation): Promise<void>;
  removeRevocation(id: string): Promise<void>;
  /** Null also where it was sealed under another binding digest: a profile that points elsewhere by now takes no secret along. */
  clientSecret(profile: ProfileName, digest: string): Promise<Secret | null>;
  saveClientSecret(profile: ProfileName, digest: string, secret: Secret): Promise<void>;
  removeClientSecret(profile: ProfileName): Promise<void>;
  readonly pins: ApprovalPins;
  readonly consents: ConsentStore;
  /** The keys of the audit log, made where there were none. They end with lock() and erase(). */
  auditKeys(): Promise<AuditKeys>;
  /** Apart from the grants: nothing that is kept there is found here (WL-01). */
  workloads(): Promise<WorkloadStore>;
  /** Removes every sealed file and the key, for good. */
  erase(): Promise<void>;
};

/** The PIN for privileged access. Every method throws as the vault does while it is not open. */
export type ApprovalPins = {
  isSet(): Promise<boolean>;
  /**
   * Sets or changes it; null removes it.
   * @param old - the one before, where there is one
   * @throws BrokerError as prove(); bad_request for one that is too short
   */
  set(pin: Secret | null, old: Secret | null): Promise<void>;
  /** @throws BrokerError pin_required where none is set; pin_wrong, which is counted; too_many_requests after some of them */
  prove(pin: Secret): Promise<void>;
};

/** The data key in the hands of the supervisor, for the daemon that comes after this one; never on a disk. Where nobody keeps it nothing happens. */
export type KeptKey = {
  /** A copy, for the caller to zero; null where there is none. */
  take(): Buffer | null;
  keep(key: Uint8Array): void;
  /** Out of every hand at once, whoever holds the descriptor. */
  drop(): void;
};

/** What started the daemon, and is told how it does. */
export type Supervisor = {
  /** The listening socket that was made for the daemon, as a descriptor; null: the daemon makes its own. */
  readonly listener: number | null;
  /** Somebody else holds that socket as well, and it stays when the daemon ends. */
  readonly holdsListener: boolean;
  /** It ends a daemon that says nothing for so long; null: it does not. */
  readonly watchdogMs: number | null;
  ready(): void;
  /** One line, for people. */
  status(line: string): void;
  reloading(): void;
  stopping(): void;
  /** From now on that process is the daemon. */
  followedBy(pid: number): void;
  alive(): void;
};

// ---- the desktop

/** `screen`: of this user's desktop sessions one is locked, or none is. `sleep`: the machine is about to. */
export type SessionNews = { readonly kind: 'screen'; readonly isLocked: boolean } | { readonly kind: 'sleep' } | { readonly kind: 'unheard'; readonly why: string };

export type LoginSessions = {
  /** Tells how it is as soon as it knows, and what changes, until the signal ends; while nobody tells, that. */
  watch(onNews: (news: SessionNews) => void, signal: AbortSignal): Promise<void>;
};

// ---- the mark of a panic

export type Lockout = {
  readonly at: EpochMs;
  /** Everything that was in the vault has ended; false: it has to, before the vault is used again. */
  readonly isSwept: boolean;
};

/** It is no secret, so that it can be read and written whatever became of the vault. */
export type LockoutMark = {
  /** Null: there is none. One that cannot be read counts as one after which nothing was ended. */
  read(): Promise<Lockout | null>;
  /** Durable when it resolves. Throws vault_unwritable. */
  write(lockout: Lockout): Promise<void>;
  remove(): Promise<void>;
};

// ---- grants in memory, over the vault

/** The one holder of grants. Writers of one profile are serialised; the generation decides who wins. */
export type GrantBook = {
  get(profile: ProfileName): Grant | null;
  list(): readonly Grant[];
  /** What the next generation of this profile must be, also after a logout and a restart: no old flight and no backup can match it. */
  nextGeneration(profile: ProfileName): number;
  /** Saves `next` if the grant is still of generation `expected` (null: any, or none). Durable when it resolves. */
  commit(next: Grant, expected: number | null): Promise<'saved' | 'conflict'>;
  /**
   * Takes the grant away, in memory and on disk, after a commit that is under way; returns what was there.
   * @param before - what has to be done with the newest grant while it is still there
   */
  take(profile: ProfileName, before: (grant: Grant) => Promise<void>): Promise<Grant | null>;
  /** Why there is no grant. */
  absence(profile: ProfileName): 'never_signed_in' | 'signed_out' | 'vault_corrupt';
  /** A refresh whose answer was lost, and the token may still be sent once more: since when. Null: none. */
  unanswered(profile: ProfileName): Instant | null;
  markUnanswered(profile: ProfileName, since: Instant): void;
  /** Profiles whose newest generation the disk refused so far. */
  unsaved(): readonly ProfileName[];
};

// ---- configuration

/** The one holder of the configuration. A reload is a new immutable Config, or the old one stays. */
export type ConfigStore = {
  current(): Config;
  /** Throws config_invalid, config_untrusted or file_too_new, and then the old one stays. */
  reload(): Promise<{ readonly changed: readonly ProfileName[] }>;
  /** The profile that this table would make; nothing is written. */
  plan(name: ProfileName, table: ProfileTable): Promise<Profile>;
  /** Writes the profile to the file, keeping what else stands there, and reloads. */
  add(name: ProfileName, table: ProfileTable): Promise<Profile>;
  remove(name: ProfileName): Promise<void>;
  removeWorkload(name: ProfileName): Promise<void>;
  /** To register at the issuer, to the letter; `{port}` stands for any port. */
  redirectUris(profile: Profile): readonly string[];
  /** What to know before registering a client at an issuer of this kind. */
  caveats(profile: Profile): readonly string[];
};

// ---- callers

export type Peer = { readonly uid: number; readonly pid: number };

/** A descriptor of the process that connected, whoever has its number by now (SO_PEERPIDFD). Whoever made it closes it. */
export type Pin = { isAlive(): boolean; close(): void };
/** Null where the kernel has no such descriptors; then start times have to do. */
export type PinPeer = () => Pin | null;

export type Callers = {
  /**
   * Facts of the process behind a connection, at once where they are known and proved anew; null when it is
   * gone. `pin` is asked for at once or not at all.
   */
  attest(peer: Peer, pin: PinPeer | null): Caller | null | Promise<Caller | null>;
  /** Still the same process, running the same program: pid, start time, uid, image. A token leaves only then. */
  stillSame(caller: Caller): boolean;
  /** This very process, whoever has its number by now. */
  isRunning(process: ProcessName): boolean;
  /** Within `work`, which waits for nothing, one look at a process is enough for all that it asked for before. */
  lookOnce(work: () => void): void;
  /** SHA-256 of the executable of the caller's program, hex; null where it cannot be read. Takes its time: off the hot path. */
  digestOf(caller: Caller): Promise<string | null>;
  /** The program at this path as callers that run it will have it; null where it cannot be read. For paths that a person named. */
  programAt(path: string): Promise<{ readonly executable: string; readonly digest: string } | null>;
  /** Why it has its class, for people. */
  classReason(caller: Caller): string;
  /** Facts of the caller's login session, from /proc of the process and its parents. */
  session(caller: Caller): Promise<SessionFacts>;
};

// ---- policy

/** The policy files of this machine and this user. */
export type PolicyFiles = {
  readonly userFile: string;
  /** Null where the platform has no place for one yet. */
  readonly adminFile: string | null;
  /** Throws policy_untrusted, policy_invalid or file_too_new. A file that is not there is null. */
  read(): Promise<PolicyDocuments>;
  /** The text of a file that is not in its place yet. Throws policy_invalid or file_too_new. */
  parse(text: string, file: string, source: 'admin' | 'user'): PolicyDocument;
};

// ---- the user's desktop

export type * from './desktop-port.ts';

// ---- audit

export type AuditEvent = {
  readonly event:
    | 'daemon_started' | 'daemon_stopped' | 'config_reloaded' | 'login_decided' | 'login_finished' | 'login_failed'
    | 'token_released' | 'token_refused' | 'token_refreshed' | 'refresh_failed' | 'grant_parked' | 'grant_removed' | 'browser_signed_out'
    | 'token_revoked' | 'jit_granted' | 'jit_ended' | 'approval_given' | 'approval_denied' | 'approval_revoked' | 'pin_changed' | 'pin_refused' | 'peer_refused' | 'locked' | 'unlocked' | 'panic' | 'lockout_lifted' | 'session_locked' | 'session_unlocked' | 'profile_added' | 'profile_removed' | 'purged'
    | 'workload_token_obtained' | 'workload_token_released' | 'workload_token_refused' | 'workload_token_revoked' | 'workload_key_changed' | 'workload_removed';
  readonly profile: ProfileName | null;
  readonly caller: Caller | null;
  readonly request: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
};

/** RFC 8037. */
export type AuditPublicKey = { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string };

/** Every method throws vault_locked after the vault was locked. */
export type AuditKeys = {
  /** Thumbprint of the public key (RFC 7638). */
  readonly kid: string;
  readonly publicKey: AuditPublicKey;
  /** Whether a later run of the daemon has the same ones; in a vault that is in memory it does not. */
  readonly isLasting: boolean;
  /** The last record that was signed and remembered; null: none. */
  readonly last: Head | null;
  /** A JWS, compact, with EdDSA (RFC 7515, RFC 8037). */
  sign(claims: CheckpointClaims): string;
  remember(head: Head): Promise<void>;
  /** Names a token in records; only who has the key and the token can make it again. */
  fingerprint(token: Secret): string;
};

/** Something that a detector saw; facts and names of the domain, no text of strangers. */
export type Detection = {
  readonly detector: string;
  readonly at: EpochMs;
  readonly profile: ProfileName | null;
  /** For people, one sentence. */
  readonly what: string;
};

export type AuditState = {
  readonly file: string;
  /** The last record that is in the file. */
  readonly head: Head;
  /** The last record that a checkpoint of this run, or of an earlier one, signed; null: none. */
  readonly signed: Head | null;
  readonly key: Pick<AuditKeys, 'kid' | 'publicKey' | 'isLasting' | 'last'> | null;
  /** What detectors saw and is not over yet, the newest first: for people, and for a policy that blocks on it. */
  readonly detections: readonly Detection[];
};

export type Audit = {
  /** Written when it resolves; synced at least every second. */
  append(event: AuditEvent): Promise<void>;
  /** What is wrong with its disk, for people; null: nothing. */
  trouble(): string | null;
  state(): AuditState;
  /** Signs with these from now on, and once more with those before. Null: they are about to go. Resolves when they remember what was signed. */
  useKeys(keys: AuditKeys | null): Promise<void>;
  close(): Promise<void>;
};
