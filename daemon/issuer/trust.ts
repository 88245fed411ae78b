/**
 * Whom TLS trusts: the system's store and the profile's CA file, both named explicitly, so that no variable
 * of the environment (NODE_EXTRA_CA_CERTS, NODE_TLS_REJECT_UNAUTHORIZED, SSL_CERT_FILE) has a say.
 */
import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Log } from '../core/ports.ts';

/** Debian and Arch, Fedora and RHEL, SUSE, Alpine and macOS. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem',
];

/** PEM certificates of the system's store. On Linux Node lets SSL_CERT_FILE stand for the store, so there the file comes first. */
export function systemTrust(log: Log): readonly string[] {
  const found = process.platform === 'linux' ? fromBundle() ?? fromNode() : fromNode() ?? fromBundle();
  return found ?? fromBuild(log);
}

export function secureContext(system: readonly string[], caPem: string | null): SecureContext {
  // The version is named as well: NODE_OPTIONS could lower node's own.
  return tls.createSecureContext({ ca: caPem === null ? [...system] : [...system, caPem], minVersion: 'TLSv1.2' });
}

/** Node 22.15 and later read the system's store themselves. */
function fromNode(): readonly string[] | null {
  if (!('getCACertificates' in tls) || typeof tls.getCACertificates !== 'function') return null;
  const found: unknown = tls.getCACertificates('system');
  return Array.isArray(found) && found.length > 0 ? found.filter((pem) => typeof pem === 'string') : null;
}

function fromBundle(): readonly string[] | null {
  for (const file of BUNDLES) {
    try {
      return [readFileSync(file, 'utf8')];
    } catch (cause) {
      // Another distribution's place. What is there and cannot be opened now must not be done without for good.
      if (isForNow(cause)) throw cause;
    }
  }
  return null;
}

function isForNow(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EMFILE' || cause.code === 'ENFILE' || cause.code === 'ENOMEM' || cause.code === 'EIO');
}

/** Slim containers have no store at all; the roots that Node was built with cannot be changed from outside either. */
function fromBuild(log: Log): readonly string[] {
  log.warn('no_system_trust', { looked_for: BUNDLES });
  return tls.rootCertificates;
}
