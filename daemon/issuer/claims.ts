/**
 * What the claims of an ID token must say (OIDC Core, sections 3.1.3.7 and 12.2), and who they name. Pure;
 * the signature is id-token.ts's part.
 */
import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Identity } from '../core/domain.ts';
import type { StepUp } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';

/** What has passed may have passed by this much, where the issuer's clock is not known to the second. */
const SKEW_S = 60;
/** What is said to lie ahead may do so by this: servers of one issuer differ, and a token of the near future harms nobody. */
const AHEAD_S = 300;
/** OIDC Core, section 2. */
const MAX_SUB = 255;

export type Expected = {
  readonly issuer: string;
  readonly clientId: string;
  /** Whether the token's nonce is that of the request; null: none was sent, so none is compared. */
  readonly isNonce: ((nonce: unknown) => boolean) | null;
  /** Of the sign-in, where this token came with a refresh. */
  readonly previous: Identity | null;
};

/** Why the token is of another issuer, person, client or sign-in; null: it is not. */
export function conflictIn(claims: JWTPayload, expected: Expected): string | null {
  const audience = audienceOf(claims);
  const { iss, sub, azp, nonce } = claims;
  if (iss !== expected.issuer) return 'iss is another issuer';
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUB) return 'sub is missing or too long';
  if (!audience.includes(expected.clientId)) return 'aud is another client';
  if (audience.length > 1 && azp === undefined) return 'azp is missing beside several aud';
  if (azp !== undefined && azp !== expected.clientId) return 'azp is another client';
  if (expected.isNonce !== null && !expected.isNonce(nonce)) return 'nonce is not the one that was sent';
  return expected.previous === null ? null : conflictWith(claims, expected.previous);
}

/** OIDC Core, section 12.2. */
function conflictWith(claims: JWTPayload, previous: Identity): string | null {
  const now = identityOf(claims);
  if (now.sub !== previous.sub) return 'sub is another person than at the sign-in';
  if (!previous.aud.every((audience) => now.aud.includes(audience))) return 'aud lacks one of the sign-in';
  // Some servers leave it out here; beside a single aud it says nothing more (OIDC Core, section 2).
  if (now.azp !== null && now.azp !== previous.azp) return 'azp differs from the sign-in';
  // auth_time is to stay that of the sign-in as well. Some servers (django-oauth-toolkit) say when the person last
  // signed in anywhere: that names nobody else, and grant.ts keeps the first.
  return null;
}

/**
 * Why the token is not of this time; null: it is.
 * @param nowS - by the issuer's clock, where that is known
 */
export function untimelyIn({ exp, iat, nbf }: JWTPayload, nowS: number): string | null {
  if (typeof exp !== 'number' || exp <= nowS - SKEW_S) return 'exp is missing or has passed';
  if (typeof iat !== 'number' || iat > nowS + AHEAD_S) return 'iat is missing or in the future';
  return nbf !== undefined && (typeof nbf !== 'number' || nbf > nowS + AHEAD_S) ? 'nbf is in the future' : null;
}

/** RFC 9470, section 5; OIDC Core, sections 3.1.3.7 (12, 13) and 5.5.1.1. */
export function unmetStepUp(claims: JWTPayload, { acrValues, maxAgeS }: StepUp, nowS: number): string | null {
  const { acr, authTime } = identityOf(claims);
  if (acrValues.length > 0 && (acr === null || !acrValues.includes(acr))) {
    return `the sign-in is of class ${acr === null ? 'unknown' : cleanText(acr, 64)}, where ${acrValues.join(' or ')} was asked for`;
  }
  if (maxAgeS === null) return null;
  if (authTime === null) return 'the issuer does not say when the person signed in (auth_time)';
  return nowS - authTime > maxAgeS + SKEW_S ? 'the person signed in longer ago than was asked for' : null;
}

/** @param alg - of the ID token's header; at_hash is made with its hash (OIDC Core, section 3.1.3.6) */
export function isAtHashOf(atHash: unknown, accessToken: string, alg: string): boolean {
  const bits = /(256|384|512)$/.exec(alg)?.[1] ?? '512'; // Ed25519 hashes by SHA-512
  const digest = createHash(`sha${bits}`).update(accessToken, 'ascii').digest();
  return atHash === digest.subarray(0, digest.length / 2).toString('base64url');
}

/** To be called on claims that hold. */
export function identityOf(claims: JWTPayload): Identity {
  const text = (name: string): string | null => (typeof claims[name] === 'string' && claims[name] !== '' ? claims[name] : null);
  const shown = (name: string): string | null => (text(name) === null ? null : cleanText(text(name) ?? ''));
  const { amr, auth_time: authTime } = claims;
  return {
    sub: claims.sub ?? '',
    name: shown('name') ?? shown('preferred_username'),
    email: shown('email'),
    // Entra ID, Google Workspace, Auth0.
    tenant: shown('tid') ?? shown('hd') ?? shown('org_id'),
    acr: text('acr'),
    amr: Array.isArray(amr) ? amr.filter((method) => typeof method === 'string') : [],
    authTime: typeof authTime === 'number' ? authTime : null,
    aud: audienceOf(claims),
    nonceDigest: null,
    azp: text('azp'),
  };
}

function audienceOf({ aud }: JWTPayload): readonly string[] {
  if (typeof aud === 'string') return [aud];
  return Array.isArray(aud) ? aud.filter((audience) => typeof audience === 'string') : [];
}
