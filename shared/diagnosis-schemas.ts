/** POST /v1/diagnosis: what only the daemon can try, since proxy, CA, time limits and the keychain are its own. */
import * as v from 'valibot';

/** `not_used`: the vault has no key there. The others say at which step a throw-away item failed. */
const keychainState = v.picklist(['works', 'not_used', 'absent', 'frozen', 'locked', 'refused', 'unloadable']);

const issuerTrial = v.object({
  issuer: v.string(),
  /** Profiles and workloads that reach it in this way. */
  profiles: v.array(v.string()),
  proxy: v.nullable(v.string()),
  ca_file: v.nullable(v.string()),
  /** `unreachable`: see the cause. `refused`: it answers, and what it says may not be used. */
  state: v.picklist(['well', 'unreachable', 'refused']),
  /** In one word: dns, refused, tls, proxy, timeout, http_503, or the code of an error. Null where it is well. */
  cause: v.nullable(v.string()),
  detail: v.nullable(v.string()),
  /** How far its clock is ahead of this machine's. */
  skew_s: v.nullable(v.number()),
  took_ms: v.number(),
});
export type IssuerTrial = v.InferOutput<typeof issuerTrial>;

/** A file that would not be read now as it was the last time. */
const unreadFile = v.object({
  file: v.picklist(['config', 'policy', 'hooks']),
  /** `changed`: a reload would take it, and change something. `invalid`: a reload, and a new daemon, would refuse it. */
  state: v.picklist(['changed', 'invalid']),
  detail: v.nullable(v.string()),
});
export type UnreadFile = v.InferOutput<typeof unreadFile>;

export const diagnosisReply = v.object({
  /** Version of Node that the daemon runs on. */
  node: v.string(),
  keychain: v.object({ state: keychainState, took_ms: v.number() }),
  issuers: v.array(issuerTrial),
  /** Read just now, and not taken; an older daemon does not tell. */
  unread: v.optional(v.array(unreadFile)),
});
export type DiagnosisReply = v.InferOutput<typeof diagnosisReply>;
