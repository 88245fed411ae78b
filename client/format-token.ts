/** A token as it goes to standard output. The launcher (client/launcher/reply.c) prints the same. */
import type { TokenReply } from '../shared/schemas.ts';

export const FORMATS = ['raw', 'json', 'header', 'env'] as const;
export type Format = (typeof FORMATS)[number];

/** RFC 6749, appendix A.12. A line break would forge a second header, another control would reach the terminal. */
const ACCESS_TOKEN = /^[\x20-\x7e]+$/;

/** Quoted for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}

/** Token types are compared without case (RFC 6749, section 5.1); servers want `Bearer` (RFC 6750, section 2.1). */
function scheme(tokenType: string): string {
  return tokenType.toLowerCase() === 'bearer' ? 'Bearer' : tokenType;
}

export type PrintedFacts = Pick<TokenReply, 'access_token' | 'token_type' | 'expires_at'>;

/** Null if the access token holds what no token may hold. */
export function formatToken(reply: PrintedFacts, format: Exclude<Format, 'json'>): string | null {
  if (!ACCESS_TOKEN.test(reply.access_token)) return null;
  switch (format) {
    case 'raw': return `${reply.access_token}\n`;
    case 'header': return `Authorization: ${scheme(reply.token_type)} ${reply.access_token}\n`;
    case 'env': return `export VALETKEY_TOKEN=${quote(reply.access_token)}\nexport VALETKEY_TOKEN_EXPIRES_AT=${reply.expires_at}\n`;
  }
}
