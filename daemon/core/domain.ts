/**
 * The things of the domain. Everything is readonly; absent is `null` and always present as a key; states
 * are unions with `kind`. Wire types hold plain strings, these hold `Secret`.
 */
import type { LoginReason } from '../../shared/errors.ts';
import type { EpochMs, ProfileName, Scope } from '../../shared/names.ts';
import type { AccessToken } from './access-token.ts';
import type { Tier } from './policy-rules.ts';
import type { FetchTerms } from './resource-port.ts';
import type { Secret } from './secret.ts';
import type { Moment } from './time.ts';
import type { Workload } from './workload.ts';

export type FlowKind = 'authorization_code' | 'device_code';
export type FlowPreference = 'auto' | 'pkce' | 'device';
export type ClientAuth = 'none' | 'client_secret_basic' | 'client_secret_post';
/** How a resource is named to the issuer (RFC 8707, or what came before it). */
export type ResourceStyle = 'resource' | 'audience' | 'scope_prefix' | 'none';

/** How one kind of issuer behaves: a preset, with what the profile overrides. */
export type IssuerTraits = {
  /** `oidc` and `oauth`: metadata is fetched, in that order of well-known paths. `none`: endpoints are written out. */
  readonly metadata: 'oidc' | 'oauth' | 'none';
  /** Added to the scopes of a sign-in to get a refresh token, e.g. offline_access; null where none is needed. */
  readonly offlineScope: Scope | null;
  /** Added to every authorization request, e.g. access_type=offline, prompt=consent. */
  readonly authorizationParams: Readonly<Record<string, string>>;
  /** `listed`: metadata must name S256; `asserted`: the issuer is known to support it and does not say so; `unused`: of a workload, for which nobody signs in. */
  readonly pkce: 'listed' | 'asserted' | 'unused';
  readonly resourceStyle: ResourceStyle;
  /** What was asked for -> other names under which the issuer may grant it. */
  readonly scopeAliases: Readonly<Record<string, readonly string[]>>;
  readonly extraScopes: 'allow' | 'refuse';
  /**
   * Whether a refresh may ask for fewer scopes than the sign-in was granted. RFC 6749, section 6 says that the
   * grant then keeps them all; some servers narrow it for good, so it is done only where that is known.
   */
  readonly narrowing: 'safe' | 'unknown';
  /** Fixed ports for issuers that compare the port; empty: any free port. */
  readonly redirectPorts: readonly number[];
  /** The redirect URI's path; null: one of its own for each issuer (RFC 8252, section 8.10). */
  readonly redirectPath: string | null;
  /** Hosts of the device page besides the issuer's own. */
  readonly deviceVerificationHosts: readonly string[];
  /** Seconds in which a consumed refresh token may be sent once more; null: never. */
  readonly refreshGraceS: number | null;
  /**
   * At which fraction of an access token's life it is refreshed ahead of its end, while somebody uses it; 1:
   * never before its end, for issuers that end the older access token with the refresh. Null: nobody knows
   * whether this one does, so ahead comes late, and only where no caller was just given a token.
   */
  readonly refreshAt: number | null;
  /** Life of an access token when the issuer does not say; null: such an answer is discarded. */
  readonly defaultExpiresInS: number | null;
  /** Whether issuers of this kind demand a client secret of installed apps. */
  readonly clientSecret: 'none' | 'required';
};

/** Endpoints that a person wrote out, for issuers without metadata. */
export type WrittenEndpoints = {
  readonly authorization: string;
  readonly token: string;
  readonly revocation: string | null;
  readonly deviceAuthorization: string | null;
};

export type Profile = {
  readonly name: ProfileName;
  readonly preset: string;
  /** The issuer identifier, to the letter. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuth: ClientAuth;
  readonly scopes: readonly Scope[];
  readonly resource: string | null;
  readonly flow: FlowPreference;
  /** argv of the browser command; null: the system's default. */
  readonly browser: readonly string[] | null;
  readonly caFile: string | null;
  /** The PEM text of caFile, read when the configuration was loaded. */
  readonly caPem: string | null;
  readonly proxy: string | null;
  readonly allowLoopbackHttp: boolean;
  /** Seconds without any caller in which the sign-in is kept fresh all the same; null: nothing is sent while idle. */
  readonly keepAliveS: number | null;
  /** Access tokens that live longer are not handed out (TK-02); null: they are, and status warns of them. */
  readonly maxTokenLifeS: number | null;
  /** How much harm a token of it can do, as the person says who wrote it; policy may lift it. */
  readonly tier: Tier;
  /** Where and how the daemon uses a token for those who do not get it (POST /v1/fetch). */
  readonly fetch: FetchTerms;
  /** The redirect URI's path: that of the traits, else one of its own for each issuer. */
  readonly redirectPath: string;
  readonly endpoints: WrittenEndpoints | null;
  readonly traits: IssuerTraits;
  /** Binding digest: issuer, client, auth method, written endpoints, CA certificates, proxy. */
  readonly digest: string;
};

