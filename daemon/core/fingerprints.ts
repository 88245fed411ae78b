/**
 * Names of secrets for records: the same token has the same name in every record, and nobody without the vault's key
 * can tell which token a name belongs to, or whether a guess is right. Where no vault was opened yet, names hold for
 * this run only.
 */
import { randomBytes } from 'node:crypto';
import type { AuditKeys } from './ports.ts';
import type { Secret } from './secret.ts';

export class Fingerprints {
  readonly #ownKey = randomBytes(32);
  #keys: AuditKeys | null = null;
  /** A token is named once: naming is on the hot path. */
  #known = new WeakMap<Secret, string>();

  useKeys(keys: AuditKeys | null): void {
    if (keys === this.#keys) return;
    this.#keys = keys;
    this.#known = new WeakMap();
  }

  of(secret: Secret): string {
    const known = this.#known.get(secret);
    if (known !== undefined) return known;
    const name = this.#keys?.fingerprint(secret) ?? secret.fingerprint(this.#ownKey);
    this.#known.set(secret, name);
    return name;
  }
}
