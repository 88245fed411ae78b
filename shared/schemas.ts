/**
 * The bodies of the wire. Requests are strict: an unknown key is an error, nothing is coerced and nothing
 * is dropped. Replies are written by the daemon alone; clients ignore keys that they do not know.
 * Times are whole seconds since 1970-01-01 UTC; durations carry their unit in the name.
 */
import * as v from 'valibot';
import { acrValues, challenge, claimed, epoch, loginId, profileName, resource, scopes, seconds, text, tokenParts } from './schema-parts.ts';
import { standingView } from './standing-schemas.ts';
import { upgradeView } from './upgrade-schemas.ts';

// ---- POST /v1/token
export const tokenRequest = v.strictObject({
  profile: v.optional(profileName),
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  /** The token must live at least this long; default 60. */
  min_ttl_s: v.optional(seconds(86_400)),
  /** Refresh even if a good token is cached. */
  force: v.optional(v.boolean()),
  /** `allowed`: start or join a sign-in where one is needed. Default `never`. */
  interaction: v.optional(v.picklist(['never', 'allowed'])),
  /** How long the caller waits for the answer; default 30. */
  wait_s: v.optional(seconds(300)),
  acr_values: v.optional(acrValues),
  max_age_s: v.optional(seconds(31_536_000)),
  /** The WWW-Authenticate header of a resource that wants a stronger or fresher sign-in (RFC 9470). */
  challenge: v.optional(challenge),
  claimed: v.optional(claimed),
});
export type TokenRequest = v.InferInput<typeof tokenRequest>;

export const tokenReply = v.object({
  ...tokenParts,
  source: v.picklist(['cache', 'refresh']),
  /** How, and when, the person signed in for this token: where the request asked for more than any sign-in. */
  acr: v.optional(v.nullable(v.string())),
  auth_time: v.optional(v.nullable(epoch)),
});
export type TokenReply = v.InferOutput<typeof tokenReply>;

// ---- POST /v1/logins, GET and DELETE /v1/logins/{id}, POST /v1/logins/{id}/confirm
export const loginRequest = v.strictObject({
  profile: v.optional(profileName),
  /** A preference; it can only keep or raise the safety of what would be chosen. */
  flow: v.optional(v.picklist(['auto', 'pkce', 'device'])),
  scopes: v.optional(scopes),
  /** `manual`: the person opens the URL in a browser of this machine; nothing is opened. Default `open`. */
  browser: v.optional(v.picklist(['open', 'manual'])),
  login_hint: v.optional(text(256)),
  acr_values: v.optional(acrValues),
  max_age_s: v.optional(seconds(31_536_000)),
  /** As with a token: one token beside the sign-in that is there, by the browser and never by a code. */
  challenge: v.optional(challenge),
  /** Proof that the asking client showed the prompt at its terminal and a person agreed (device flow). */
  consent: v.optional(v.strictObject({ challenge: loginId, code: text(16) })),
  /** `newest_login` of the problem that this answers: one that was completed since is joined, and none started. */
  newer_than: v.optional(v.nullable(loginId)),
  claimed: v.optional(claimed),
});
export type LoginRequest = v.InferInput<typeof loginRequest>;

/** Of GET /v1/logins/{id}: how long to wait for a change of state; default 0. */
export const loginWait = seconds(300);

export const confirmRequest = v.strictObject({ accept: v.boolean() });

export const problem = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  code: v.string(),
  retryable: v.boolean(),
  hint: v.string(),
  request_id: v.optional(v.string()),
  /** With login_required and flow_refused: which of their reasons. */
  reason: v.optional(v.string()),
  /** With login_required: the sign-in to join, if one is pending or was started. */
  login: v.optional(v.lazy(() => loginView)),
  /** With login_required: the last sign-in of the profile that was completed; null: none that is remembered. */
  newest_login: v.optional(v.nullable(v.string())),
  /** With consent_required: what to show at the terminal and to send back. */
  challenge: v.optional(v.lazy(() => consentChallenge)),
  /** With retryable errors: seconds until a new try makes sense. */
  retry_after_s: v.optional(v.number()),
  /** With issuer_unreachable: since when it has failed. */
  since: v.optional(epoch),
});
export type Problem = {
  type: string; title: string; status: number; detail: string; code: string; retryable: boolean; hint: string;
  request_id?: string | undefined; reason?: string | undefined; login?: LoginView | undefined; newest_login?: string | null | undefined;
  challenge?: ConsentChallenge | undefined; retry_after_s?: number | undefined; since?: number | undefined;
};

