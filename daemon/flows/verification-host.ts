/**
 * DG-06: the device page must be https on the issuer's host, or on one that preset or profile list
 * (RFC 8628, section 5.4: a person is about to type a code there). Else it is not even shown.
 */
import type { Profile } from '../core/domain.ts';

const LITERAL_LOOPBACK = ['127.0.0.1', '[::1]'];

export function isTrustedVerificationUri(uri: string, profile: Profile): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, hostname, host, username, password } = new URL(uri);
  if (username !== '' || password !== '') return false;
  const issuer = new URL(profile.issuer);
  if (protocol === 'http:') return profile.allowLoopbackHttp && LITERAL_LOOPBACK.includes(hostname) && host === issuer.host;
  if (protocol !== 'https:') return false;
  return host === issuer.host || profile.traits.deviceVerificationHosts.includes(host);
}
