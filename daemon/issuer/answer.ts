/**
 * What real servers send beside the RFCs, made regular before openid-client reads it. Only flat members are
 * kept, and of an odd one no more than can be read: a new refresh token must not be lost to its neighbour. ID
 * tokens are taken out: openid-client would check them by its own clock and without their signature, and
 * id-token.ts is the one place that does.
 */
import { cleanText } from '../core/text.ts';

type Member = string | number | boolean | readonly string[];
export type Members = Readonly<Record<string, Member>>;

/** Null: the body is not a JSON object of a JSON media type. */
export function readMembers(contentType: string | null, body: string): Members | null {
  if (!/^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '')) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return null; // a broken body is an answer of its own kind, told apart by its status
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  return Object.fromEntries(Object.entries(parsed).flatMap(([name, value]) => {
    const member = toMember(value);
    return member === null ? [] : [[name, member]];
  }));
}

function toMember(value: unknown): Member | null {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : null;
}

/**
 * @param secrets - what was sent: a server that echoes it in its error text must not bring it into a log.
 */
export function regularAnswer(status: number, members: Members, secrets: readonly string[]): { readonly status: number; readonly members: Members; readonly idToken: string | null } {
  const {
    id_token: idToken, error, expires_in: expiresIn, interval, verification_url: verificationUrl, scope, refresh_token: refreshToken, ...rest
  } = members;
  const isError = typeof error === 'string' && error !== '' && rest['access_token'] === undefined;
  return {
    status: regularStatus(status, isError, rest['access_token'] !== undefined),
    members: {
      // Google says verification_url where RFC 8628 says verification_uri.
      ...(typeof verificationUrl === 'string' ? { verification_uri: verificationUrl } : {}),
      ...rest,
      ...wholeSeconds('expires_in', expiresIn, 0),
      ...wholeSeconds('interval', interval, 1),
      // Some list scopes as JSON; some send an empty refresh token where there is none.
      ...(typeof scope === 'string' || Array.isArray(scope) ? { scope: [scope].flat().join(' ') } : {}),
      ...(typeof refreshToken === 'string' && refreshToken !== '' ? { refresh_token: refreshToken } : {}),
      ...(isError ? { error: cleanError(error, 64, secrets) } : {}),
      ...cleanMember('error_description', rest, 200, secrets),
      ...cleanMember('error_subtype', rest, 64, secrets),
      ...cleanMember('suberror', rest, 64, secrets),
    },
    idToken: typeof idToken === 'string' ? idToken : null,
  };
}

/** GitHub answers errors with 200; a token that came with 201 came. */
function regularStatus(status: number, isError: boolean, hasToken: boolean): number {
  if (status < 200 || status >= 300) return status;
  if (isError) return 400;
  return hasToken ? 200 : status;
}

/** What is no text is cleaned to none. */
function cleanMember(name: string, members: Members, max: number, secrets: readonly string[]): Members {
  const said = members[name];
  return said === undefined ? {} : { [name]: typeof said === 'string' ? cleanError(said, max, secrets) : '' };
}

/** Numbers come as strings too; what is none counts as absent. The ceiling (ten years) keeps dates computable. */
function wholeSeconds(name: string, value: Member | undefined, least: number): Members {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && number >= least ? { [name]: Math.min(Math.floor(number), 315_360_000) } : {};
}

/** Before cleaning, which cuts, and after, which joins what control characters kept apart. */
function cleanError(text: string, max: number, secrets: readonly string[]): string {
  const without = (said: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), said);
  return without(cleanText(without(text), max));
}
