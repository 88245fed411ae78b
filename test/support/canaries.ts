/**
 * Looks for secrets where none may be. Every value that an issuer minted is a canary; it is searched for as
 * it is and in the forms in which software passes text on: percent-encoded, form-encoded, base64 (also in
 * the middle of a longer text, e.g. `user:secret`), hex, JSON-escaped, UTF-16.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Minted, MintedKind } from '../../demo/issuer-ledger.ts';

export type Found = { readonly where: string; readonly kind: MintedKind | 'other'; readonly form: string; readonly offset: number };

export type Canary = { readonly kind: MintedKind | 'other'; readonly forms: readonly { readonly form: string; readonly bytes: Buffer }[] };

/** Shorter values would be found by chance. */
const CANARY_MIN_LENGTH = 8;

/**
 * Base64 of a text inside a longer one depends on its offset modulo 3. The characters that its neighbours
 * have a part in are cut off at both ends; what is left is the same wherever the text stands.
 */
function insideBase64(value: Buffer): readonly string[] {
  return [0, 1, 2].map((lead) => {
    const encoded = Buffer.concat([Buffer.alloc(lead), value]).toString('base64').replace(/=+$/, '');
    const from = lead === 0 ? 0 : lead + 1;
    const bits = (lead + value.length) * 8;
    return encoded.slice(from, Math.floor(bits / 6));
  });
}

function formsOf(value: string): Canary['forms'] {
  const bytes = Buffer.from(value);
  const percent = [...bytes].map((b) => `%${b.toString(16).padStart(2, '0')}`).join('');
  const json = JSON.stringify(value).slice(1, -1);
  const texts: readonly (readonly [string, string])[] = [
    ['raw', value],
    ['percent-encoded', encodeURIComponent(value)],
    ['percent-encoded', encodeURIComponent(value).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())],
    ['percent-encoded throughout', percent],
    ['percent-encoded throughout', percent.toUpperCase()],
    ['form-encoded', new URLSearchParams({ v: value }).toString().slice(2)],
    ...insideBase64(bytes).flatMap((text) => [['base64', text], ['base64url', text.replaceAll('+', '-').replaceAll('/', '_')]] as const),
    ['hex', bytes.toString('hex')],
    ['hex', bytes.toString('hex').toUpperCase()],
    ['JSON-escaped', json],
    ['JSON-escaped', json.replaceAll('/', '\\/')],
    ['JSON-escaped', [...value].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')],
  ];
  const unique = new Map(texts.toReversed().map(([form, text]) => [text, form]));
  return [...unique].map(([text, form]) => ({ form, bytes: Buffer.from(text) })).concat({ form: 'UTF-16', bytes: Buffer.from(value, 'utf16le') });
}

export type CanaryOptions = {
  /** Kinds that may be where the search looks, e.g. access tokens on the stdout of `token`. */
  readonly except?: readonly MintedKind[];
  /** Secrets that no issuer minted: passphrases, cookies, keys. */
  readonly more?: readonly string[];
};

export function collectCanaries(minted: readonly Minted[], { except = [], more = [] }: CanaryOptions = {}): readonly Canary[] {
  const values: readonly { readonly kind: MintedKind | 'other'; readonly value: string }[] = [
    ...minted.filter(({ kind }) => !except.includes(kind)), ...more.map((value) => ({ kind: 'other' as const, value })),
  ];
  const short = values.find(({ value }) => value.length < CANARY_MIN_LENGTH);
  if (short !== undefined) throw new Error(`a ${short.kind} of ${short.value.length} characters is too short to search for`);
  return values.map(({ kind, value }) => ({ kind, forms: formsOf(value) }));
}

/** @param where - how to call the place in the result. The values found are never part of it. */
export function searchBytes(where: string, haystack: Buffer | string, canaries: readonly Canary[]): readonly Found[] {
  const bytes = typeof haystack === 'string' ? Buffer.from(haystack) : haystack;
  return canaries.flatMap(({ kind, forms }) => {
    const hit = forms.map(({ form, bytes: needle }) => ({ where, kind, form, offset: bytes.indexOf(needle) })).find(({ offset }) => offset >= 0);
    return hit ?? [];
  });
}

/** Every regular file under the directory, and every name in it. Links are not followed; sockets have no bytes. */
export function searchTree(directory: string, canaries: readonly Canary[]): readonly Found[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const stat = lstatSync(path);
    const inName = searchBytes(`name of ${path}`, name, canaries);
    if (stat.isDirectory()) return [...inName, ...searchTree(path, canaries)];
    return stat.isFile() ? [...inName, ...searchBytes(path, readFileSync(path), canaries)] : inName;
  });
}
