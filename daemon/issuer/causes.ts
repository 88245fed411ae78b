/**
 * What became of a connection, in one word, from the codes of node (never from messages). Every word here
 * means that no HTTP answer was read to its end.
 */
import type { WireError } from './failures.ts';

/** What is not here is `network`. */
const CAUSES: ReadonlyMap<string, string> = new Map([
  ...each('dns', 'ENOTFOUND'),
  ...each('refused', 'ECONNREFUSED'),
  ...each('unreachable', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL'),
  ...each('reset', 'ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE', 'HPE_INVALID_EOF_STATE', 'VALETKEY_CLOSED'),
  ...each('timeout', 'ETIMEDOUT', 'ERR_SOCKET_CONNECTION_TIMEOUT', 'TimeoutError'),
  ...each('aborted', 'AbortError'),
  ...each('proxy', 'VALETKEY_PROXY'),
  ...each('protocol', 'VALETKEY_PROTOCOL'),
  // X509_V_ERR_* as node names them.
  ...each('tls', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'CERT_SIGNATURE_FAILURE',
    'CERT_REVOKED', 'CERT_CHAIN_TOO_LONG', 'INVALID_CA', 'INVALID_PURPOSE', 'HOSTNAME_MISMATCH', 'EPROTO'),
]);
const FAMILIES: readonly (readonly [string, string])[] = [
  ['EAI_', 'dns'], ['ERR_TLS_', 'tls'], ['ERR_SSL_', 'tls'], ['HPE_', 'protocol'],
  // zlib and brotli.
  ['Z_', 'unreadable'], ['ERR__', 'unreadable'], ['ERR_BROTLI_', 'unreadable'],
];

/** For outcomes, logs and keys_…: what became of the connection. */
export function wireCause(error: WireError): string {
  for (const link of chain(error.cause)) {
    const code = 'code' in link && typeof link.code === 'string' ? link.code : link.name;
    const cause = CAUSES.get(code) ?? FAMILIES.find(([prefix]) => code.startsWith(prefix))?.[1];
    if (cause !== undefined) return cause;
  }
  return 'network';
}

/** The error and what caused it; a chain that bites its tail ends as well. */
export function* chain(error: unknown): Generator<Error> {
  for (let link = error, depth = 0; link instanceof Error && depth < 8; link = link.cause, depth += 1) yield link;
}

function each(cause: string, ...codes: readonly string[]): readonly (readonly [string, string])[] {
  return codes.map((code) => [code, cause]);
}
