/**
 * What the core asks of the world. Each port is small, says what absence means, and has a contract test
 * that the real adapter and the fake both pass. Adapters never import each other.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { EpochMs, ProfileName, Scope } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/schemas.ts';
import type {
  AuthorizationServer, Caller, ClientAuth, Config, Grant, Identity, IssuerConnection, Profile, RefreshIntent, Revocation, SessionFacts,
} from './domain.ts';
import type { Secret } from './secret.ts';

export type Clock = {
  now(): EpochMs;
  /** Milliseconds of a clock that never jumps and goes on during suspend (CLOCK_BOOTTIME). */
  boottimeMs(): number;
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

export type TokenSet = {
  readonly accessToken: Secret;
  readonly tokenType: 'Bearer';
  /** Seconds, as the issuer said; null where it did not. */
  readonly expiresInS: number | null;
  /** As the issuer said; null: as asked (RFC 6749, section 5.1). */
  readonly scope: readonly Scope[] | null;
  readonly refreshToken: Secret | null;
  /** From a verified ID token; null where none came. */
  readonly identity: Identity | null;
  /** Why the access token must not be used, though the refresh token that came with it must be kept; null: use it. */
  readonly withheld: string | null;
};

/** Nothing was decided: keep everything. */
export type Transient = {
  readonly kind: 'transient';
  /** The request may have been processed and its answer is lost. False where it surely was not sent, or an HTTP error status came back. */
  readonly answerLost: boolean;
  readonly retryAfterMs: number | null;
  /** dns, refused, reset, tls, timeout, http_408, http_429, http_5xx, ... : for people and logs. */
  readonly cause: string;
  readonly timedOut: boolean;
};
/** Decided against us. `code` is for the caller; `oauthError` is what the server said, cleaned. */
export type Rejected = {
  readonly kind: 'rejected';
  readonly code: ErrorCode;
  readonly oauthError: string | null;
  /** What some servers say beside the error: error_subtype (Google), suberror (Entra). */
  readonly subError: string | null;
  readonly description: string;
  /** Tokens that came with an answer that is rejected: nobody may use them, and they have to be revoked. */
  readonly tokens: TokenSet | null;
};

export type IssuerOutcome = { readonly kind: 'tokens'; readonly tokens: TokenSet } | Transient | Rejected;
export type PollOutcome = IssuerOutcome | { readonly kind: 'pending'; readonly slowDown: boolean };
export type ServerOutcome = { readonly kind: 'server'; readonly server: AuthorizationServer } | Transient | Rejected;
export type DeviceOutcome =
  | {
      readonly kind: 'device';
      readonly deviceCode: Secret;
      /** PKCE for the device flow, which RFC 8628 does not know and Keycloak may demand; others ignore it. */
      readonly verifier: Secret;
      readonly userCode: string;
      readonly verificationUri: string;
      readonly verificationUriComplete: string | null;
      readonly expiresInS: number;
      readonly intervalS: number;
    }
  | Transient
  | Rejected;
/** What the token endpoint is polled with. */
export type DeviceGrant = { readonly deviceCode: Secret; readonly verifier: Secret };
export type RevokeOutcome = { readonly kind: 'revoked' } | { readonly kind: 'unsupported' } | Transient | Rejected;

/** The client at its authorization server: what every call to the issuer needs. */
export type ClientAt = {
  readonly server: AuthorizationServer;
  readonly clientId: string;
  readonly clientAuth: ClientAuth;
  readonly clientSecret: Secret | null;
  readonly connection: IssuerConnection;
};

/** What one authorization request is bound to; kept in the daemon until the code is redeemed, once. */
export type AuthorizationRequest = {
  readonly redirectUri: string;
  readonly state: Secret;
  readonly nonce: Secret;
  readonly verifier: Secret;
};

export type Want = { readonly scopes: readonly Scope[]; readonly resource: string | null };

export type StepUp = { readonly acrValues: readonly string[]; readonly maxAgeS: number | null };

/** All methods return outcomes; none throws an OAuth, HTTP or network error. */
export type Issuer = {
  /** Fetches and checks metadata (RFC 8414, OIDC Discovery), or makes it from written endpoints. */
  discover(profile: Profile): Promise<ServerOutcome>;
  /** Fresh state, nonce and verifier: 32 random bytes each (RFC 7636, section 4.1). */
  newAuthorizationRequest(redirectUri: string): AuthorizationRequest;
  /**
   * The URL to send the browser to; pushes the request first where the server can (RFC 9126), and then the URL
   * works for `expiresInS` seconds from now and no longer. Null: nothing was pushed, and nothing ends it.
   */
  authorizationUrl(
    client: ClientAt, profile: Profile, request: AuthorizationRequest, want: Want, stepUp: StepUp, loginHint: string | null,
  ): Promise<{ readonly kind: 'url'; readonly url: string; readonly expiresInS: number | null } | Transient | Rejected>;
  /**
   * Redeems a code, once. `callback` holds the parameters of the authorization response, whose state and
   * iss were checked; they are checked again here.
   */
  redeem(client: ClientAt, profile: Profile, request: AuthorizationRequest, callback: URLSearchParams, want: Want, stepUp: StepUp): Promise<IssuerOutcome>;
  startDevice(client: ClientAt, profile: Profile, want: Want): Promise<DeviceOutcome>;
  /** One poll (RFC 8628, section 3.4). The schedule is the caller's. */
  pollDevice(client: ClientAt, profile: Profile, device: DeviceGrant, want: Want, signal: AbortSignal): Promise<PollOutcome>;
  /** Cannot be aborted: from here on the answer may hold the only valid refresh token. */
  refresh(client: ClientAt, profile: Profile, refreshToken: Secret, want: Want, previous: Identity | null): Promise<IssuerOutcome>;
  revoke(client: ClientAt, token: Secret, kind: 'refresh_token' | 'access_token'): Promise<RevokeOutcome>;
};

