/** The wire's questions about policy: is this text a policy, and which rule decides on this request. */
import * as v from 'valibot';
import { profileName, resource, scopes, text } from './schema-parts.ts';

const source = v.picklist(['admin', 'user']);
/** Of a draft, which goes over the wire in one piece; files in their places may be longer. */
export const DRAFT_MAX = 57_344;
const draft = v.strictObject({ source, text: text(DRAFT_MAX) });

/** Without a text the files in their places are read; with it nothing is put anywhere. */
export const policyCheckRequest = v.strictObject({ draft: v.optional(draft), name: v.optional(text(4096)) });
export type PolicyCheckRequest = v.InferInput<typeof policyCheckRequest>;
export const policyCheckReply = v.object({
  files: v.array(v.object({ source, file: v.string(), rules: v.number(), tiers: v.number(), digest: v.string() })),
});
export type PolicyCheckReply = v.InferOutput<typeof policyCheckReply>;

/** A program that need not run; what is not said is as of one that a person started in a terminal. */
const callerFacts = v.strictObject({
  executable: v.optional(text(4096)),
  script: v.optional(text(4096)),
  digest: v.optional(text(64)),
  class: v.optional(v.picklist(['human', 'agent', 'workload'])),
  agent: v.optional(text(64)),
  ancestors: v.optional(v.pipe(v.array(text(4096)), v.maxLength(32))),
  unit: v.optional(text(256)),
  terminal: v.optional(v.boolean()),
  container: v.optional(v.boolean()),
  forwarded: v.optional(v.boolean()),
  remote: v.optional(v.boolean()),
  orphan: v.optional(v.boolean()),
});
export type CallerFacts = v.InferInput<typeof callerFacts>;

export const policyExplainRequest = v.strictObject({
  profile: profileName,
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  /** A process of this user; without it and without `caller`, the one that asks. */
  pid: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4_194_304))),
  caller: v.optional(callerFacts),
  /** Default: that of the profile's grant, or of a workload. */
  flow: v.optional(v.picklist(['authorization_code', 'device_code', 'client_credentials'])),
  /** Default: the token. */
  use: v.optional(v.picklist(['token', 'fetch'])),
  signed_in_s: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(315_360_000))),
  /** Decides by this text in the place of that file. */
  draft: v.optional(draft),
});
export type PolicyExplainRequest = v.InferInput<typeof policyExplainRequest>;

export const policyExplainReply = v.object({
  caller: v.string(),
  /** What the rules say. */
  decision: v.picklist(['allow', 'confirm', 'deny']),
  /** With confirm: `once`, `each`, or `for:3600s`. */
  ask: v.nullable(v.string()),
  /** What comes of it now: `allow`, or the code of the error. */
  outcome: v.string(),
  /** Allowed although a person should have been asked, since nobody can be. */
  detail: v.nullable(v.string()),
  rule: v.string(),
  reason: v.nullable(v.string()),
  tier: v.string(),
  /** Scopes of which all lists have to hold one; empty: no ceiling. */
  scopes: v.array(v.array(v.string())),
  resources: v.array(v.array(v.string())),
  max_token_life_s: v.nullable(v.number()),
  max_remaining_s: v.nullable(v.number()),
  max_age_s: v.nullable(v.number()),
  flows: v.nullable(v.array(v.string())),
  acr: v.nullable(v.array(v.string())),
  /** Methods of the sign-in: of each list one has to be there. */
  amr: v.array(v.array(v.string())),
  max_session_s: v.nullable(v.number()),
  max_idle_s: v.nullable(v.number()),
  /** The rules that were looked at, in their order. */
  looked_at: v.array(v.object({ rule: v.string(), outcome: v.picklist(['fits', 'may fit', 'does not fit']), why: v.string() })),
});
export type PolicyExplainReply = v.InferOutput<typeof policyExplainReply>;
