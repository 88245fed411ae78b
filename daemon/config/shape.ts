/**
 * Checks a table against its schema and says what is wrong in words of the file: which key, what it takes,
 * and for an unknown key the nearest known one and all that are allowed.
 */
import * as v from 'valibot';
import { cleanText } from '../core/text.ts';
import type { Fault } from './fault.ts';
import { didYouMean } from './did-you-mean.ts';

type TableSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;

/** Where people look for a place to put a secret: the answer is the same for each. */
const SECRET_KEYS = ['client_secret', 'secret', 'password', 'token', 'access_token', 'refresh_token', 'api_key'];

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** @param path - of the table itself; empty for the top level. */
export function unknownKey(table: Readonly<Record<string, unknown>>, allowed: readonly string[], path: readonly string[]): Fault | null {
  const key = Object.keys(table).find((name) => !allowed.includes(name));
  if (key === undefined) return null;
  if (SECRET_KEYS.includes(key)) {
    return {
      path: [...path, key],
      problem: 'is not a key: secrets do not belong in this file',
      hint: path[0] === 'workloads'
        ? `Take it out: a workload has a key of its own, made by: valetkey workload init ${path[1] ?? 'PROFILE'}`
        : 'Take it out, and run: valetkey profile add … --client-secret-stdin',
    };
  }
  return { path: [...path, key], problem: `is not a key${didYouMean(key, allowed)} Allowed: ${allowed.join(', ')}` };
}

export function shapeFault(schema: TableSchema, value: unknown, path: readonly string[]): Fault | null {
  if (!isTable(value)) return { path, problem: `must be a table, not ${kindOf(value)}` };
  const unknown = unknownKey(value, Object.keys(schema.entries), path);
  if (unknown !== null) return unknown;
  const [issue] = v.safeParse(schema, value).issues ?? [];
  if (issue === undefined) return null;
  const inside = issue.path ?? [];
  // Elements of an array have no key of their own: the array has.
  const element = inside.findIndex((item) => item.type === 'array');
  const keyed = element < 0 ? inside : inside.slice(0, element);
  return { path: [...path, ...keyed.map((item) => String(item.key))], problem: sentenceOf(issue) };
}

function sentenceOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'strict_object' && issue.input === undefined) return 'is missing';
  if (issue.kind === 'schema') {
    const wanted = issue.type === 'picklist' ? `one of ${(issue.expected ?? '').replace(/[()]/g, '').replaceAll(' | ', ', ')}` : nameOf(issue.type);
    return `must be ${wanted}, not ${kindOf(issue.input)}`;
  }
  switch (issue.type) {
    case 'integer': return 'must be a whole number';
    case 'min_value': return `must be at least ${limitOf(issue)}`;
    case 'max_value': return `must be at most ${limitOf(issue)}`;
    case 'min_length': return 'must not be empty';
    case 'max_length': return `must hold at most ${limitOf(issue)}`;
    // A schema that checks by pattern or function says what it takes.
    default: return `must be ${cleanText(issue.message)}`;
  }
}

const limitOf = (issue: v.BaseIssue<unknown>): string => (issue.expected ?? '').replace(/^[<>]=/, '');

function nameOf(type: string): string {
  return { string: 'text in quotes', number: 'a number', boolean: 'true or false', array: 'an array', record: 'a table', union: 'text in quotes, or an array of such texts' }[type] ?? type;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  switch (typeof value) {
    case 'string': return 'this text';
    case 'number': return 'a number';
    case 'boolean': return 'true or false';
    default: return 'a table';
  }
}