export type Config = {
  readonly file: string;
  readonly loadedAt: EpochMs;
  readonly profiles: ReadonlyMap<ProfileName, Profile>;
  readonly workloads: ReadonlyMap<ProfileName, Workload>;
  /** Issuers for which the device flow is allowed; none unless listed. */
  readonly deviceIssuers: readonly string[];
  readonly vault: { readonly backend: 'auto' | 'keychain' | 'passphrase' | 'memory' };
  readonly log: { readonly level: 'error' | 'warn' | 'info' | 'debug'; readonly format: 'json' | 'text'; readonly file: string | null };
  readonly limits: {
    readonly requestsPerSecond: number;
    readonly burst: number;
    readonly connectionsPerProcess: number;
  };
  readonly notifications: {
    /** At the desktop; hooks are apart. */
    readonly desktop: boolean;
    /** How long ahead the end of a sign-in is told; 0: not at all. */
    readonly sessionEndingS: number;
  };
  readonly warnings: readonly string[];
};

/** An authorization server as discovered at a sign-in; pinned in the login and sealed with the grant. */
export type AuthorizationServer = {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string | null;
  readonly deviceAuthorizationEndpoint: string | null;
  /** RP-Initiated Logout 1.0; null: none is named, or none that a browser may be sent to. */
  readonly endSessionEndpoint: string | null;
  readonly pushedAuthorizationRequestEndpoint: string | null;
  readonly requirePushedAuthorizationRequests: boolean;
  readonly jwksUri: string | null;
  /** authorization_response_iss_parameter_supported (RFC 9207). */
  readonly issParameterSupported: boolean;
  readonly idTokenSigningAlgs: readonly string[] | null;
  readonly scopesSupported: readonly string[] | null;
  /** OIDC: an ID token is expected where `openid` was asked for. */
  readonly isOpenIdProvider: boolean;
};

/** Who signed in, from a verified ID token. The slot's key is issuer + sub, never the email. */
export type Identity = {
  readonly sub: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly tenant: string | null;
  readonly acr: string | null;
  readonly amr: readonly string[];
  /** Seconds since the epoch. */
  readonly authTime: number | null;
  readonly aud: readonly string[];
  readonly azp: string | null;
  /** SHA-256 of the nonce of the sign-in, base64url: a refreshed ID token may not carry another. Null where none was sent. */
  readonly nonceDigest: string | null;
};

export type { AccessToken } from './access-token.ts';

/** Of a person (SU-03): when they signed in, and when they last took part: a sign-in, a step-up, an approval. */
export type Session = { readonly startedAt: Moment; readonly lastActAt: Moment };

export type GrantState =
  | { readonly kind: 'active'; readonly refreshToken: Secret | null; readonly tokens: readonly AccessToken[] }
  | { readonly kind: 'parked'; readonly reason: LoginReason; readonly at: EpochMs };

/** One sign-in of one profile. Its generation rises with every change that is saved; see core/grant.ts. */
export type Grant = {
  readonly profile: ProfileName;
  readonly issuer: string;
  readonly clientId: string;
  /** Binding digest of the profile at sign-in. */
  readonly digest: string;
  readonly generation: number;
  readonly server: AuthorizationServer;
  readonly flow: FlowKind;
  readonly scopes: readonly Scope[];
  readonly resource: string | null;
  /** Null where the issuer gave no ID token. */
  readonly identity: Identity | null;
  readonly signedInAt: EpochMs;
  /** By both clocks; null where no person takes part. */
  readonly session: Session | null;
  readonly refreshedAt: EpochMs | null;
  /** When the refresh token ends unless it is used before (refresh_token_timeout); null: the issuer does not say. */
  readonly refreshTokenExpiresAt: EpochMs | null;
  /** When the whole authorization ends, whatever is refreshed (authorization_expires_in); null: the issuer does not say. */
  readonly authorizationExpiresAt: EpochMs | null;
  /** Whether this issuer was seen to replace the refresh token; null: no refresh happened yet. */
  readonly rotates: boolean | null;
  readonly state: GrantState;
};

