/**
 * The certificates of a CA file. Comments, order and repetition mean nothing, and anything else in the file
 * (a private key that was put there by mistake) is left where it is.
 */
import { X509Certificate } from 'node:crypto';

const BLOCK = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const OPENING = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** DER of each certificate; null where there is none, or where one cannot be read. */
export function certificatesOf(pem: string): readonly Buffer[] | null {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0 || blocks.length !== pem.match(OPENING)?.length) return null;
  const certificates = blocks.map((block) => derOf(block));
  return certificates.every((der) => der !== null) ? certificates : null;
}

function derOf(block: string): Buffer | null {
  try {
    return new X509Certificate(block).raw;
  } catch {
    // OpenSSL's own words say nothing about which block it was; the caller names the file.
    return null;
  }
}

/** PEM of the certificates alone. */
export function pemOf(certificates: readonly Buffer[]): string {
  return certificates
    .map((der) => `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`)
    .join('');
}
