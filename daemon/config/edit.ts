/**
 * Edits of config.toml as text, so that comments and layout stay as the person left them. Each edit is read
 * again and compared: what it was not meant to change is the same, or the edit is refused. The text that comes
 * in was read as a configuration before, so it parses.
 */
import { isDeepStrictEqual } from 'node:util';
import { stringify, TomlError } from 'smol-toml';
import type { ProfileName } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import { BrokerError } from '../core/errors.ts';
import { CONFIG_VERSION } from './schema.ts';
import { isTable } from './shape.ts';
import { linesOf, statementsOf } from './statements.ts';
import type { Statement } from './statements.ts';
import { parseToml } from './toml.ts';

type Document = Readonly<Record<string, unknown>>;

/** Appends `[profiles.NAME]`. Throws BrokerError profile_exists. */
export function addProfile(text: string, name: ProfileName, table: ProfileTable): string {
  const before = parseToml(text);
  if (Object.hasOwn(profilesOf(before), name)) throw new BrokerError('profile_exists', `there is a profile ${name} already`);
  const head = text.trim() === '' ? `v = ${CONFIG_VERSION}\n` : text.endsWith('\n') ? text : `${text}\n`;
  const after = `${head}\n${stringify({ profiles: { [name]: table } })}`;
  const wanted = { ...before, ...(text.trim() === '' && { v: CONFIG_VERSION }), profiles: { ...profilesOf(before), [name]: table } };
  return verified(after, wanted);
}

/** Takes out the profile's tables, with their keys and the comments among them. Throws BrokerError unknown_profile. */
export function removeProfile(text: string, name: ProfileName, list: 'profiles' | 'workloads' = 'profiles'): string {
  const before = parseToml(text);
  const { [name]: removed, ...kept } = profilesOf(before, list);
  if (removed === undefined) throw new BrokerError('unknown_profile', `there is no profile ${name}`);
  const lines = linesOf(text);
  const statements = statementsOf(text);
  const gone = new Set(statements.flatMap((statement, i) => (belongsTo(statements, i, list, name) ? range(statement) : [])));
  const after = lines.filter((_, line) => !gone.has(line) || partsComments(lines, gone, line)).join('');
  return verified(after, { ...before, [list]: kept });
}

/** A blank line stays where without it the comment above the gap would run into the one below. */
function partsComments(lines: readonly string[], gone: ReadonlySet<number>, line: number): boolean {
  const isComment = (text: string | undefined): boolean => text?.trimStart().startsWith('#') === true;
  const above = lines.findLast((_, i) => i < line && !gone.has(i));
  return lines[line]?.trim() === '' && !gone.has(line + 1) && isComment(lines[line + 1]) && isComment(above);
}

const range = ({ start, end }: Statement): number[] => Array.from({ length: end - start }, (_, i) => start + i);

function belongsTo(statements: readonly Statement[], index: number, list: string, name: string): boolean {
  const statement = statements[index];
  if (statement === undefined) return false;
  const [first, second] = [...statement.table, ...(statement.kind === 'pair' ? onlyPath(statement.tree) : [])];
  if (first !== list || second !== name) return false;
  // Comments right above the next header speak of what follows.
  return statement.kind === 'header' || statement.kind === 'pair' || !leadsToNextTable(statements, index);
}

/** The names on the way to a pair's value, as long as there is but one. */
function onlyPath(tree: Document): string[] {
  const [name, ...others] = Object.keys(tree);
  if (name === undefined || others.length > 0) return [];
  const inner = tree[name];
  return [name, ...(isTable(inner) ? onlyPath(inner) : [])];
}

function leadsToNextTable(statements: readonly Statement[], index: number): boolean {
  const rest = statements.slice(index);
  const comments = rest.findIndex(({ kind }) => kind !== 'comment');
  return comments > 0 && rest[comments]?.kind === 'header';
}

function profilesOf(document: Document, list: 'profiles' | 'workloads' = 'profiles'): Document {
  const tables = document[list];
  return isTable(tables) ? tables : {};
}

/** An empty [profiles] means the same as none. */
function verified(text: string, wanted: Document): string {
  const plain = (document: Document): unknown => JSON.parse(JSON.stringify({ ...document, profiles: profilesOf(document), workloads: profilesOf(document, 'workloads') }));
  const found = parsedOrNull(text);
  if (found !== null && isDeepStrictEqual(plain(found), plain(wanted))) return text;
  throw new BrokerError('config_invalid', 'the file is laid out so that this profile cannot be edited without touching others', {
    hint: 'Edit the file by hand, then run: valetkey daemon reload',
  });
}

function parsedOrNull(text: string): Document | null {
  try {
    return parseToml(text);
  } catch (error) {
    // Such as a second [profiles.x] beside an inline `profiles = { … }`: the edit is refused as a whole.
    if (error instanceof TomlError) return null;
    throw error;
  }
}
