/**
 * Policy as it is written down: rules, ceilings, tiers. Data only: config/ reads it from files, policy/ decides
 * by it. A condition that is null is not asked for; everything that is asked for has to hold.
 */
import type { CallerClass, FlowKind } from './domain.ts';

/** How a token comes to be: by a person's sign-in, or in a workload's own name (RFC 6749, section 4.4). */
export type TokenFlow = FlowKind | 'client_credentials';

/** What the caller gets: the token, which `valetkey run` hands to a program, or only what an API answers to it. */
export const USES = ['token', 'fetch'] as const;
export type TokenUse = (typeof USES)[number];

/** How much harm a token can do; the later, the more. */
export const TIERS = ['low', 'normal', 'high', 'privileged'] as const;
export type Tier = (typeof TIERS)[number];

/** RFC 8176, section 2. A value that is not here, or that the admin's list leaves out, satisfies nothing (ID-04). */
export const AMR_VALUES = [
  'face', 'fpt', 'geo', 'hwk', 'iris', 'kba', 'mca', 'mfa', 'otp', 'pin', 'pwd', 'rba', 'retina', 'sc', 'sms', 'swk', 'tel', 'user', 'vbm', 'wia',
] as const;

/** What a rule may ask about the last hour (AL-06): the detectors, and a log that somebody changed while it was written. */
export const FINDINGS = ['device_where_pkce_worked', 'new_digest', 'refresh_spike', 'repeated_denials', 'unusual_caller', 'audit_tampered'] as const;
export type Finding = (typeof FINDINGS)[number];

/** Where a rule comes from. The words of the answer, the log and the audit. */
export type PolicySource = 'admin' | 'user' | 'shipped';

/** How often a person is asked: once for this program, once for so long, or at each request. */
export type Asking = { readonly kind: 'once' } | { readonly kind: 'for'; readonly seconds: number } | { readonly kind: 'each' };

export type Verdict = { readonly kind: 'allow' } | { readonly kind: 'confirm'; readonly ask: Asking } | { readonly kind: 'deny' };

/** Patterns: `*` stands for any run of characters without `/`, `**` for any run. Of a list, one has to fit. */
export type Patterns = readonly string[];

export type When = {
  /** Of the program that people think of, as in Origin. */
  readonly executable: Patterns | null;
  readonly script: Patterns | null;
  /** SHA-256 of the executable, hex. */
  readonly digest: readonly string[] | null;
  /** Executable or script of any process above; a pattern without `/` is compared with its name. */
  readonly ancestor: Patterns | null;
  readonly unit: Patterns | null;
  readonly terminal: boolean | null;
  readonly container: boolean | null;
  readonly forwarded: boolean | null;
  readonly remote: boolean | null;
  readonly orphan: boolean | null;
  readonly class: readonly CallerClass[] | null;
  readonly agent: Patterns | null;
  readonly profile: Patterns | null;
  readonly issuer: Patterns | null;
  readonly tenant: Patterns | null;
  readonly resource: Patterns | null;
  readonly scopes: { readonly any: Patterns | null; readonly all: Patterns | null; readonly none: Patterns | null } | null;
  readonly flow: readonly TokenFlow[] | null;
  readonly use: readonly TokenUse[] | null;
  /** Seconds since the person signed in: more, or at most. */
  readonly signedInOverS: number | null;
  readonly signedInUnderS: number | null;
  /** One of them was found within the last hour, of this program or this profile. */
  readonly found: readonly Finding[] | null;
  /** Whether the screen of the person is locked. */
  readonly screenLocked: boolean | null;
  /** This tier or a higher one. */
  readonly tier: Tier | null;
};

/** What a token may be at most where the rule lets it out. Null: as the issuer gives it. */
export type Ceiling = {
  readonly scopes: Patterns | null;
  readonly resources: Patterns | null;
  /** What may be left of the life of a token when it leaves. */
  readonly maxRemainingS: number | null;
  /** For how long the issuer may have made it. */
  readonly maxTokenLifeS: number | null;
  /** By which flows it may have come. */
  readonly flows: readonly TokenFlow[] | null;
  readonly acr: readonly string[] | null;
  /** Methods of which the sign-in has to have used one (RFC 8176). */
  readonly amr: readonly string[] | null;
  /** The sign-in has to be of a class that withstands phishing. */
  readonly phishingResistant: boolean;
  /** How long ago, at most, the person signed in. */
  readonly maxAgeS: number | null;
  /** For how long, at most, one sign-in is good (SU-03). */
  readonly maxSessionS: number | null;
  /** How long ago, at most, a person took part. */
  readonly maxIdleS: number | null;
  /** Only where it is proved that somebody manages this machine, which nothing can prove yet. */
  readonly managedDevice: boolean;
};

export type Rule = {
  readonly name: string;
  readonly when: When;
  readonly verdict: Verdict;
  readonly ceiling: Ceiling;
  /** Why, in the words of who wrote it; shown with a refusal. */
  readonly reason: string | null;
};

/** What lifts requests into a tier, whatever the profile says of itself. */
export type Lift = { readonly name: string; readonly when: When; readonly tier: Tier };

/** One policy file, read and valid. */
export type PolicyDocument = {
  readonly source: PolicySource;
  /** Null for the policy that ships. */
  readonly file: string | null;
  /** SHA-256 of its text, hex; null for the policy that ships. */
  readonly digest: string | null;
  readonly rules: readonly Rule[];
  readonly lifts: readonly Lift[];
  readonly device: {
    /** Issuers for which the device flow may be used; null: the file does not say. */
    readonly issuers: readonly string[] | null;
    /** Also where a browser of the same machine would work (FC-06). The admin's file alone can say so. */
    readonly sameDevice: boolean;
  };
  readonly session: SessionDemand;
  /** What the words of issuers are worth. The admin's file alone can say so. */
  readonly assurance: {
    /** Methods that count; null: all of RFC 8176. */
    readonly amr: readonly string[] | null;
    /** Classes that count as phishing-resistant, besides phr and phrh. */
    readonly phishingResistantAcr: readonly string[];
  };
};

/** What a locked screen and suspend are to do. `hold`: no token leaves meanwhile; `lock`: as valetkey lock, besides. */
export type SessionDemand = { readonly screenLock: 'hold' | 'lock' | null; readonly locksOnSuspend: boolean };

export const NO_DEMAND: SessionDemand = { screenLock: null, locksOnSuspend: false };

export const NO_ASSURANCE: PolicyDocument['assurance'] = { amr: null, phishingResistantAcr: [] };

/** What was read of both files: null where a file is not there. */
export type PolicyDocuments = { readonly admin: PolicyDocument | null; readonly user: PolicyDocument | null };

export const NO_CONDITIONS: When = {
  executable: null, script: null, digest: null, ancestor: null, unit: null, terminal: null, container: null, forwarded: null,
  remote: null, orphan: null, class: null, agent: null, profile: null, issuer: null, tenant: null, resource: null, scopes: null,
  flow: null, use: null, signedInOverS: null, signedInUnderS: null, found: null, screenLocked: null, tier: null,
};

export const NO_CEILING: Ceiling = {
  scopes: null, resources: null, maxRemainingS: null, maxTokenLifeS: null, flows: null, acr: null, amr: null, phishingResistant: false, maxAgeS: null,
  maxSessionS: null, maxIdleS: null, managedDevice: false,
};
