/**
 * Branded names of the wire. A brand is made only by its parser: parse once at the edge, then trust.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** What the user calls a profile: lower case, at most 64 characters, safe as a file name. */
export type ProfileName = Brand<string, 'ProfileName'>;
/** One scope-token (RFC 6749, section 3.3). */
export type Scope = Brand<string, 'Scope'>;
/** Names one sign-in in progress; unguessable, but not a secret. */
export type LoginId = Brand<string, 'LoginId'>;
/** Milliseconds since 1970-01-01 UTC, by the wall clock. */
export type EpochMs = Brand<number, 'EpochMs'>;

export const PROFILE_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** RFC 6749, section 3.3: %x21 / %x23-5B / %x5D-7E. */
export const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
export const LOGIN_ID = /^[A-Za-z0-9_-]{22}$/;

export function parseProfileName(text: string): ProfileName | null {
  return PROFILE_NAME.test(text) ? (text as ProfileName) : null;
}

export function parseScope(text: string): Scope | null {
  return SCOPE_TOKEN.test(text) ? (text as Scope) : null;
}

/** Splits a space-delimited scope value; words that are not scope-tokens are left out. */
export function parseScopes(text: string): readonly Scope[] {
  return text.split(' ').flatMap((word) => parseScope(word) ?? []);
}

/**
 * An absolute URI without fragment (RFC 8707, section 2), at most 2,048 characters. Behind `//` stands a host and nothing
 * else: what a `?`, `@` or `\` there makes of it is read in as many ways as there are readers, policy among them.
 */
export function isResourceUri(text: string): boolean {
  return text.length <= 2048 && /^[a-z][a-z0-9+.-]*:[\x21\x24-\x7e]+$/i.test(text) && !/^[^/]*\/\/[^/]*[?@\\]/.test(text);
}