export const subjectView = v.object({ sub: v.string(), name: v.nullable(v.string()), email: v.nullable(v.string()) });
export type SubjectView = v.InferOutput<typeof subjectView>;

const devicePrompt = v.object({
  user_code: v.string(), verification_uri: v.string(),
  verification_uri_complete: v.nullable(v.string()), verification_host: v.string(),
});

export const consentChallenge = v.object({
  id: v.string(),
  /** To be typed by the person, at the terminal of the asking process. */
  code: v.string(),
  expires_at: epoch,
  issuer_host: v.string(),
  client_id: v.string(),
  scopes: v.array(v.string()),
  machine: v.string(),
  caller: v.string(),
});
export type ConsentChallenge = v.InferOutput<typeof consentChallenge>;

export const loginView = v.object({
  id: v.string(),
  profile: v.string(),
  state: v.picklist(['pending', 'confirm_subject', 'complete', 'failed']),
  flow: v.picklist(['authorization_code', 'device_code']),
  reason: v.string(), // the chooser's reason code
  expires_at: epoch,
  /** False: another process started it; this one only sees its state. */
  owned: v.boolean(),
  issuer_host: v.string(),
  scopes: v.array(v.string()),
  machine: v.string(),
  /** The asking tool, from verified facts. */
  caller: v.string(),
  /** Only to the process that created the login. */
  start_url: v.optional(v.string()),
  /** The profile's browser command; `{url}` stands for the URL, else it is appended. Null: the system's default. */
  browser: v.optional(v.nullable(v.array(v.string()))),
  device: v.optional(devicePrompt),
  /** Until a browser fetched `start_url` through `ssh -L port:127.0.0.1:port`. `otherwise`: what is left if none does. */
  tunnel: v.optional(v.object({ port: v.number(), until: epoch, otherwise: v.picklist(['device', 'refuse']) })),
  /** Who signed in: with `complete` and `confirm_subject`. */
  subject: v.optional(v.nullable(subjectView)),
  previous_subject: v.optional(v.nullable(subjectView)),
  error: v.optional(v.object({ code: v.string(), title: v.string(), detail: v.string(), hint: v.string(), reason: v.optional(v.string()) })),
});
export type LoginView = v.InferOutput<typeof loginView>;

// ---- grants
const accessTokenView = v.object({ scope: v.string(), resource: v.nullable(v.string()), expires_at: epoch });
export const grantView = v.object({
  profile: v.string(),
  issuer: v.string(),
  client_id: v.string(),
  state: v.picklist(['active', 'login_required']),
  reason: v.nullable(v.string()),
  subject: v.nullable(subjectView),
  /** Claims of the verified ID token that describe the sign-in: auth_time, acr, amr, tenant. */
  claims: v.record(v.string(), v.unknown()),
  flow: v.string(),
  scopes: v.array(v.string()),
  resource: v.nullable(v.string()),
  generation: v.number(),
  refreshable: v.boolean(),
  signed_in_at: epoch,
  refreshed_at: v.nullable(epoch),
  /** When the refresh token ends unless it is used before, and when the whole sign-in ends; null: the issuer does not say. */
  refresh_token_expires_at: v.nullable(epoch),
  authorization_expires_at: v.nullable(epoch),
  /** When policy ends the sign-in, whatever is refreshed, and when it does unless a person takes part before; null: never. */
  session_ends_at: v.nullable(epoch),
  idle_ends_at: v.nullable(epoch),
  tokens: v.array(accessTokenView),
});
export type GrantView = v.InferOutput<typeof grantView>;
export const grantsReply = v.object({ grants: v.array(grantView) });
export type GrantsReply = v.InferOutput<typeof grantsReply>;

export const logoutReply = v.object({
  profile: v.string(),
  /** What became of each token at the issuer. `until`: it may live on so long. */
  revoked: v.array(v.object({
    token: v.picklist(['refresh_token', 'access_token']),
    outcome: v.picklist(['revoked', 'unsupported', 'pending', 'failed']),
    until: v.nullable(epoch),
  })),
});
export type LogoutReply = v.InferOutput<typeof logoutReply>;

// ---- POST /v1/grants/{profile}/end-session
/** `returns`: the issuer sends the browser back; the redirect URI has to be registered for that as well. */
export const endSessionRequest = v.strictObject({ returns: v.optional(v.boolean()) });
export type EndSessionRequest = v.InferInput<typeof endSessionRequest>;
export const endSessionReply = v.object({
  profile: v.string(),
  issuer_host: v.string(),
  /** The one-time URL for a browser of this machine. */
  start_url: v.string(),
  /** As in a login. */
  browser: v.nullable(v.array(v.string())),
  expires_at: epoch,
});
export type EndSessionReply = v.InferOutput<typeof endSessionReply>;

