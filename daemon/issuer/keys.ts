/**
 * The signing keys of issuers, from their pinned jwks_uri. An unknown key id makes them be fetched anew, at
 * most once a minute, so that nobody can make this daemon hammer an issuer by inventing key ids (MD-04).
 */
import { createLocalJWKSet, errors } from 'jose';
import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters, LocalJWKSet } from 'jose';
import type { IssuerConnection } from '../core/domain.ts';
import type { Clock } from '../core/ports.ts';
import { wireCause } from './causes.ts';
import { KeysUnavailable, WireError } from './failures.ts';
import type { Http } from './http.ts';

const REFETCH_AFTER_MS = 60_000;
/** A key that the issuer withdrew is trusted no longer than this. */
const STALE_AFTER_MS = 600_000;
const MAX_ISSUERS = 64;

type KeySet = { readonly keys: LocalJWKSet; readonly fetchedAt: number };

export class SigningKeys {
  readonly #http: Http;
  readonly #clock: Clock;
  readonly #sets = new Map<string, Promise<KeySet>>();

  constructor(http: Http, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  /**
   * Throws KeysUnavailable, or jose's error where no key fits.
   * @param recent - from keys that are not older than a minute
   */
  async find(jwksUri: string, connection: IssuerConnection, header: JWSHeaderParameters, token: FlattenedJWSInput, recent = false): Promise<CryptoKey> {
    const set = await this.#get(jwksUri, connection, recent ? REFETCH_AFTER_MS : STALE_AFTER_MS);
    try {
      return await set.keys(header, token);
    } catch (cause) {
      if (!(cause instanceof errors.JWKSNoMatchingKey)) throw cause;
      const newer = await this.#get(jwksUri, connection, REFETCH_AFTER_MS);
      if (newer === set) throw cause;
      return await newer.keys(header, token);
    }
  }

  /** The set, fetched unless one younger than `maxAgeMs` is here. Whoever asks meanwhile joins the fetch. */
  async #get(jwksUri: string, connection: IssuerConnection, maxAgeMs: number): Promise<KeySet> {
    const id = JSON.stringify([jwksUri, connection.proxy, connection.caPem]);
    const present = this.#sets.get(id);
    if (present !== undefined) {
      const set = await present;
      if (this.#clock.boottimeMs() - set.fetchedAt < maxAgeMs) return set;
      // Another caller may have begun the fetch while this one waited.
      const current = this.#sets.get(id);
      if (current !== undefined && current !== present) return current;
    }
    const fetching = this.#fetch(jwksUri, connection);
    this.#sets.set(id, fetching);
    this.#makeRoom();
    try {
      return await fetching;
    } catch (cause) {
      if (this.#sets.get(id) === fetching) this.#sets.delete(id);
      throw cause;
    }
  }

  async #fetch(jwksUri: string, connection: IssuerConnection): Promise<KeySet> {
    const fetchedAt = this.#clock.boottimeMs();
    try {
      const answer = await this.#http.send(connection, jwksUri, { method: 'GET', headers: { accept: 'application/jwk-set+json, application/json' }, body: null }, null);
      if (answer.status !== 200) throw new KeysUnavailable(`http_${answer.status}`);
      return { keys: createLocalJWKSet(parseKeySet(answer.body)), fetchedAt };
    } catch (cause) {
      if (cause instanceof KeysUnavailable) throw cause;
      throw new KeysUnavailable(cause instanceof WireError ? wireCause(cause) : 'unreadable', cause);
    }
  }

  #makeRoom(): void {
    const [oldest] = this.#sets.keys();
    if (this.#sets.size > MAX_ISSUERS && oldest !== undefined) this.#sets.delete(oldest);
  }
}

/** Only that it is JSON: createLocalJWKSet checks the shape. */
function parseKeySet(text: string): JSONWebKeySet {
  return JSON.parse(text) as JSONWebKeySet;
}
