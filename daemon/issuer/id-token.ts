/**
 * The one check of ID tokens: signature by a key of the pinned jwks_uri and an asymmetric algorithm (RFC
 * 8725, sections 3.1 and 3.2), then the claims. Nothing of a token is used before all of it holds. After a
 * refresh a token that names somebody else is told apart from one that only cannot be believed now: the
 * first ends a sign-in, the second must not.
 */
import { createHash } from 'node:crypto';
import { compactVerify, decodeJwt, decodeProtectedHeader, errors } from 'jose';
import type { CompactVerifyResult, JWTPayload } from 'jose';
import type { AuthorizationServer, Identity } from '../core/domain.ts';
import type { ClientAt, Log, StepUp } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { conflictIn, identityOf, isAtHashOf, unmetStepUp, untimelyIn } from './claims.ts';
import type { Expected } from './claims.ts';
import { AnswerRefused, KeysUnavailable } from './failures.ts';
import type { SigningKeys } from './keys.ts';
import type { Skews } from './skew.ts';

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** Anybody can make these: the second kind by a public key, or the client's id, taken for a secret. */
const ANYBODYS = /^(?:none|hs\d+)$/i;

/**
 * While a refresh waits for keys, the refresh token that it brought is nowhere but in memory: a slow keys endpoint
 * must not draw that out. The fetch goes on, for the next one.
 */
const KEYS_WAIT_AT_REFRESH_MS = 2_000;

type IdTokenDeps = { readonly keys: SigningKeys; readonly skews: Pick<Skews, 'nowMsAt'>; readonly log: Log };

/** What the signature says. The claims of an unproven token are what it says of itself. */
type Proof =
  | { readonly kind: 'proven'; readonly claims: JWTPayload; readonly alg: string }
  | { readonly kind: 'unproven'; readonly claims: JWTPayload; readonly why: string; readonly outage: KeysUnavailable | null }
  /** No JWT, or an encrypted one. */
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'forged'; readonly why: string };

export type RefreshedIdentity =
  /** Null: no ID token came, or the keys cannot be had now. */
  | { readonly kind: 'holds'; readonly identity: Identity | null }
  /** Nothing speaks against the sign-in, but the token cannot be believed. */
  | { readonly kind: 'flawed'; readonly why: string }
  /** It is of another person, issuer, client or sign-in (OIDC Core, section 12.2), or somebody made it up. */
  | { readonly kind: 'conflict'; readonly why: string };

export class IdTokens {
  readonly #deps: IdTokenDeps;

  constructor(deps: IdTokenDeps) {
    this.#deps = deps;
  }

