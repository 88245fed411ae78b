import type { TokenRequest } from '../../../shared/schemas.ts';
import { cleanText } from '../../core/text.ts';

/** What a program says of itself, for the audit: cleaned, apart from the facts, and believed by nobody. */
export type Claimed = { readonly name?: string; readonly reason?: string };

export function claimedOf(claimed: TokenRequest['claimed']): Claimed | null {
  if (claimed === undefined) return null;
  const { name, reason } = claimed;
  return {
    ...(name === undefined ? {} : { name: cleanText(name, 128) }),
    ...(reason === undefined ? {} : { reason: cleanText(reason, 256) }),
  };
}
