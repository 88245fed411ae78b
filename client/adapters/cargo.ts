/**
 * Credential providers of cargo (the Cargo book, "Credential Provider Protocol", version 1): lines of JSON both ways, the
 * first one ours. A failure is an answer too; `other` is shown, and ends the command, where `not-found` would send a
 * person to `cargo login`. A token has an end, and cargo keeps it in memory alone.
 */
import { isJsonObject, parseJsonObject } from '../../shared/json-object.ts';
import type { PrintedFacts } from '../format-token.ts';

export const CARGO_HELLO = '{"v":[1]}\n';

export type CargoAsk =
  /** `keep`: login and logout, which are about what a provider keeps. */
  | { readonly kind: 'get' | 'keep'; readonly index: string }
  /** What comes with later versions of cargo. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'unreadable' };

export function readCargoAsk(line: string): CargoAsk {
  const asked = parseJsonObject(line);
  const [registry, kind] = [asked?.['registry'], asked?.['kind']];
  const index = isJsonObject(registry) ? registry['index-url'] : null;
  if (asked?.['v'] !== 1 || typeof index !== 'string') return { kind: 'unreadable' };
  if (kind === 'get') return { kind, index };
  return kind === 'login' || kind === 'logout' ? { kind: 'keep', index } : { kind: 'unsupported' };
}

/** `sparse+https://registry.example.com/index/`, or the URL of a git repository. */
export function isCargoIndex(index: string, origin: string): boolean {
  const url = index.replace(/^sparse\+/, '');
  return URL.canParse(url) && new URL(url).origin === origin;
}

/** @param scheme - cargo sends what it gets as the whole value of Authorization */
export function answerCargo(token: PrintedFacts, scheme: 'Bearer' | null): string {
  const value = scheme === null ? token.access_token : `${scheme} ${token.access_token}`;
  return line({ Ok: { kind: 'get', token: value, cache: 'expires', expiration: token.expires_at, operation_independent: true } });
}

export function failCargo(kind: 'url-not-supported' | 'operation-not-supported' | 'other', message: string, next: string): string {
  return line({ Err: { kind, message, 'caused-by': next === '' ? [] : [next] } });
}

function line(answer: object): string {
  return `${JSON.stringify(answer)}\n`;
}
