/**
 * Workload profiles: programs that get tokens in their own name. They have types, records and ports of their own, so
 * that nothing which takes a person's profile or grant can be given one of these, and the reverse (WL-01).
 */
import type { KeyAlg } from '../../shared/workload-schemas.ts';
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { AuthorizationServer, IssuerConnection, Profile } from './domain.ts';
import type { IssuerOutcome, RevokeOutcome, Want } from './issuer-port.ts';
import type { Secret } from './secret.ts';

/** Where somebody else's word for the workload is read, anew for each request and never kept (WL-03). */
export type AssertionSource =
  | { readonly kind: 'file'; readonly path: string }
  /** No shell reads it. */
  | { readonly kind: 'command'; readonly argv: readonly string[] };

/** What kind of issuer vouches, as data. */
export type AssertionKind = {
  /** RFC 7523, section 2.2, or draft-ietf-oauth-spiffe-client-auth. */
  readonly type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' | 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
  /** Null: any. */
  readonly issuer: string | null;
  readonly subjectPrefix: string | null;
};

export type Federated = AssertionKind & {
  readonly kind: 'federated';
  readonly from: string;
  readonly source: AssertionSource;
  /** The one audience that it has to name. */
  readonly audience: string;
  readonly subject: string | null;
};

export type WorkloadAuth = { readonly kind: 'private_key_jwt' } | Federated;

/** One `[workloads.NAME]`. There is no flow, browser or client secret in it, and no grant behind it. */
export type Workload = Pick<
  Profile,
  'name' | 'preset' | 'issuer' | 'clientId' | 'scopes' | 'resource' | 'tier' | 'maxTokenLifeS' | 'caFile' | 'caPem' | 'proxy' | 'allowLoopbackHttp' | 'endpoints' | 'traits' | 'digest'
> & {
  readonly auth: WorkloadAuth;
  /**
   * Digest of issuer and client: what a key was registered for. CA and proxy are not in it, since a key is dear to
   * register anew, and what it signs names the issuer as its only audience and lives a minute.
   */
  readonly keyDigest: string;
  readonly owner: string | null;
  readonly purpose: string | null;
  /** No token is given from then on; null: never. */
  readonly expiresAt: EpochMs | null;
};

/** Members of a public key (RFC 7517). */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key pair of a client. The private half is a secret that only issuer/ signs with. */
export type ClientKey = {
  /** Thumbprint of the public key (RFC 7638). */
  readonly kid: string;
  readonly alg: KeyAlg;
  readonly publicJwk: PublicJwk;
  readonly privateJwk: Secret;
};

export type HeldKey = ClientKey & { readonly state: 'active' | 'next' | 'retiring'; readonly madeAt: EpochMs };

/** What is sealed of one workload: its keys, if it has any, and when it was last of use. Never a token or an assertion. */
export type WorkloadRecord = {
  readonly profile: ProfileName;
  /** The keyDigest at the time when the keys were made. */
  readonly digest: string;
  readonly keys: readonly HeldKey[];
  readonly lastUsedAt: EpochMs | null;
};

/** How the client proves who it is: never by a secret that could be copied. */
export type WorkloadProof =
  | { readonly kind: 'key'; readonly key: ClientKey }
  | { readonly kind: 'assertion'; readonly assertion: Secret; readonly type: AssertionKind['type'] };

/** A workload's client at its authorization server, for one request. */
export type WorkloadAt = {
  readonly server: AuthorizationServer;
  readonly clientId: string;
  readonly connection: IssuerConnection;
  readonly proof: WorkloadProof;
};

/** The part of the issuer port that knows workloads. */
export type WorkloadIssuer = {
  makeClientKey(alg: KeyAlg): Promise<ClientKey>;
  /** RFC 6749, section 4.4. Each request is proved by an assertion of its own. */
  clientCredentials(client: WorkloadAt, workload: Workload, want: Want): Promise<IssuerOutcome>;
  revokeWorkloadToken(client: WorkloadAt, token: Secret): Promise<RevokeOutcome>;
};

/** The vault's own store for workloads: files and kind of record of their own. Every method throws vault_locked while it is locked. */
export type WorkloadStore = {
  /** Throws vault_corrupt where it does not open. */
  read(profile: ProfileName): Promise<WorkloadRecord | null>;
  /** Durable when it resolves. */
  save(record: WorkloadRecord): Promise<void>;
  remove(profile: ProfileName): Promise<void>;
};

/** Throws assertion_unavailable or assertion_invalid, which never quote it. */
export type Assertions = { read(workload: Workload, federated: Federated): Promise<Secret> };
