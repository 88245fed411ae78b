/**
 * Sealing: JWE compact, direct encryption with A256GCM, a fresh random nonce for each call. The protected
 * header is authenticated with the content and says what the file is and whom it belongs to, so a file that
 * was renamed, swapped with another, or copied from another vault does not open (ST-02).
 */
import { BrokerError } from '../core/errors.ts';
import { later } from '../core/later.ts';

/** A vault in memory seals nothing, and one that is locked nothing yet. */
const loadJose = later(() => import('jose'));

/** Version of the sealed files. */
export const SEAL_VERSION = 1;

export type Binding = {
  readonly kind: 'grant' | 'revocation' | 'client_secret' | 'key' | 'check' | 'floors' | 'audit' | 'pin' | 'consents' | 'workload';
  /** The vault that it belongs to. */
  readonly vault: string;
  /** Profile or id: the file's name without its ending. */
  readonly name: string;
  readonly issuer: string | null;
  readonly sub: string | null;
  readonly generation: number | null;
  readonly digest: string | null;
};

/** A binding of something that has no issuer, subject and generation of its own. */
export function plainBinding(kind: Binding['kind'], vault: string, name: string): Binding {
  return { kind, vault, name, issuer: null, sub: null, generation: null, digest: null };
}

/** Seals `payload` and zeroes it. */
export async function seal(key: Uint8Array, binding: Binding, payload: Uint8Array): Promise<string> {
  try {
    const { CompactEncrypt } = await loadJose();
    return await new CompactEncrypt(payload)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', v: SEAL_VERSION, ...binding })
      .encrypt(key);
  } finally {
    payload.fill(0);
  }
}

export type Opened = { readonly payload: Uint8Array; isBoundTo(binding: Binding): boolean };

/** Null where it does not open under this key. Throws file_too_new before anything is decrypted. */
export async function unseal(key: Uint8Array, sealed: string, path: string): Promise<Opened | null> {
  if (!isCanonical(sealed)) return null;
  const { compactDecrypt, decodeProtectedHeader, errors } = await loadJose();
  try {
    refuseNewer(decodeProtectedHeader(sealed)['v'], path);
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    const { v, kind, vault, name, issuer, sub, generation, digest } = protectedHeader;
    const header = JSON.stringify({ v, kind, vault, name, issuer, sub, generation, digest });
    return {
      payload: plaintext,
      isBoundTo: (b) => header === JSON.stringify({
        v: SEAL_VERSION, kind: b.kind, vault: b.vault, name: b.name, issuer: b.issuer, sub: b.sub, generation: b.generation, digest: b.digest,
      }),
    };
  } catch (cause) {
    // jose throws a TypeError for a header that is no JSON: a damaged file as well.
    if (cause instanceof errors.JOSEError || cause instanceof TypeError) return null;
    throw cause;
  }
}

/** A file of a newer version is refused unread, and stays as it is. */
export function refuseNewer(version: unknown, path: string, known = SEAL_VERSION): void {
  if (typeof version === 'number' && version > known) {
    throw new BrokerError('file_too_new', `${path} is of version ${version}; this valetkey knows ${known}`);
  }
}

/** base64url leaves unused bits in a last character; a decoder that ignores them would let a changed byte pass. */
function isCanonical(sealed: string): boolean {
  const parts = sealed.split('.');
  return parts.length === 5 && parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);
}
