/**
 * Consents as they are kept. Of a consent its age is kept and not its end, so that the end can be told by whichever
 * clock says more; and names of processes mean nothing but in the boot that `at` names.
 */
import type { ProfileName, Scope } from '../../shared/names.ts';
import type { Tier } from './policy-rules.ts';
import type { Moment } from './time.ts';

/** `program`: wherever it runs. `session`: in this terminal session. `run`: this process, or the agent it belongs to. */
export type ConsentBinding = 'program' | 'session' | 'run';

/** One process: its number is used again, its start is not. */
export type ProcessName = { readonly pid: number; readonly startTime: string };

/** Whose token it is. */
export type ConsentKind = 'profile' | 'workload';

export type KeptConsent = {
  readonly id: string;
  readonly profile: ProfileName;
  /** What the name of the profile meant when it was given (WL-01). */
  readonly kind: ConsentKind;
  readonly resource: string | null;
  /** Null: those of the profile. */
  readonly scopes: readonly Scope[] | null;
  /** For people. */
  readonly label: string;
  /** The program and its bytes, as consent-key.ts names them. */
  readonly program: string;
  readonly binding: ConsentBinding;
  /** It ends with this process; null: with none. */
  readonly holder: ProcessName | null;
  readonly rule: string;
  /** Of what was asked about: a yes without the PIN is none to what is privileged by now. */
  readonly tier: Tier;
  /** Given before any rule asked. */
  readonly isStanding: boolean;
  readonly givenBy: string;
  readonly lifeMs: number;
  readonly ageMs: number;
};

export type KeptConsents = { readonly at: Moment; readonly consents: readonly KeptConsent[] };

/** `lost`: what is there opens nothing. A damaged file was set aside, one from a backup removed; one of a newer version stays until another takes its place. */
export type ReadConsents =
  | { readonly kind: 'none' }
  | { readonly kind: 'kept'; readonly kept: KeptConsents }
  | { readonly kind: 'lost'; readonly why: 'vault_corrupt' | 'file_too_new' | 'rolled_back' };

/** read() and write() throw as the vault does while it is not open; all three vault_unwritable. */
export type ConsentStore = {
  read(): Promise<ReadConsents>;
  /** In place of what was there; durable when it resolves. False: this vault is in memory, and nothing was kept. */
  write(kept: KeptConsents): Promise<boolean>;
  /** Durable when it resolves. Needs no key: also of a vault that is locked, or was not opened yet. */
  remove(): Promise<void>;
};
