/**
 * The shape of policy.toml. Every table is strict: what is not known here is an error, and never a condition
 * that is passed over. docs/policy.md lists the keys; a test holds it to them.
 */
import * as v from 'valibot';
import { SCOPE_TOKEN } from '../../../shared/names.ts';
import { AMR_VALUES, FINDINGS, USES } from '../../core/policy-rules.ts';

/** The version that this build reads. */
export const POLICY_VERSION = 1;

const RULES_MAX = 1_000;
const PATTERN_MAX = 512;

const clean = (max: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(max), v.regex(/^[^\p{Cc}\p{Cf}]*$/u, 'text without control characters'));
const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'a name: a-z, 0-9, dot, dash and underscore, a letter or digit first, 64 at most'));
const duration = v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}[smhd]$/, 'a duration such as "90s", "15m", "8h" or "30d"'));
/** One, or several of which one has to fit. */
const oneOrMore = <const S extends v.GenericSchema<string, string>>(schema: S) => v.union([schema, v.pipe(v.array(schema), v.minLength(1), v.maxLength(256))]);
const patterns = oneOrMore(clean(PATTERN_MAX));
const paths = oneOrMore(v.pipe(v.string(), v.maxLength(4096), v.regex(/^[/*][^\p{Cc}]*$/u, 'an absolute path')));
const flow = v.picklist(['authorization_code', 'device_code', 'client_credentials']);
const scopePatterns = v.pipe(v.array(v.pipe(v.string(), v.regex(SCOPE_TOKEN, 'scopes (RFC 6749, section 3.3), in which * stands for anything'))), v.minLength(1), v.maxLength(256));
/** Others mean something else at each issuer. */
const amr = v.picklist(AMR_VALUES);
const tier = v.picklist(['low', 'normal', 'high', 'privileged']);

export const SCOPES = v.strictObject({ any: v.optional(scopePatterns), all: v.optional(scopePatterns), none: v.optional(scopePatterns) });

export const WHEN = v.strictObject({
  executable: v.optional(paths),
  script: v.optional(paths),
  digest: v.optional(oneOrMore(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'a SHA-256 of 64 hexadecimal digits')))),
  ancestor: v.optional(patterns),
  unit: v.optional(patterns),
  terminal: v.optional(v.boolean()),
  container: v.optional(v.boolean()),
  forwarded: v.optional(v.boolean()),
  remote: v.optional(v.boolean()),
  orphan: v.optional(v.boolean()),
  class: v.optional(oneOrMore(v.picklist(['human', 'agent', 'workload']))),
  agent: v.optional(patterns),
  profile: v.optional(patterns),
  issuer: v.optional(patterns),
  tenant: v.optional(patterns),
  resource: v.optional(patterns),
  scopes: v.optional(SCOPES),
  flow: v.optional(oneOrMore(flow)),
  use: v.optional(oneOrMore(v.picklist(USES))),
  signed_in_over: v.optional(duration),
  signed_in_under: v.optional(duration),
  found: v.optional(oneOrMore(v.picklist(FINDINGS))),
  screen_locked: v.optional(v.boolean()),
  tier: v.optional(tier),
});

export const CEILING = v.strictObject({
  scopes: v.optional(scopePatterns),
  resource: v.optional(patterns),
  max_token_life: v.optional(duration),
  max_remaining: v.optional(duration),
  flows: v.optional(v.pipe(v.array(flow), v.minLength(1))),
  acr: v.optional(v.pipe(v.array(clean(256)), v.minLength(1), v.maxLength(16))),
  amr: v.optional(v.pipe(v.array(amr), v.minLength(1))),
  phishing_resistant: v.optional(v.literal(true)),
  max_age: v.optional(duration),
  max_session: v.optional(duration),
  max_idle: v.optional(duration),
  managed_device: v.optional(v.boolean()),
});

export const RULE = v.strictObject({
  name,
  when: v.optional(WHEN),
  decide: v.picklist(['allow', 'confirm', 'deny']),
  ask: v.optional(v.pipe(v.string(), v.regex(/^(once|each|for:[1-9]\d{0,5}[smhd])$/, '"once", "each", or "for:" with a duration, such as "for:1h"'))),
  ceiling: v.optional(CEILING),
  reason: v.optional(clean(256)),
});

export const TIER = v.strictObject({ name, tier, when: v.optional(WHEN) });

export const DEVICE = v.strictObject({
  issuers: v.optional(v.pipe(v.array(clean(2048)), v.maxLength(64))),
  same_device: v.optional(v.boolean()),
});

export const SESSION = v.strictObject({
  screen_lock: v.optional(v.picklist(['hold', 'lock'])),
  suspend: v.optional(v.picklist(['lock'])),
});

/** ID-04. In the admin's file only: what an issuer's words are worth is not for who wants the token to say. */
export const ASSURANCE = v.strictObject({
  amr: v.optional(v.pipe(v.array(amr), v.maxLength(32))),
  phishing_resistant_acr: v.optional(v.pipe(v.array(clean(256)), v.maxLength(64))),
});

export const POLICY = v.strictObject({
  v: v.literal(POLICY_VERSION),
  rules: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(RULES_MAX))),
  tiers: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(RULES_MAX))),
  device: v.optional(DEVICE),
  session: v.optional(SESSION),
  assurance: v.optional(ASSURANCE),
});
