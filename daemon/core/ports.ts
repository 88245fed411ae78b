/**
 * What the core asks of the world. Each port is small, says what absence means, and has a contract test
 * that the real adapter and the fake both pass. Adapters never import each other.
 */
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { ProcessName } from './consents.ts';
import type { Caller, Config, Grant, Profile, SessionFacts } from './domain.ts';
import type { PolicyDocument, PolicyDocuments } from './policy-rules.ts';
import type { Instant } from './time.ts';

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
export type * from './discovery-port.ts';
export * from './resource-port.ts';

// ---- vault

export type * from './vault-port.ts';

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
  /** Reads the file as reload() does, and takes nothing of it: whether a reload would change anything. Throws as reload(). */
  wouldChange(): Promise<boolean>;
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
  programAt(path: string): Promise<{ readonly executable: string; readonly digest: string; readonly isInterpreter: boolean } | null>;
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

export type * from './audit-port.ts';
