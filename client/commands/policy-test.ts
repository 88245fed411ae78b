/** An admin's own regression test: a table of requests, each with the decision that is expected of the daemon. */
import { parse, TomlError } from 'smol-toml';
import type { PolicyExplainReply, PolicyExplainRequest } from '../../shared/policy-schemas.ts';
import { EXIT } from '../../shared/errors.ts';
import type { CommandContext } from '../command.ts';
import { readDraft } from '../policy-draft.ts';
import { readText } from '../read-text.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const EXPECTED = ['allow', 'confirm', 'deny'];

type Case = { readonly name: string; readonly expect: string; readonly rule: string | null; readonly request: PolicyExplainRequest };
type Result = { readonly name: string; readonly passed: boolean; readonly expected: string; readonly decision: string; readonly rule: string };

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseDocument(file: string, text: string): unknown {
  try {
    return file.endsWith('.json') ? JSON.parse(text) : parse(text);
  } catch (error) {
    if (error instanceof TomlError) throw ValetkeyError.local('bad_request', `${file}:${error.line}:${error.column}: ${(error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', '')}`);
    if (error instanceof SyntaxError) throw ValetkeyError.local('bad_request', `${file} is not valid JSON: ${error.message}`);
    throw error;
  }
}

/** The request itself is checked by the daemon, strictly. */
function caseOf(file: string, value: unknown, index: number): Case {
  const where = `${file}: [[cases]] number ${index + 1}`;
  if (!isTable(value)) throw ValetkeyError.local('bad_request', `${where} is not a table`);
  const { name, expect, rule, ...request } = value;
  if (typeof expect !== 'string' || !EXPECTED.includes(expect)) throw ValetkeyError.local('bad_request', `${where}: "expect" must be one of ${EXPECTED.join(', ')}`);
  if (rule !== undefined && typeof rule !== 'string') throw ValetkeyError.local('bad_request', `${where}: "rule" must be text such as "admin/no-agents"`);
  if (typeof request['profile'] !== 'string') throw ValetkeyError.local('bad_request', `${where}: "profile" is missing`);
  return { name: typeof name === 'string' ? name : `number ${index + 1}`, expect, rule: rule ?? null, request: { ...request, profile: request['profile'] } };
}

function casesOf(file: string, text: string): readonly Case[] {
  const document = parseDocument(file, text);
  const cases = isTable(document) ? document['cases'] : null;
  if (!isTable(document) || document['v'] !== 1) throw ValetkeyError.local('bad_request', `${file}: "v" must be 1`);
  const unknown = Object.keys(document).find((key) => !['v', 'cases'].includes(key));
  if (unknown !== undefined) throw ValetkeyError.local('bad_request', `${file}: "${unknown}" is not a key. Allowed: v, cases`);
  if (!Array.isArray(cases) || cases.length === 0) throw ValetkeyError.local('bad_request', `${file} has no [[cases]]`);
  return cases.map((each: unknown, index) => caseOf(file, each, index));
}

function resultOf({ name, expect, rule }: Case, reply: PolicyExplainReply): Result {
  return {
    name, decision: reply.decision, rule: reply.rule, expected: rule === null ? expect : `${expect} by ${rule}`,
    passed: reply.decision === expect && (rule === null || rule === reply.rule),
  };
}

export async function testPolicy(context: CommandContext, file: string, { draft, admin }: { readonly draft?: string; readonly admin?: true }): Promise<void> {
  const { terminal, daemon, signal } = context;
  const cases = casesOf(file, await readText(file));
  const instead = draft === undefined ? {} : { draft: await readDraft(draft, admin) };
  const results: Result[] = [];
  for (const each of cases) results.push(resultOf(each, await daemon.api.explainPolicy({ ...each.request, ...instead }, signal)));
  const failed = results.filter(({ passed }) => !passed);
  if (terminal.json) terminal.document({ cases: results, failed: failed.length });
  else {
    for (const { name, expected, decision, rule } of failed) terminal.line(`FAILED  ${name}: expected ${expected}, got ${decision} by ${rule}`);
    terminal.line(`${results.length - failed.length} of ${results.length} as expected`);
  }
  if (failed.length > 0) context.endWith(EXIT.denied);
}
