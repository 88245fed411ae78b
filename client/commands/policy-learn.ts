/**
 * From the audit log to rules: for each program and profile what it was given, and no more. It is a proposal for
 * a person to read: what was used is not always what should be.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { interpreterKind } from '../../shared/interpreters.ts';
import { cleanText } from '../clean-text.ts';
import type { CommandContext } from '../command.ts';
import { readText } from '../read-text.ts';
import { ValetkeyError } from '../valetkey-error.ts';

/** `flow` and `unit`: of a workload's tokens, and of the service that took them; null: they decide nothing. */
type Use = { readonly executable: string; readonly script: string | null; readonly kind: string | null; readonly unit: string | null; readonly flow: 'client_credentials' | null; readonly profile: string; readonly scopes: Set<string>; readonly resources: Set<string>; hasNoResource: boolean; times: number };

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []);

function parseRecord(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isTable(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null; // a line that a crash tore
    throw error;
  }
}

/** Rules do not tell a fetch from a token. */
const isRelease = (event: unknown): boolean => event === 'token_released' || event === 'workload_token_released' || event === 'fetch_started';

/** A service is the same tomorrow; a scope and a transient unit are named anew each time. */
function lastingUnit(unit: string | null): string | null {
  return unit !== null && unit.endsWith('.service') && !unit.startsWith('run-') && !unit.includes('@') ? unit : null;
}

/** What the releases of tokens in these lines say of who used what. */
export function usesIn(lines: Iterable<string>): { readonly uses: readonly Use[]; readonly unknown: number } {
  const uses = new Map<string, Use>();
  let unknown = 0;
  for (const line of lines) {
    const record = /(?:token_released|fetch_started)"/.test(line) ? parseRecord(line) : null;
    if (record === null || !isRelease(record['event']) || !isTable(record['caller']) || !isTable(record['facts'])) continue;
    const { caller, facts } = record;
    const origin = isTable(caller['origin']) ? caller['origin'] : null;
    const program = origin !== null && isTable(origin['program']) ? origin['program'] : caller;
    const [executable, script, profile] = [textOf(program['executable']), textOf(program['script']), textOf(record['profile'])];
    if (executable === null || profile === null) {
      unknown += 1;
      continue;
    }
    const kind = origin === null ? null : textOf(origin['class']);
    // Nobody signed in behind a workload's token, and a rule that fits it must fit no person's.
    const flow = record['event'] === 'workload_token_released' ? 'client_credentials' : null;
    const unit = kind === 'workload' && origin !== null ? lastingUnit(textOf(origin['unit'])) : null;
    const key = JSON.stringify([executable, script, kind, unit, flow, profile]);
    const use = uses.get(key) ?? { executable, script, kind, unit, flow, profile, scopes: new Set(), resources: new Set(), hasNoResource: false, times: 0 };
    uses.set(key, use);
    for (const scope of textsOf(facts['scopes'])) use.scopes.add(scope);
    const resource = textOf(facts['resource']);
    if (resource === null) use.hasNoResource = true;
    else use.resources.add(resource);
    use.times += 1 + (typeof facts['more_since_last'] === 'number' ? facts['more_since_last'] : 0);
  }
  return { uses: [...uses.values()].toSorted((a, b) => b.times - a.times), unknown };
}

/**
 * Patterns have no way to write a star that is only a star: such a name would let more in than was used. None fits a
 * script behind `..`. And what cannot be seen (control and direction marks) nobody can read before they trust it.
 */
function isPlain({ executable, script, unit, scopes, resources }: Use): boolean {
  return script?.includes('/../') !== true && ![executable, script ?? '', unit ?? '', ...scopes, ...resources].some((text) => text.includes('*') || cleanText(text, text.length + 1) !== text);
}

/** Its code was in no file (`python -c`, a pipe): a rule for the interpreter would be one for whatever it may run. */
const isAnyCode = ({ executable, script }: Use): boolean => script === null && interpreterKind(executable) !== null;

function ruleOf({ executable, script, kind, unit, flow, profile, scopes, resources, hasNoResource }: Use, index: number): Readonly<Record<string, unknown>> {
  const base = (script ?? executable).split('/').at(-1) ?? 'program';
  const name = `${base.toLowerCase().replaceAll(/[^a-z0-9._-]/g, '-').replace(/^[^a-z0-9]+/, '').slice(0, 30) || 'program'}-${profile.slice(0, 20)}-${index + 1}`;
  return {
    name, decide: 'allow',
    when: { executable, ...(script === null ? {} : { script }), ...(kind === null ? {} : { class: kind }), ...(unit === null ? {} : { unit }), profile, ...(flow === null ? {} : { flow }) },
    ...(scopes.size === 0 && (hasNoResource || resources.size === 0) ? {} : {
      ceiling: { ...(scopes.size === 0 ? {} : { scopes: [...scopes].toSorted() }), ...(hasNoResource || resources.size === 0 ? {} : { resource: [...resources].toSorted() }) },
    }),
  };
}

export async function learnPolicy({ terminal, paths }: CommandContext): Promise<void> {
  const files = await readdir(paths.auditDir).catch(() => []);
  const lines: string[] = [];
  for (const file of files.filter((name) => /^audit.*\.jsonl$/.test(name)).toSorted()) lines.push(...(await readText(join(paths.auditDir, file))).split('\n'));
  const { uses, unknown } = usesIn(lines);
  const told = uses.filter((use) => !isAnyCode(use));
  const plain = told.filter(isPlain);
  const anyCode = uses.filter(isAnyCode);
  if (anyCode.length > 0) terminal.note(`Left out: ${anyCode.reduce((sum, { times }) => sum + times, 0)} releases to interpreters that ran no file (${[...new Set(anyCode.map(({ executable }) => cleanText(executable, 200)))].join(', ')}): a rule for one would let out whatever it runs. Give them a script.`);
  if (plain.length === 0) throw ValetkeyError.local('not_found', `no release of a token to a known program stands in ${paths.auditDir}`, { hint: 'Use tokens for some days, then run: valetkey policy learn' });
  const rules = plain.map(ruleOf);
  if (terminal.json) {
    terminal.document({ v: 1, rules, left_out: unknown + uses.length - plain.length });
    return;
  }
  terminal.raw(`# Proposed from what was used; read it before you trust it. What no rule fits goes on to the policy that ships;\n`
    + `# to refuse it, put at the end: [[rules]] name = "everything-else", decide = "deny"\n\n${stringify({ v: 1, rules })}`);
  if (unknown > 0 || plain.length < told.length) terminal.note(`Left out: ${unknown} releases to programs that could not be told, and ${told.length - plain.length} that no pattern can name (a *, .. or a control character in a path or scope).`);
}