/** A refresh that was about to be sent, or was: written before the token goes on the wire. */
export type RefreshIntent = {
  readonly generation: number;
  readonly at: EpochMs;
  /** The same moment by the clock since that boot; null where it is not known. */
  readonly boottime: { readonly bootId: string; readonly ms: number } | null;
};

/** Tokens that still have to be revoked at their issuer. */
export type Revocation = {
  readonly id: string;
  readonly profile: ProfileName;
  readonly clientId: string;
  /** `workload`: the client proves itself anew for each try, as for its tokens. */
  readonly clientAuth: ClientAuth | 'workload';
  readonly server: AuthorizationServer;
  readonly connection: IssuerConnection;
  /** Binding digest under which the client's secret is sealed; of a workload, what its key was registered for. */
  readonly digest: string;
  readonly token: Secret;
  readonly tokenKind: 'refresh_token' | 'access_token';
  readonly expiresAt: EpochMs | null;
  readonly since: EpochMs;
};

/** How an issuer is reached. */
export type IssuerConnection = {
  readonly caPem: string | null;
  readonly proxy: string | null;
  readonly allowLoopbackHttp: boolean;
  /** It was learnt from a server that nobody vouched for: only public addresses are spoken to, and each is looked at (MD-05). */
  readonly publicOnly?: boolean;
};

/** A program: what runs, and what it interprets. */
export type Program = {
  readonly executable: string | null;
  /** Script of an interpreter, as an absolute path. */
  readonly script: string | null;
};

/** One process above the caller. */
export type Ancestor = Program & {
  readonly pid: number;
  readonly startTime: string;
  /** As the kernel keeps it, 15 bytes at most; cleaned. */
  readonly name: string;
};

/**
 * `human`: a program of a login session. `agent`: a coding agent, or anything that one started. `workload`: no
 * login session above it (cron, a service, CI, a process that was left behind).
 */
export type CallerClass = 'human' | 'agent' | 'workload';

/** Where a caller comes from, as the kernel tells: what rules, questions and records look at beside the process itself. */
export type Origin = {
  readonly class: CallerClass;
  /** The name of the agent that is the caller or stands above it, from the list that ships; null: none. */
  readonly agent: string | null;
  /** The process of that agent: its tools come and go, it stays. */
  readonly agentProcess: { readonly pid: number; readonly startTime: string } | null;
  /** Whom people think of: shells and Valetkey's own programs are looked through (`git fetch` is git). */
  readonly program: Program;
  /** What `valetkey run` starts with a token in its environment, as its command line says: a use of its own, for consents and records. Null: it is none. */
  readonly run: string | null;
  /**
   * SHA-256 of the executable of `program`, hex; null where it cannot be read, and until it was asked for:
   * who needs it asks Callers.digestOf(), and later requests of the same file have it at once.
   */
  readonly digest: string | null;
  /** Parents, the nearest first, up to the first of the machine, or the last that can be seen. */
  readonly lineage: readonly Ancestor[];
  /** Leader of the kernel's session (setsid); null where it has ended. */
  readonly sessionLeader: { readonly pid: number; readonly startTime: string } | null;
  /** The parent of it, or of one above it, ended first: it was handed to init or a subreaper, and says nothing of where it began. */
  readonly isOrphan: boolean;
  /** The systemd unit or scope, from its cgroup. */
  readonly unit: string | null;
  /** In a namespace or a container in which the daemon is not. */
  readonly container: boolean;
  /** A login over the network stands above it, and both live: the chain tells, not the environment. */
  readonly remote: boolean;
  /** The connection was passed on by an SSH client or server: who asks is on another machine. */
  readonly forwarded: boolean;
};

/** A local process, as the kernel tells. What it says of itself is in `claimed`. */
export type Caller = Program & {
  readonly origin: Origin;
  readonly uid: number;
  readonly pid: number;
  /** Start time in clock ticks since boot: pid and this together name one process. */
  readonly startTime: string;
  /** Controlling terminal (device number) and whether the process is in its foreground. */
  readonly terminal: { readonly device: number; readonly foreground: boolean } | null;
  /** For people: "git (pid 4711)". Cleaned text. */
  readonly label: string;
};

export type { SessionFacts } from './session-facts.ts';
