/** The audit log: what is written there, the keys that sign it, and what detectors make of it. */
import type { CheckpointClaims, Head } from '../../shared/audit-line.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Caller } from './domain.ts';
import type { Secret } from './secret.ts';

export type AuditEvent = {
  readonly event:
    | 'daemon_started' | 'daemon_stopped' | 'config_reloaded' | 'login_decided' | 'login_finished' | 'login_failed'
    | 'token_released' | 'token_refused' | 'fetch_started' | 'fetch_ended' | 'token_refreshed' | 'refresh_failed' | 'grant_parked' | 'grant_removed' | 'browser_signed_out'
    | 'token_revoked' | 'jit_granted' | 'jit_ended' | 'approval_given' | 'approval_denied' | 'approval_revoked' | 'pin_changed' | 'pin_refused' | 'peer_refused' | 'locked' | 'unlocked' | 'panic' | 'lockout_lifted' | 'session_locked' | 'session_unlocked' | 'profile_added' | 'client_registered' | 'profile_removed' | 'purged'
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
  /** The program that it is about, by script or executable; null: it is about none. */
  readonly program: string | null;
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
