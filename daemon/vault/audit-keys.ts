/**
 * The keys of the audit log, made of one seed that the vault seals: an Ed25519 key for checkpoints and a key for
 * fingerprints of tokens. They never leave this object, and end with close(): a log can be continued without them,
 * but neither signed nor searched for a token. node:crypto signs within the turn, so that nothing is appended
 * between looking at the end of the chain and signing it; what it makes is a JWS like any other (RFC 8037).
 */
import { createHash, createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CHECKPOINT_TYPE } from '../../shared/audit-line.ts';
import type { CheckpointClaims, Head } from '../../shared/audit-line.ts';
import { BrokerError } from '../core/errors.ts';
import type { AuditKeys, AuditPublicKey } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';

const SEED_BYTES = 32;
/** PKCS #8 around an Ed25519 private key (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What is sealed: the seed, and the last record that was signed. */
export type KeptAuditKeys = { readonly seed: Secret; readonly last: Head | null };

export function newSeed(): Secret {
  return new Secret(randomBytes(SEED_BYTES).toString('base64url'));
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

export class SealedAuditKeys implements AuditKeys {
  readonly kid: string;
  readonly publicKey: AuditPublicKey;
  readonly isLasting: boolean;
  readonly #seed: Secret;
  readonly #save: (kept: KeptAuditKeys) => Promise<void>;
  #signing: KeyObject | null;
  #naming: Buffer | null;
  #last: Head | null;

  /** @param save - keeps the record, sealed; null: it ends with the daemon */
  constructor({ seed, last }: KeptAuditKeys, save: ((kept: KeptAuditKeys) => Promise<void>) | null) {
    const bytes = Buffer.from(seed.reveal(), 'base64url');
    const derive = (use: string): Buffer => Buffer.from(hkdfSync('sha256', bytes, '', `valetkey audit ${use}`, SEED_BYTES));
    const signing = derive('checkpoints');
    this.#signing = createPrivateKey({ key: Buffer.concat([PKCS8, signing]), format: 'der', type: 'pkcs8' });
    this.#naming = derive('fingerprints');
    for (const spent of [bytes, signing]) spent.fill(0);
    const { x = '' } = createPublicKey(this.#signing).export({ format: 'jwk' });
    this.publicKey = { kty: 'OKP', crv: 'Ed25519', x };
    // The thumbprint of the key (RFC 7638): its members in their order, without a space.
    this.kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
    this.isLasting = save !== null;
    this.#seed = seed;
    this.#save = save ?? (async () => undefined);
    this.#last = last;
  }

  /** For the vault that takes the place of this one. */
  get kept(): KeptAuditKeys {
    return { seed: this.#seed, last: this.#last };
  }

  get last(): Head | null {
    return this.#last;
  }

  sign(claims: CheckpointClaims): string {
    if (this.#signing === null) throw gone();
    const input = `${base64url(JSON.stringify({ alg: 'EdDSA', kid: this.kid, typ: CHECKPOINT_TYPE }))}.${base64url(JSON.stringify(claims))}`;
    return `${input}.${sign(null, Buffer.from(input), this.#signing).toString('base64url')}`;
  }

  async remember({ seq, hash }: Head): Promise<void> {
    if (this.#signing === null) throw gone();
    this.#last = { seq, hash };
    await this.#save({ seed: this.#seed, last: this.#last });
  }

  fingerprint(token: Secret): string {
    if (this.#naming === null) throw gone();
    return token.fingerprint(this.#naming);
  }

  close(): void {
    this.#naming?.fill(0);
    this.#naming = null;
    this.#signing = null;
  }
}

function gone(): BrokerError {
  return new BrokerError('vault_locked', 'the vault that holds the keys of the audit log is locked');
}
