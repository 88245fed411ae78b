/** The kinds of value that the bodies of the wire are made of. Nothing is coerced. */
import * as v from 'valibot';
import { CHALLENGE_MAX } from './challenge.ts';
import { isResourceUri, LOGIN_ID, PROFILE_NAME, SCOPE_TOKEN } from './names.ts';
import type { LoginId, ProfileName, Scope } from './names.ts';

export const text = (max: number) => v.pipe(v.string(), v.maxLength(max));
export const seconds = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(max));
export const epoch = v.pipe(v.number(), v.integer());

export const profileName = v.pipe(v.string(), v.regex(PROFILE_NAME, 'a profile name: a-z, 0-9, dot, dash, underscore; 64 at most'), v.transform((s) => s as ProfileName));
const scope = v.pipe(v.string(), v.regex(SCOPE_TOKEN, 'a scope-token (RFC 6749, section 3.3)'), v.transform((s) => s as Scope));
export const scopes = v.pipe(v.array(scope), v.maxLength(64));
export const resource = v.pipe(v.string(), v.check(isResourceUri, 'an absolute URI without fragment (RFC 8707, section 2)'));
export const loginId = v.pipe(v.string(), v.regex(LOGIN_ID, 'a login id'), v.transform((s) => s as LoginId));
export const acrValues = v.pipe(v.array(text(256)), v.maxLength(16));
export const challenge = text(CHALLENGE_MAX);

/** What a program says of itself. */
export const claimed = v.strictObject({ name: v.optional(text(128)), reason: v.optional(text(256)) });

/** Of every token that leaves. */
export const tokenParts = {
  profile: v.string(),
  access_token: v.string(),
  token_type: v.string(),
  expires_at: epoch,
  scope: v.string(),
  resource: v.nullable(v.string()),
  /** Scopes that the issuer granted beyond the request. */
  granted_beyond: v.array(v.string()),
  /** The rule of policy that let it out. */
  rule: v.string(),
};
