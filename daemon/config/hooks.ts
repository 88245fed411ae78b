/**
 * hooks.toml, checked whole, or the first thing that is wrong with it by line. It names programs that run as the user,
 * so a file that another user owns or could change is refused before a word of it counts.
 */
import { TomlError } from 'smol-toml';
import * as v from 'valibot';
import { BrokerError } from '../core/errors.ts';
import { HOOK_EVENTS } from '../core/hook.ts';
import type { Hook, ReadHooks } from '../core/hook.ts';
import { cleanText } from '../core/text.ts';
import type { Fault } from './fault.ts';
import type { ReadFile } from './files.ts';
import { refuseForeign } from './read-profile.ts';
import { isTable, shapeFault, unknownKey } from './shape.ts';
import { positionInList, positionOf } from './statements.ts';
import { parseToml } from './toml.ts';

/** The version that this build reads. */
export const HOOKS_VERSION = 1;
const HOOKS_MAX = 32;

export const HOOK = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, '1 to 64 of a-z, 0-9, ".", "_", "-", a letter or digit first')),
  on: v.pipe(v.array(v.picklist(HOOK_EVENTS)), v.minLength(1), v.maxLength(HOOK_EVENTS.length)),
  // Node would throw at a NUL when it is too late to say where it stands.
  run: v.pipe(v.array(v.pipe(v.string(), v.maxLength(4096), v.check((word) => !word.includes('\0'), 'without a NUL'))), v.minLength(1), v.maxLength(64)),
});

export type HooksFileDeps = {
  readonly file: string;
  /** Who must own it; null: the platform has no user ids. */
  readonly uid: number | null;
  readonly readFile: ReadFile;
};

const HINT = { hint: 'Mend the line that is named, then run: valetkey daemon reload' } as const;

export function createReadHooks({ file, uid, readFile }: HooksFileDeps): ReadHooks {
  return async () => {
    const read = await readFile(file);
    if (read === null) return [];
    refuseForeign(file, read, uid === null ? null : [uid]);
    return parseHooks(read.text, file);
  };
}

/** Throws BrokerError config_invalid or file_too_new. */
export function parseHooks(text: string, file: string): readonly Hook[] {
  let document;
  try {
    document = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The first line alone: the rest quotes the file.
    throw new BrokerError('config_invalid', `${file}:${error.line}:${error.column}: ${cleanText((error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', ''))}`, HINT);
  }
  if (typeof document['v'] === 'number' && document['v'] > HOOKS_VERSION) {
    throw new BrokerError('file_too_new', `${file} has version ${document['v']}; this build reads version ${HOOKS_VERSION}`);
  }
  const unknown = unknownKey(document, ['v', 'hooks'], []);
  if (unknown !== null) throw faultError(unknown, text, file);
  if (document['v'] !== HOOKS_VERSION) throw faultError({ path: ['v'], problem: document['v'] === undefined ? `is missing: the file begins with v = ${HOOKS_VERSION}` : `must be ${HOOKS_VERSION}` }, text, file);
  const tables: unknown = document['hooks'] ?? [];
  if (!Array.isArray(tables)) throw faultError({ path: ['hooks'], problem: 'must be tables: [[hooks]]' }, text, file);
  if (tables.length > HOOKS_MAX) throw faultError({ path: ['hooks'], problem: `must be at most ${HOOKS_MAX}` }, text, file);
  const hooks: Hook[] = [];
  for (const [index, table] of tables.entries()) {
    const path = ['hooks', String(index)];
    const fault = hookFault(table, path, hooks);
    if (fault !== null) throw faultError(fault, text, file);
    hooks.push(v.parse(HOOK, table));
  }
  return hooks;
}

function hookFault(table: unknown, path: readonly string[], before: readonly Hook[]): Fault | null {
  const shape = shapeFault(HOOK, table, path);
  if (shape !== null) return shape.path.at(-1) === 'on' && isTable(table) && Array.isArray(table['on']) ? { ...shape, problem: `takes: ${HOOK_EVENTS.join(', ')}` } : shape;
  const { name, run: [program = ''] } = v.parse(HOOK, table);
  if (before.some((each) => each.name === name)) return { path: [...path, 'name'], problem: 'stands there twice: a name has to say which command failed' };
  return program.startsWith('/') ? null : { path: [...path, 'run'], problem: 'must begin with the absolute path of a program' };
}

/** A path of the list holds the index of the table: hooks, 2, run. */
function faultError({ path, problem }: Fault, text: string, file: string): BrokerError {
  const [list = '', index = '', ...inner] = path;
  const position = index === '' ? positionOf(text, path) : positionInList(text, list, Number(index), inner);
  const at = position === null ? '' : `:${position.line}:${position.column}`;
  const key = inner.at(-1) ?? (index === '' ? list : '');
  const table = index === '' ? '' : `[[hooks]] number ${Number(index) + 1}`;
  return new BrokerError('config_invalid', `${file}${at}: ${key === '' ? table : `"${cleanText(key, 80)}"${table === '' ? '' : ` of ${table}`}`} ${problem}`, HINT);
}
