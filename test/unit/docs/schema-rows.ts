/** What a schema of the wire says, as rows of a table: key, type in words, whether it must be there. */
import { PROFILE_NAME, LOGIN_ID, SCOPE_TOKEN } from '../../../shared/names.ts';
import * as p from '../../../shared/profile-schemas.ts';
import * as s from '../../../shared/schemas.ts';
import * as w from '../../../shared/workload-schemas.ts';

export type SchemaRow = { readonly key: string; readonly type: string; readonly required: boolean };

type Action = { readonly type: string; readonly requirement?: unknown };
type Node = {
  readonly type: string;
  readonly pipe?: readonly (Node | Action)[];
  readonly entries?: Readonly<Record<string, Node>>;
  readonly wrapped?: Node;
  readonly item?: Node;
  readonly options?: readonly string[];
  readonly literal?: unknown;
  readonly getter?: (input: undefined) => Node;
};

/** Objects that the document describes once, under this heading. */
export const NAMED = new Map<unknown, string>([
  [s.loginView, 'Login'], [s.grantView, 'Grant'], [p.profileView, 'Profile'], [s.subjectView, 'Subject'],
  [w.workloadView, 'Workload'], [s.vaultView, 'Vault'], [s.consentChallenge, 'Challenge'],
]);

export function schemaRows(schema: unknown, prefix = ''): readonly SchemaRow[] {
  const { entries } = schema as Node;
  if (entries === undefined) throw new Error('only an object has keys');
  return Object.entries(entries).flatMap(([name, node]) => {
    const key = `${prefix}${name}`;
    const { inner, isArray } = innerOf(node);
    const row = { key, type: typeOf(node), required: node.type !== 'optional' };
    const isOpen = inner.entries !== undefined && !NAMED.has(inner) && inner !== (p.profileTable as unknown);
    return isOpen ? [row, ...schemaRows(inner, `${key}${isArray ? '[]' : ''}.`)] : [row];
  });
}

/** Through optional, nullable, lazy and array, down to what holds keys or is a value. */
function innerOf(node: Node): { readonly inner: Node; readonly isArray: boolean } {
  const below = node.wrapped ?? node.getter?.(undefined);
  if (below !== undefined) return innerOf(below);
  return node.item === undefined ? { inner: node, isArray: false } : { inner: innerOf(node.item).inner, isArray: true };
}

export function typeOf(node: Node): string {
  if (NAMED.has(node)) return `[${NAMED.get(node)}](#${NAMED.get(node)?.toLowerCase()})`;
  if (node === (p.profileTable as unknown)) return 'object';
  const actions = (node.pipe ?? []).slice(1) as readonly Action[];
  const limit = (type: string): unknown => actions.find((action) => action.type === type)?.requirement;
  switch (node.type) {
    case 'optional': return typeOf(node.wrapped as Node);
    case 'nullable': return `${typeOf(node.wrapped as Node)} or null`;
    case 'lazy': return typeOf((node.getter as (input: undefined) => Node)(undefined));
    case 'array': return `${typeOf(node.item as Node)} array${limit('max_length') === undefined ? '' : ` (max ${String(limit('max_length'))})`}`;
    case 'picklist': return (node.options ?? []).map((option) => `\`"${option}"\``).join(', ');
    case 'literal': return `\`${JSON.stringify(node.literal)}\``;
    case 'boolean': return 'boolean';
    case 'number': {
      const type = actions.some((action) => action.type === 'integer') ? 'integer' : 'number';
      return limit('max_value') === undefined ? type : `${type} (${String(limit('min_value'))} to ${String(limit('max_value'))})`;
    }
    case 'string': {
      const known = new Map<unknown, string>([[PROFILE_NAME, 'profile name'], [LOGIN_ID, 'id'], [SCOPE_TOKEN, 'scope']]).get(limit('regex'));
      if (known !== undefined) return known;
      if (actions.some((action) => action.type === 'check')) return 'URI';
      return limit('max_length') === undefined ? 'string' : `string (max ${String(limit('max_length'))})`;
    }
    case 'object': case 'strict_object': case 'record': return 'object';
    case 'unknown': return 'any';
    default: throw new Error(`a schema of the type ${node.type} has no words yet`);
  }
}
