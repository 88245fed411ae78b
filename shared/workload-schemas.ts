/** The wire's workload profiles, and the table of one as a person writes it in the configuration. */
import * as v from 'valibot';
import { claimed, epoch, profileName, resource, scopes, seconds, text, tokenParts } from './schema-parts.ts';

/** How a client's own key signs (RFC 7518, section 3.1). */
const KEY_ALGS = ['ES256', 'PS256', 'RS256'] as const;
export type KeyAlg = (typeof KEY_ALGS)[number];

/** The keys of one `[workloads.NAME]` table. There is none for a secret: a workload has a key that stays here, or somebody vouches for it. */
export const workloadTable = v.strictObject({
  preset: v.optional(text(32)),
  issuer: v.optional(text(2048)),
  tenant: v.optional(text(256)),
  client_id: v.pipe(text(2048), v.regex(/^[\x20-\x7e]*$/, 'printable ASCII characters (RFC 6749, appendix A.1)')),
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  resource_style: v.optional(v.picklist(['resource', 'audience', 'scope_prefix', 'none'])),
  extra_scopes: v.optional(v.picklist(['allow', 'refuse'])),
  default_expires_in_s: v.optional(seconds(86_400)),
  max_token_life_s: v.optional(v.pipe(seconds(86_400), v.minValue(60))),
  tier: v.optional(v.picklist(['low', 'normal', 'high', 'privileged'])),
  ca_file: v.optional(text(4096)),
  proxy: v.optional(text(2048)),
  allow_loopback_http: v.optional(v.boolean()),
  owner: v.optional(text(128)),
  purpose: v.optional(text(256)),
  expires: v.optional(v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d$/, 'a day such as "2027-06-30"'))),
  assertion_from: v.optional(text(32)),
  assertion_file: v.optional(text(4096)),
  assertion_command: v.optional(v.pipe(v.array(text(4096)), v.minLength(1), v.maxLength(32))),
  assertion_audience: v.optional(text(2048)),
  assertion_issuer: v.optional(text(2048)),
  assertion_subject: v.optional(text(2048)),
});
export type WorkloadTable = v.InferInput<typeof workloadTable>;

export const workloadTokenRequest = v.strictObject({
  profile: profileName,
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  /** The token must live at least this long; default 60. */
  min_ttl_s: v.optional(seconds(86_400)),
  /** Ask the issuer even if a good token is cached. */
  force: v.optional(v.boolean()),
  /** How long the caller waits for the answer; default 30. */
  wait_s: v.optional(seconds(300)),
  claimed: v.optional(claimed),
});
export type WorkloadTokenRequest = v.InferInput<typeof workloadTokenRequest>;

export const workloadTokenReply = v.object({ ...tokenParts, source: v.picklist(['cache', 'issuer']) });
export type WorkloadTokenReply = v.InferOutput<typeof workloadTokenReply>;

const workloadKeyView = v.object({
  kid: v.string(),
  alg: v.picklist(KEY_ALGS),
  /** `next`: to be registered before it signs. `retiring`: signs no more, but what it signed may be on its way. */
  state: v.picklist(['active', 'next', 'retiring']),
  made_at: epoch,
  /** The public key (RFC 7517), to be registered at the issuer. */
  jwk: v.record(v.string(), v.string()),
});

export const workloadView = v.object({
  profile: v.string(),
  issuer: v.string(),
  client_id: v.string(),
  scopes: v.array(v.string()),
  resource: v.nullable(v.string()),
  tier: v.picklist(['low', 'normal', 'high', 'privileged']),
  auth: v.picklist(['private_key_jwt', 'federated']),
  /** Of a federated one: the file, or the words of the command. */
  assertion: v.nullable(v.string()),
  owner: v.nullable(v.string()),
  purpose: v.nullable(v.string()),
  /** From then on no token is given. */
  expires_at: v.nullable(epoch),
  /** When it last got a token of its issuer; null: never, as far as is known. */
  last_used_at: v.nullable(epoch),
  keys: v.array(workloadKeyView),
  /** What somebody should look at; empty: nothing. */
  flags: v.array(v.string()),
});
export type WorkloadView = v.InferOutput<typeof workloadView>;
export const workloadsReply = v.object({ workloads: v.array(workloadView) });
export type WorkloadsReply = v.InferOutput<typeof workloadsReply>;

export const workloadKeysRequest = v.strictObject({
  /** `init`: the first key. `rotate`: one more, which does not sign yet. `activate`: it signs from now on. `retire`: the one before is forgotten. `forget`: all are. */
  step: v.picklist(['init', 'rotate', 'activate', 'retire', 'forget']),
  /** Of the key that is made; default ES256. */
  alg: v.optional(v.picklist(KEY_ALGS)),
});
export type WorkloadKeysRequest = v.InferInput<typeof workloadKeysRequest>;
const revokedTokens = v.array(v.object({ outcome: v.picklist(['revoked', 'unsupported', 'failed']), until: epoch }));
/** `lasting`: the keys outlive this daemon; else the vault is in memory. `revoked`: where all keys are forgotten, what became of its tokens. */
export const workloadKeysReply = v.object({ workload: workloadView, lasting: v.boolean(), revoked: revokedTokens });
export type WorkloadKeysReply = v.InferOutput<typeof workloadKeysReply>;

export const workloadRemoveReply = v.object({
  profile: v.string(),
  revoked: revokedTokens,
});
export type WorkloadRemoveReply = v.InferOutput<typeof workloadRemoveReply>;