  /** At a sign-in. `nonce`: null where the flow sends none (RFC 8628). Throws AnswerRefused, KeysUnavailable. */
  async atSignIn(client: ClientAt, idToken: string | null, accessToken: Secret, nonce: Secret | null, expectsOne: boolean, stepUp: StepUp): Promise<Identity | null> {
    if (idToken === null || !canVerify(client.server)) {
      if (expectsOne && client.server.isOpenIdProvider) throw new AnswerRefused('id_token_invalid', 'openid was asked for and no ID token came');
      if (stepUp.acrValues.length > 0 || stepUp.maxAgeS !== null) throw new AnswerRefused('stepup_unmet', 'no ID token says how the person signed in');
      return null;
    }
    const proof = await this.#prove(client, idToken, null);
    if (proof.kind === 'unproven' && proof.outage !== null) throw proof.outage;
    if (proof.kind !== 'proven') throw new AnswerRefused('id_token_invalid', proof.why);
    const expected: Expected = {
      issuer: client.server.issuer, clientId: client.clientId, previous: null,
      isNonce: nonce === null ? null : (said) => typeof said === 'string' && nonce.equals(said),
    };
    const { claims, alg } = proof;
    const why = conflictIn(claims, expected) ?? untimelyIn(claims, this.#nowS(client)) ?? foreignHash(claims, accessToken, alg);
    if (why !== null) throw new AnswerRefused('id_token_invalid', `the ID token's ${why}`);
    const unmet = unmetStepUp(claims, stepUp, this.#nowS(client));
    if (unmet !== null) throw new AnswerRefused('stepup_unmet', unmet);
    return { ...identityOf(claims), nonceDigest: nonce === null ? null : digestOf(nonce.reveal()) };
  }

  /** After a refresh; never throws, as the answer may hold the only valid refresh token. */
  async atRefresh(client: ClientAt, idToken: string | null, accessToken: Secret, previous: Identity | null): Promise<RefreshedIdentity> {
    if (idToken === null || !canVerify(client.server)) return { kind: 'holds', identity: null };
    const nonceDigest = previous?.nonceDigest ?? null;
    const expected: Expected = {
      issuer: client.server.issuer, clientId: client.clientId, previous,
      // SHOULD NOT be there; if it is, it must be that of the sign-in (OIDC Core, section 12.2).
      isNonce: nonceDigest === null ? null : (said) => said === undefined || (typeof said === 'string' && digestOf(said) === nonceDigest),
    };
    const proof = await this.#prove(client, idToken, AbortSignal.timeout(KEYS_WAIT_AT_REFRESH_MS));
    if (proof.kind === 'forged') return { kind: 'conflict', why: proof.why };
    if (proof.kind === 'unreadable') return { kind: 'flawed', why: proof.why };
    // What it says of itself counts against it, proven or not.
    const conflict = conflictIn(proof.claims, expected);
    if (conflict !== null) return { kind: 'conflict', why: `the ID token's ${conflict}` };
    const flaw = untimelyIn(proof.claims, this.#nowS(client)) ?? (proof.kind === 'proven' ? foreignHash(proof.claims, accessToken, proof.alg) : null);
    if (flaw !== null) return { kind: 'flawed', why: `the ID token's ${flaw}` };
    if (proof.kind === 'proven') return { kind: 'holds', identity: { ...identityOf(proof.claims), nonceDigest } };
    if (proof.outage === null) return { kind: 'flawed', why: proof.why };
    // An unreachable jwks_uri must not stop every token: this one came over TLS from the pinned endpoint
    // (section 3.1.3.7, 6), and nothing of it is taken over.
    this.#deps.log.warn('id_token_not_verified', { issuer: client.server.issuer, why: proof.outage.reason });
    return { kind: 'holds', identity: null };
  }

  /** @param patience - how long the keys are waited for; null: as long as their fetch takes */
  async #prove(client: ClientAt, idToken: string, patience: AbortSignal | null): Promise<Proof> {
    const { server } = client;
    if (ANYBODYS.test(algOf(idToken))) return { kind: 'forged', why: 'the ID token is not signed by a key of the issuer' };
    const algorithms = ASYMMETRIC.filter((alg) => server.idTokenSigningAlgs === null || server.idTokenSigningAlgs.includes(alg));
    try {
      const { protectedHeader } = await within(patience, this.#verify(client, idToken, algorithms));
      return { kind: 'proven', claims: decodeJwt(idToken), alg: protectedHeader.alg };
    } catch (cause) {
      const why = `the ID token does not verify: ${whyOf(cause)}`;
      if (cause instanceof errors.JWSSignatureVerificationFailed) return { kind: 'forged', why };
      const claims = decoded(idToken);
      if (claims === null) return { kind: 'unreadable', why };
      return { kind: 'unproven', claims, why, outage: cause instanceof KeysUnavailable ? cause : null };
    }
  }

  async #verify(client: ClientAt, idToken: string, algorithms: string[]): Promise<CompactVerifyResult> {
    try {
      return await this.#verifyBy(client, idToken, algorithms, false);
    } catch (cause) {
      if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
      // Before it counts as forged: the key may have changed under its id, or have none.
      return await this.#verifyBy(client, idToken, algorithms, true);
    }
  }

  async #verifyBy({ server, connection }: ClientAt, idToken: string, algorithms: string[], recent: boolean): Promise<CompactVerifyResult> {
    try {
      return await compactVerify(idToken, (header, token) => this.#deps.keys.find(server.jwksUri ?? '', connection, header, token, recent), { algorithms });
    } catch (several) {
      if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
      // Without a key id each key that fits is tried.
      for await (const key of several) {
        try {
          return await compactVerify(idToken, key, { algorithms });
        } catch (cause) {
          if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }

  /** By the issuer's clock: it wrote the times that are judged. */
  #nowS({ server }: ClientAt): number {
    return this.#deps.skews.nowMsAt(server.issuer) / 1000;
  }
}

/** OAuth servers without keys cannot sign; an ID token of theirs would be anybody's, so it is left unread. */
function canVerify(server: AuthorizationServer): boolean {
  return server.jwksUri !== null;
}

function foreignHash(claims: JWTPayload, accessToken: Secret, alg: string): string | null {
  return claims['at_hash'] === undefined || isAtHashOf(claims['at_hash'], accessToken.reveal(), alg) ? null : 'at_hash is of another access token';
}

/** What is waited for goes on; its failure is then nobody's. */
async function within<T>(patience: AbortSignal | null, awaited: Promise<T>): Promise<T> {
  if (patience === null) return awaited;
  let stop: (() => void) | null = null;
  const over = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new KeysUnavailable('timeout'));
    patience.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([awaited, over]);
  } finally {
    if (stop !== null) patience.removeEventListener('abort', stop);
  }
}

/** A code of jose's, or what WebCrypto's errors mean: the key fits no algorithm. */
function whyOf(cause: unknown): string {
  if (cause instanceof KeysUnavailable) return 'the signing keys cannot be fetched';
  return cause instanceof errors.JOSEError ? cause.code : 'the key cannot be used';
}

function decoded(idToken: string): JWTPayload | null {
  try {
    return decodeJwt(idToken);
  } catch {
    return null; // why is in the outcome of the verification, which failed before
  }
}

function algOf(idToken: string): string {
  try {
    const { alg }: { readonly alg?: unknown } = decodeProtectedHeader(idToken);
    return typeof alg === 'string' ? alg : '';
  } catch {
    return ''; // no JWT: the verification will say so
  }
}

function digestOf(nonce: string): string {
  return createHash('sha256').update(nonce).digest('base64url');
}
