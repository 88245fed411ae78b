/**
 * The arguments of `token` that need nothing but the daemon's answer: no commander has to be loaded to read
 * them. What is not plain, or wrong, is null, and the whole CLI reads it again and says what is wrong.
 * client/launcher/arguments.c reads the same.
 */
import { isResourceUri, parseProfileName, parseScope } from '../shared/names.ts';
import type { TokenRequest } from '../shared/schemas.ts';
import { FORMATS } from './format-token.ts';
import type { Format } from './format-token.ts';

export type PlainWish = { readonly request: TokenRequest & { readonly profile: string }; readonly format: Format };

const MIN_TTL_MAX = 86_400;
const SCOPES_MAX = 64;
/** They change only what is said besides the token, and what happens where there is none. */
const SILENT_FLAGS: readonly string[] = ['-q', '--quiet', '--no-interactive'];

type Found = { profile: string | null; json: boolean; readonly values: ReadonlyMap<string, string[]> };

/** `--name value` and `--name=value`; a value that looks like an option is left to commander. */
function readWords(words: readonly string[]): Found | null {
  const values = new Map<string, string[]>(['--format', '--scope', '--resource', '--min-ttl'].map((name) => [name, []]));
  const found: Found = { profile: null, json: false, values };
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] ?? '';
    if (!word.startsWith('-')) {
      if (found.profile !== null) return null;
      found.profile = word;
    } else if (word === '--json') {
      found.json = true;
    } else if (!SILENT_FLAGS.includes(word)) {
      const [name = '', ...attached] = word.split('=');
      const value = attached.length > 0 ? attached.join('=') : words[i += 1] ?? '';
      const list = values.get(name);
      if (list === undefined || value === '' || value.startsWith('-')) return null;
      list.push(value);
    }
  }
  return found;
}

function readScopes(flags: readonly string[]): readonly string[] | null {
  const words = flags.map((flag) => flag.split(' ').filter((word) => word !== ''));
  if (words.some((list) => list.length === 0)) return null;
  const scopes = words.flat();
  return scopes.length <= SCOPES_MAX && scopes.every((word) => parseScope(word) !== null) ? scopes : null;
}

function chooseFormat(named: string | undefined, json: boolean): Format | null {
  const format = FORMATS.find((each) => each === (named ?? (json ? 'json' : 'raw')));
  return format === undefined || (json && format !== 'json') ? null : format;
}

export function readPlainArguments(argv: readonly string[]): PlainWish | null {
  const found = argv[0] === 'token' ? readWords(argv.slice(1)) : null;
  if (found === null || found.profile === null || parseProfileName(found.profile) === null) return null;
  const of = (name: string): readonly string[] => found.values.get(name) ?? [];
  if (['--format', '--resource', '--min-ttl'].some((name) => of(name).length > 1)) return null;
  const [resource] = of('--resource');
  const [minTtl] = of('--min-ttl');
  const scopes = readScopes(of('--scope'));
  const format = chooseFormat(of('--format')[0], found.json);
  const resourceIsGood = resource === undefined || isResourceUri(resource);
  const minTtlIsGood = minTtl === undefined || (/^\d{1,8}$/.test(minTtl) && Number(minTtl) <= MIN_TTL_MAX);
  if (format === null || scopes === null || !resourceIsGood || !minTtlIsGood) return null;
  return {
    format,
    request: {
      profile: found.profile,
      interaction: 'never',
      ...(scopes.length === 0 ? {} : { scopes: [...scopes] }),
      ...(resource === undefined ? {} : { resource }),
      ...(minTtl === undefined ? {} : { min_ttl_s: Number(minTtl) }),
    },
  };
}