/** One entry a grant that was there. `not_revoked`: the code of why the vault could not be opened, so that nothing was revoked. */
const endedTokens = v.array(v.object({ profile: v.string(), issuer: v.string(), revoked: logoutReply.entries.revoked }));
export const purgeReply = v.object({ grants: v.array(logoutReply), workloads: endedTokens, not_revoked: v.nullable(v.string()) });
export type PurgeReply = v.InferOutput<typeof purgeReply>;

/** One entry a grant that was ended. What is not `revoked` may live on until `until`; null: until its issuer ends it. */
export const panicReply = v.object({
  locked_out_since: epoch,
  grants: endedTokens,
  /** One entry a workload of which the daemon held a token. */
  workloads: endedTokens,
  /** Why grants that are sealed in the vault could not be reached: the code of an error. They end before it is used again. */
  not_reached: v.nullable(v.string()),
  /** Why the block is not on the disk, so that it ends with the daemon: the code of an error. */
  not_durable: v.nullable(v.string()),
  logins_ended: v.number(),
  took_ms: v.number(),
});
export type PanicReply = v.InferOutput<typeof panicReply>;

// ---- the daemon
export const unlockRequest = v.strictObject({ passphrase: v.optional(text(1024)), create: v.optional(v.boolean()) });
export type UnlockRequest = v.InferInput<typeof unlockRequest>;

export const vaultView = v.object({
  backend: v.picklist(['keychain', 'passphrase', 'memory']),
  state: v.picklist(['open', 'locked', 'unavailable']),
  detail: v.string(),
});
export type VaultView = v.InferOutput<typeof vaultView>;

export const statusReply = v.object({
  version: v.string(),
  protocol: v.number(),
  pid: v.number(),
  started_at: epoch,
  started_by: v.string(),
  socket: v.string(),
  state_dir: v.string(),
  config: v.object({ file: v.string(), loaded_at: epoch, profiles: v.number() }),
  vault: vaultView,
  /** The user's `valetkey lock`; nothing is issued until `valetkey unlock`. */
  locked: v.boolean(),
  /** Since when `valetkey panic` blocks everything; null: it does not. */
  locked_out_since: v.nullable(epoch),
  /** What is known of the screen where policy asks for it: `screen_lock_unheard`: it is not, and policy cannot be kept. */
  screen: v.picklist(['not_asked', 'unlocked', 'locked', 'screen_lock_unheard']),
  /** Of every profile; who is behind it stands in `grants`. */
  standings: v.array(standingView),
  grants: v.array(grantView),
  logins: v.array(v.object({ id: v.string(), profile: v.string(), flow: v.string(), expires_at: epoch })),
  pending_revocations: v.number(),
  /** Issuers of which something is known: how far their clock is ahead of this machine's, and since when they fail. */
  issuers: v.array(v.object({
    issuer: v.string(), skew_s: v.nullable(v.number()), failing_since: v.nullable(epoch), cause: v.nullable(v.string()), retry_after_s: v.nullable(v.number()),
  })),
  warnings: v.array(v.string()),
  upgrade: upgradeView,
  environment: v.record(v.string(), v.nullable(v.string())),
});
export type StatusReply = v.InferOutput<typeof statusReply>;

export const reloadReply = v.object({ file: v.string(), profiles: v.number(), changed: v.array(v.string()) });
export type ReloadReply = v.InferOutput<typeof reloadReply>;
export const okReply = v.object({ ok: v.literal(true) });
export type OkReply = v.InferOutput<typeof okReply>;

/** One server-sent event of GET /v1/events: its `event` name and this as `data`. */
export const brokerEvent = v.object({
  at: epoch,
  event: v.picklist(['login_started', 'login_finished', 'token_refreshed', 'grant_changed', 'grant_removed', 'approval_asked', 'approval_answered', 'config_reloaded', 'locked', 'unlocked', 'locked_out', 'session_locked', 'session_unlocked', 'token_released', 'token_refused', 'refresh_failed', 'grant_parked', 'peer_refused', 'detected', 'login_needed', 'session_ending', 'stopping']),
  profile: v.nullable(v.string()),
  detail: v.nullable(v.string()),
  /** Who asked, where somebody did; from verified facts. */
  caller: v.optional(v.string()),
  /** With token_released: how many times since the event before of this caller and token. */
  count: v.optional(v.number()),
});
export type BrokerEvent = v.InferOutput<typeof brokerEvent>;
