import { isResourceUri, parseScope } from '../shared/names.ts';
import type { Scope } from '../shared/names.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** `--scope a --scope "b c"`: each flag holds one scope, or several with spaces between. */
export function parseScopeFlags(flags: readonly string[]): readonly Scope[] {
  // An empty word is a variable that is not set, and never what was meant: the profile's own scopes would be gone.
  if (flags.some((flag) => flag.trim() === '')) throw ValetkeyError.local('bad_request', '--scope is empty');
  return flags.flatMap((flag) => flag.split(' ').filter((word) => word !== '')).map((word) => {
    const scope = parseScope(word);
    if (scope === null) throw ValetkeyError.local('bad_request', `--scope takes scopes (RFC 6749, section 3.3), which ${JSON.stringify(word)} is not`);
    return scope;
  });
}

/** A whole number within the limits of the wire. */
export function parseWhole(flag: string, text: string, { unit, min, max }: { readonly unit: string; readonly min: number; readonly max: number }): number {
  const value = Number(text);
  if (/^\d{1,8}$/.test(text) && value >= min && value <= max) return value;
  throw ValetkeyError.local('bad_request', `${flag} takes ${unit} from ${min} to ${max}`);
}

/** @throws ValetkeyError bad_request for what is no absolute URI (RFC 8707, section 2) */
export function parseResource(text: string): string {
  if (isResourceUri(text)) return text;
  throw ValetkeyError.local('bad_request', '--resource takes an absolute URI without fragment, such as https://api.example.com (RFC 8707)');
}

export const REASON_MAX = 256;

/** Why, in the words of a person. */
export function parseReason(flag: string): string {
  const reason = flag.trim();
  if (reason === '' || reason.length > REASON_MAX) throw ValetkeyError.local('bad_request', `--reason takes 1 to ${REASON_MAX} characters`);
  return reason;
}
