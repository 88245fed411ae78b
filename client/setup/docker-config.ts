/** `credHelpers` of ~/.docker/config.json and of podman's auth.json: which helper is asked about a registry. */
import { conflict } from './edit.ts';

type Config = Readonly<Record<string, unknown>>;

const isTable = (value: unknown): value is Config => typeof value === 'object' && value !== null && !Array.isArray(value);

function read(path: string, text: string): { readonly config: Config; readonly helpers: Config } {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw conflict(`${path} is no JSON`, 'Mend it first: the tool cannot read it either');
  }
  const helpers = isTable(config) ? config['credHelpers'] ?? {} : null;
  if (!isTable(config) || !isTable(helpers)) throw conflict(`${path} is not as docker writes it`, 'Mend it first');
  return { config, helpers };
}

/** As it was indented, and ended. */
function write(before: string, config: Config): string {
  const indent = /^\{\s*?\n([\t ]+)"/.exec(before)?.[1] ?? '\t';
  return `${JSON.stringify(config, null, indent)}${before.endsWith('\n') ? '\n' : ''}`;
}

/** @throws ValetkeyError setup_conflict where another helper is asked about the registry */
export function withHelper(path: string, before: string | null, registry: string, helper: string): string {
  const text = before === null || before.trim() === '' ? '{}\n' : before;
  const { config, helpers } = read(path, text);
  const other = helpers[registry];
  if (other === helper && before !== null) return before;
  if (other !== undefined && other !== helper) throw conflict(`${path} asks docker-credential-${String(other)} about ${registry}`, 'If that is to end, take the line out of it, and run the same command again');
  return write(text, { ...config, credHelpers: { ...helpers, [registry]: helper } });
}

/** Null where nothing else is left. `registry` null: all that ask this helper. */
export function withoutHelper(path: string, before: string | null, registry: string | null, helper: string): string | null {
  if (before === null || before.trim() === '') return before;
  const { config, helpers } = read(path, before);
  const left = Object.entries(helpers).filter(([host, each]) => each !== helper || (registry !== null && host !== registry));
  if (left.length === Object.keys(helpers).length) return before;
  const { credHelpers: _, ...others } = config;
  if (left.length === 0 && Object.keys(others).length === 0) return null;
  return write(before, left.length === 0 ? others : { ...config, credHelpers: Object.fromEntries(left) });
}
