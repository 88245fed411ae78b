/**
 * What real servers send beside the RFCs, made regular before openid-client reads it. Only flat members are
 * kept. ID tokens are taken out: openid-client would check them by its own clock and without their
 * signature, and id-token.ts is the one place that does.
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
  const { id_token: idToken, error, error_description: description, expires_in: expiresIn, interval, verification_url: verificationUrl, ...rest } = members;
  const isError = typeof error === 'string' && error !== '' && rest['access_token'] === undefined;
  return {
    // GitHub answers errors with 200.
    status: isError && status >= 200 && status < 300 ? 400 : status,
    members: {
      // Google says verification_url where RFC 8628 says verification_uri.
      ...(typeof verificationUrl === 'string' ? { verification_uri: verificationUrl } : {}),
      ...rest,
      ...wholeSeconds('expires_in', expiresIn, 0),
      ...wholeSeconds('interval', interval, 1),
      ...(isError ? { error: cleanError(error, 64, secrets) } : {}),
      ...(typeof description === 'string' ? { error_description: cleanError(description, 200, secrets) } : {}),
    },
    idToken: typeof idToken === 'string' ? idToken : null,
  };
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
