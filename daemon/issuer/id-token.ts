/**
 * The one check of ID tokens: signature by a key of the pinned jwks_uri and an asymmetric algorithm (RFC
 * 8725, sections 3.1 and 3.2), then the claims. Nothing of a token is used before all of it holds.
 */
import { createHash } from 'node:crypto';
import { decodeJwt, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyOptions, JWTVerifyResult } from 'jose';
import type { AuthorizationServer, Identity } from '../core/domain.ts';
import type { ClientAt, Clock, Log, StepUp } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { SKEW_S, identityOf, isAtHashOf, refusedClaim } from './claims.ts';
import type { Expected } from './claims.ts';
import { AnswerRefused, KeysUnavailable } from './failures.ts';
import type { SigningKeys } from './keys.ts';

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

type IdTokenDeps = { readonly keys: SigningKeys; readonly clock: Clock; readonly log: Log };

export class IdTokens {
  readonly #deps: IdTokenDeps;

  constructor(deps: IdTokenDeps) {
    this.#deps = deps;
  }

  /** At a sign-in. `nonce`: null where the flow sends none (RFC 8628). Throws AnswerRefused, KeysUnavailable. */
  async atSignIn(client: ClientAt, idToken: string | null, accessToken: string, nonce: Secret | null, expectsOne: boolean, stepUp: StepUp): Promise<Identity | null> {
    if (idToken === null || !canVerify(client.server)) {
      if (expectsOne && client.server.isOpenIdProvider) throw new AnswerRefused('id_token_invalid', 'openid was asked for and no ID token came');
      if (stepUp.acrValues.length > 0 || stepUp.maxAgeS !== null) throw new AnswerRefused('stepup_unmet', 'no ID token says how the person signed in');
      return null;
    }
    const expected: Expected = {
      issuer: client.server.issuer, clientId: client.clientId, stepUp, previous: null,
      isNonce: nonce === null ? null : (said) => typeof said === 'string' && nonce.equals(said),
    };
    const claims = await this.#verify(client, idToken, accessToken, expected);
    return { ...identityOf(claims), nonceDigest: nonce === null ? null : digestOf(nonce.reveal()) };
  }

  /** After a refresh. Null: none came, or it cannot be verified now; what it claims has been checked even so. */
  async atRefresh(client: ClientAt, idToken: string | null, accessToken: string, previous: Identity | null): Promise<Identity | null> {
    if (idToken === null || !canVerify(client.server)) return null;
    const nonceDigest = previous?.nonceDigest ?? null;
    const expected: Expected = {
      issuer: client.server.issuer, clientId: client.clientId, stepUp: null, previous,
      // SHOULD NOT be there; if it is, it must be that of the sign-in (OIDC Core, section 12.2).
      isNonce: nonceDigest === null ? null : (said) => said === undefined || (typeof said === 'string' && digestOf(said) === nonceDigest),
    };
    try {
      return { ...identityOf(await this.#verify(client, idToken, accessToken, expected)), nonceDigest };
    } catch (cause) {
      if (!(cause instanceof KeysUnavailable)) throw cause;
      // The refresh token is spent: losing the new one to an unreachable jwks_uri would cost a sign-in. The
      // token came over TLS from the pinned endpoint (section 3.1.3.7, 6), and nothing of it is taken over.
      this.#deps.log.warn('id_token_not_verified', { issuer: client.server.issuer, why: cause.reason });
      this.#hold(decoded(idToken), expected);
      return null;
    }
  }

  async #verify(client: ClientAt, idToken: string, accessToken: string, expected: Expected): Promise<JWTPayload> {
    const { server, connection } = client;
    const algorithms = ASYMMETRIC.filter((alg) => server.idTokenSigningAlgs === null || server.idTokenSigningAlgs.includes(alg));
    let verified: JWTVerifyResult;
    try {
      const options = { algorithms, currentDate: new Date(this.#deps.clock.now()), clockTolerance: SKEW_S };
      verified = await this.#verifySignature(idToken, server.jwksUri ?? '', connection, options);
    } catch (cause) {
      if (cause instanceof KeysUnavailable) throw cause;
      // jose's own, or WebCrypto's for a key that fits no algorithm.
      const code = cause instanceof errors.JOSEError ? cause.code : 'the key cannot be used';
      throw new AnswerRefused('id_token_invalid', `the ID token does not verify: ${code}`, cause);
    }
    const { payload, protectedHeader } = verified;
    this.#hold(payload, expected);
    if (payload['at_hash'] !== undefined && !isAtHashOf(payload['at_hash'], accessToken, protectedHeader.alg)) {
      throw new AnswerRefused('id_token_invalid', 'the ID token\'s at_hash is of another access token');
    }
    return payload;
  }

  async #verifySignature(idToken: string, jwksUri: string, connection: ClientAt['connection'], options: JWTVerifyOptions): Promise<JWTVerifyResult> {
    try {
      return await jwtVerify(idToken, (header, token) => this.#deps.keys.find(jwksUri, connection, header, token), options);
    } catch (several) {
      if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
      // Without a key id each key that fits is tried.
      for await (const key of several) {
        try {
          return await jwtVerify(idToken, key, options);
        } catch (cause) {
          if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }

  #hold(claims: JWTPayload, expected: Expected): void {
    const refused = refusedClaim(claims, expected, this.#deps.clock.now() / 1000);
    if (refused !== null) throw new AnswerRefused(refused.code, refused.why);
  }
}

/** OAuth servers without keys cannot sign; an ID token of theirs would be anybody's, so it is left unread. */
function canVerify(server: AuthorizationServer): boolean {
  return server.jwksUri !== null;
}

function decoded(idToken: string): JWTPayload {
  try {
    return decodeJwt(idToken);
  } catch (cause) {
    throw new AnswerRefused('id_token_invalid', 'the ID token is not a JWT', cause);
  }
}

function digestOf(nonce: string): string {
  return createHash('sha256').update(nonce).digest('base64url');
}
