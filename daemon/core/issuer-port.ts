/**
 * What the core asks of an authorization server. Every answer of one is an outcome: nothing here throws an OAuth,
 * HTTP or network error.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { EpochMs, Scope } from '../../shared/names.ts';
import type { AuthorizationServer, ClientAuth, Identity, IssuerConnection, Profile } from './domain.ts';
import type { Secret } from './secret.ts';

export type TokenSet = {
  readonly accessToken: Secret;
  readonly tokenType: 'Bearer';
  /** Seconds, as the issuer said; null where it did not. */
  readonly expiresInS: number | null;
  /** As the issuer said; null: as asked (RFC 6749, section 5.1). */
  readonly scope: readonly Scope[] | null;
  readonly refreshToken: Secret | null;
  /** Seconds that the refresh token may be held without being used, as the issuer said; null where it did not. */
  readonly refreshTokenExpiresInS: number | null;
  /** Seconds until the whole authorization ends, used or not; null where the issuer did not say. */
  readonly authorizationExpiresInS: number | null;
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
  /** `server`: something of an HTTP answer came. `network`: nothing did, so the server may be well. */
  readonly reach: 'network' | 'server';
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
/** `newcomers`: how the issuer takes clients that it does not know; there right after its metadata was read. */
export type ServerOutcome = { readonly kind: 'server'; readonly server: AuthorizationServer; readonly newcomers?: Newcomers } | Transient | Rejected;
export type Newcomers = { readonly registrationEndpoint: string | null; readonly takesMetadataDocuments: boolean };
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

/** What of a profile, or a workload, decides where its metadata is and what it has to say. */
export type Discoverable = IssuerConnection & Pick<Profile, 'issuer' | 'clientId' | 'endpoints' | 'traits'>;

export type Want = { readonly scopes: readonly Scope[]; readonly resource: string | null };

export type StepUp = {
  readonly acrValues: readonly string[];
  readonly maxAgeS: number | null;
  /** One access token beside the sign-in that is there: no refresh token is asked for. */
  readonly isBeside: boolean;
  /** The person has to prove who they are anew, whatever the issuer remembers of them. */
  readonly isAgain: boolean;
};

export const NO_STEP_UP: StepUp = { acrValues: [], maxAgeS: null, isBeside: false, isAgain: false };

export type IssuerSkew = { readonly issuer: string; readonly skewMs: number; readonly at: EpochMs };

/** All methods return outcomes; none throws an OAuth, HTTP or network error. */
export type Issuer = {
  /**
   * Checked metadata (RFC 8414, OIDC Discovery), or what written endpoints make: an answer of the last ten minutes
   * as it is, one of the last day while a newer one is fetched. `fresh` asks the issuer now.
   */
  discover(profile: Discoverable, options?: { readonly fresh: boolean }): Promise<ServerOutcome>;
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
  /**
   * Cannot be aborted: once it is sent the answer may hold the only valid refresh token.
   * @param onConnected - awaited when the connection stands and before a byte of the request is sent; where it
   *   throws a BrokerError nothing is sent, and that is thrown on. Not called where there is no connection.
   */
  refresh(client: ClientAt, profile: Profile, refreshToken: Secret, want: Want, previous: Identity | null, onConnected: () => Promise<void>): Promise<IssuerOutcome>;
  revoke(client: ClientAt, token: Secret, kind: 'refresh_token' | 'access_token'): Promise<RevokeOutcome>;
  /** Whether requests get to where tokens come from, by one that holds no secret; five seconds at most. */
  probe(server: AuthorizationServer, connection: IssuerConnection): Promise<Transient | { readonly kind: 'reached' }>;
  /** How far each issuer's clock is ahead of this machine's, by its last answer that said. */
  skews(): readonly IssuerSkew[];
};
