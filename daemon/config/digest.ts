/**
 * The binding digest: everything that decides to whom a refresh token would be sent. A grant carries the
 * digest of its sign-in; where the profile's differs, the grant is `grant_rebound` and is never sent. What
 * does not decide that (name, scopes, browser, flow, comments) is left out, so that a cosmetic change
 * costs no sign-in.
 */
import { createHash } from 'node:crypto';
import type { ClientAuth, WrittenEndpoints } from '../core/domain.ts';
import { certificatesOf } from './certificates.ts';

export type Binding = {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientAuth: ClientAuth;
  readonly endpoints: WrittenEndpoints | null;
  readonly caPem: string | null;
  readonly proxy: string | null;
};

const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** SHA-256, hexadecimal. The first element names the layout: a later one must not meet the same digest. */
export function bindingDigest({ issuer, clientId, clientAuth, endpoints, caPem, proxy }: Binding): string {
  const authorities = caPem === null ? null : [...new Set((certificatesOf(caPem) ?? []).map((der) => sha256(der)))].sort();
  const written = endpoints === null
    ? null
    : [endpoints.authorization, endpoints.token, endpoints.revocation, endpoints.deviceAuthorization];
  return sha256(JSON.stringify(['valetkey-binding-1', issuer, clientId, clientAuth, written, authorities, proxy]));
}
