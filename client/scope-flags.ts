import { parseScope } from '../shared/names.ts';
import type { Scope } from '../shared/names.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** `--scope a --scope "b c"`: each flag holds one scope, or several with spaces between. */
export function parseScopeFlags(flags: readonly string[]): readonly Scope[] {
  return flags.flatMap((flag) => flag.split(' ').filter((word) => word !== '')).map((word) => {
    const scope = parseScope(word);
    if (scope === null) throw ValetkeyError.local('bad_request', `not a scope: ${JSON.stringify(word)}`);
    return scope;
  });
}

/** A whole number of seconds. */
export function parseSeconds(flag: string, text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw ValetkeyError.local('bad_request', `${flag} takes a whole number of seconds`);
  return Number(text);
}
