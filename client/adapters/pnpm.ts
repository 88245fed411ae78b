/**
 * pnpm's token helper (pnpm, "Authentication Settings"): what it prints is the whole value of Authorization. pnpm gives it
 * neither arguments nor the registry, and takes it from the user's own files alone; the key there says for which one it is.
 */
import type { PrintedFacts } from '../format-token.ts';

export function answerPnpm(token: PrintedFacts): string {
  return `Bearer ${token.access_token}\n`;
}