// ---- vault

export type VaultStatus = {
  readonly backend: 'keychain' | 'passphrase' | 'memory';
  readonly state: 'open' | 'locked' | 'unavailable';
  /** What a person should know: why, and what to do. */
  readonly detail: string;
};

export type StoredGrant = { readonly grant: Grant; readonly intent: RefreshIntent | null };

/**
 * The sealed store. Every method but status() and unlock() throws BrokerError vault_locked or
 * vault_unavailable while it is not open, and vault_unwritable where the disk refuses.
 */
export type Vault = {
  status(): VaultStatus;
  /** Opens it: reads the key from the keychain, or derives it. `create` makes a new passphrase vault. Opening an open vault does nothing without a passphrase; with one, it is proved or refused. */
  unlock(passphrase: Secret | null, create: boolean): Promise<void>;
  /** Forgets the key. */
  lock(): void;
  /** All grants. A file that cannot be opened is set aside (renamed) and named in `corrupt`; so is one of a newer version, left as it is. */
  grants(): Promise<{ readonly grants: readonly StoredGrant[]; readonly corrupt: readonly ProfileName[] }>;
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
  /** Removes every sealed file and the key, for good. */
  erase(): Promise<void>;
};

// ---- grants in memory, over the vault

/** The one holder of grants. Writers of one profile are serialised; the generation decides who wins. */
export type GrantBook = {
  get(profile: ProfileName): Grant | null;
  list(): readonly Grant[];
  /** What the next generation of this profile must be, also after a logout: an old flight can never match it. */
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
  unanswered(profile: ProfileName): EpochMs | null;
  markUnanswered(profile: ProfileName, since: EpochMs): void;
  /** Profiles whose newest generation the disk refused so far. */
  unsaved(): readonly ProfileName[];
};

// ---- loopback

export type LoopbackPage =
  | { readonly kind: 'success'; readonly subject: string | null; readonly profile: string; readonly caller: string }
  | { readonly kind: 'refused'; readonly profile: string; readonly title: string }
  | { readonly kind: 'wrong_account'; readonly subject: string | null; readonly profile: string }
  | { readonly kind: 'expired' };

/** Parameters of an authorization response that belongs to this login: state and iss hold. */
export type LoopbackCallback = { readonly parameters: URLSearchParams };

/** One login's listener: bound when this exists, closed by close(), by the signal, or after its page was delivered. */
export type LoopbackListener = {
  readonly port: number;
  readonly redirectUri: string;
  /** The one-time URL for the browser. */
  readonly startUrl: string;
  /** Says where /start redirects to, asked when it does, and what the callback must hold. Called once. */
  arm(authorizationUrl: () => Promise<string>, state: Secret, iss: { readonly issuer: string; readonly required: boolean }): void;
  /** The first valid callback. Junk is answered and ignored. Rejects when closed before. */
  readonly callback: Promise<LoopbackCallback>;
  /** Resolves when the browser fetched /start: browser and listener share a path. */
  readonly started: Promise<void>;
  /** What the clean page shows; until then the browser waits, 5 s at most. */
  finish(page: LoopbackPage): void;
  close(): Promise<void>;
};

export type Loopback = {
  /** Binds 127.0.0.1, else ::1. Throws BrokerError loopback_exhausted. */
  open(options: { readonly ports: readonly number[]; readonly path: string; readonly uid: number }): Promise<LoopbackListener>;
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
  /** To register at the issuer, to the letter; `{port}` stands for any port. */
  redirectUris(profile: Profile): readonly string[];
  /** What to know before registering a client at an issuer of this kind. */
  caveats(profile: Profile): readonly string[];
};

// ---- callers

export type Peer = { readonly uid: number; readonly pid: number };

export type Callers = {
  /** Facts of the process behind a connection, at once where they are known and proved anew; null when it is gone. */
  attest(peer: Peer): Caller | null | Promise<Caller | null>;
  /** Still the same process: pid, start time, uid. */
  stillSame(caller: Caller): boolean;
  /** Facts of the caller's login session, from /proc of the process and its parents. */
  session(caller: Caller): Promise<SessionFacts>;
};

// ---- audit

export type AuditEvent = {
  readonly event:
    | 'daemon_started' | 'daemon_stopped' | 'config_reloaded' | 'login_decided' | 'login_finished' | 'login_failed'
    | 'token_released' | 'token_refused' | 'token_refreshed' | 'refresh_failed' | 'grant_parked' | 'grant_removed'
    | 'token_revoked' | 'peer_refused' | 'locked' | 'unlocked' | 'profile_added' | 'profile_removed' | 'purged';
  readonly profile: ProfileName | null;
  readonly caller: Caller | null;
  readonly request: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
};

export type Audit = {
  /** Written when it resolves; synced at least every second. */
  append(event: AuditEvent): Promise<void>;
  close(): Promise<void>;
};
