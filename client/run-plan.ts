/**
 * Which token goes into which variable of the program's environment. Pure. One profile: VALETKEY_TOKEN, as
 * `valetkey token --format env` calls it. Several: one each, VALETKEY_TOKEN_NAME. `--env` names the variable that a
 * program wants.
 */
import { ValetkeyError } from './valetkey-error.ts';

/** `endVariable`: where the end of the token stands, in seconds since 1970; null: nobody asked for it. */
export type Place = { readonly profile: string; readonly variable: string; readonly endVariable: string | null };

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A token there would be no token, and what is there decides which code runs. */
const LOADERS = /^(?:PATH|IFS|ENV|BASH_ENV|HOME|SHELL|NODE_OPTIONS|PYTHONPATH|PYTHONHOME|PERL5OPT|PERL5LIB|RUBYOPT|RUBYLIB|(?:LD|DYLD)_.*)$/;

/** @param fallback - the profile that is meant where none is named; asked for only then. Null: then there is none. */
export async function planPlaces(profiles: readonly string[], named: readonly string[], fallback: (() => Promise<string>) | null): Promise<readonly Place[]> {
  const wanted = [...new Set(profiles.length === 0 && named.length === 0 && fallback !== null ? [await fallback()] : profiles)];
  const places = [...wanted.map((profile) => ownPlace(profile, wanted.length === 1)), ...named.map(parseNamed)];
  const taken = new Map<string, string>();
  for (const { variable, endVariable, profile } of places) {
    for (const name of endVariable === null ? [variable] : [variable, endVariable]) {
      const other = taken.get(name);
      if (other !== undefined) throw ValetkeyError.local('bad_request', `${name} would hold the tokens of ${other} and of ${profile}`, { hint: 'Name another variable for one of them: --env NAME=PROFILE' });
      taken.set(name, profile);
    }
  }
  return places;
}

function ownPlace(profile: string, isOnly: boolean): Place {
  const variable = isOnly ? 'VALETKEY_TOKEN' : `VALETKEY_TOKEN_${profile.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
  return { profile, variable, endVariable: `${variable}_EXPIRES_AT` };
}

function parseNamed(text: string): Place {
  return { ...parsePair('--env', text, 'GITHUB_TOKEN=github'), endVariable: null };
}

/** @throws ValetkeyError bad_request */
export function parsePair(flag: string, text: string, such: string): { readonly profile: string; readonly variable: string } {
  const at = text.indexOf('=');
  const [variable, profile] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (at < 0 || profile === '' || !VARIABLE.test(variable)) throw ValetkeyError.local('bad_request', `${flag} ${JSON.stringify(text)} is not NAME=PROFILE`, { hint: `Such as: ${flag} ${such}` });
  return { profile, variable: checkVariable(variable) };
}

/** @throws ValetkeyError bad_request */
export function checkVariable(variable: string): string {
  if (!VARIABLE.test(variable)) throw ValetkeyError.local('bad_request', `${JSON.stringify(variable)} is no name of a variable`, { hint: 'Letters, digits and _: OPENAI_API_KEY' });
  if (LOADERS.test(variable)) throw ValetkeyError.local('bad_request', `${variable} says which code programs load, and is no place for a token`, { hint: 'Name the variable that the program reads' });
  return variable;
}
