/**
 * The text of a policy file as rules, or the first thing that is wrong with it, by line. A file that is not
 * wholly understood is not a policy: nothing of it counts.
 */
import { createHash } from 'node:crypto';
import { TomlError } from 'smol-toml';
import type { TomlTableWithoutBigInt } from 'smol-toml';
import * as v from 'valibot';
import { BrokerError } from '../../core/errors.ts';
import { NO_CEILING, NO_CONDITIONS } from '../../core/policy-rules.ts';
import type { Asking, Ceiling, Lift, PolicyDocument, Rule, Verdict, When } from '../../core/policy-rules.ts';
import { cleanText } from '../../core/text.ts';
import { isFault } from '../fault.ts';
import type { Fault } from '../fault.ts';
import { isTable, shapeFault, unknownKey } from '../shape.ts';
import { positionInList, positionOf } from '../statements.ts';
import { parseToml } from '../toml.ts';
import { ASSURANCE, CEILING, DEVICE, POLICY, POLICY_VERSION, RULE, SCOPES, SESSION, TIER, WHEN } from './schema.ts';

/** Throws BrokerError policy_invalid or file_too_new. */
export function parsePolicy(text: string, file: string, source: 'admin' | 'user'): PolicyDocument {
  const document = parseDocument(text, file);
  const parsed = documentOf(document, source);
  if (isFault(parsed)) throw faultError(parsed, text, file);
  return { source, file, digest: createHash('sha256').update(text).digest('hex'), ...parsed };
}

function parseDocument(text: string, file: string): TomlTableWithoutBigInt {
  let document;
  try {
    document = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const problem = cleanText((error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', ''));
    throw new BrokerError('policy_invalid', `${file}:${error.line}:${error.column}: ${problem}`);
  }
  if (typeof document['v'] === 'number' && document['v'] > POLICY_VERSION) {
    throw new BrokerError('file_too_new', `${file} has version ${document['v']}; this build reads version ${POLICY_VERSION}`);
  }
  return document;
}

/** A path of a list holds the index of the table: rules, 2, when, executable. */
function faultError({ path, problem }: Fault, text: string, file: string): BrokerError {
  const [list = '', index = '', ...inner] = path;
  const inList = /^\d+$/.test(index);
  const position = inList ? positionInList(text, list, Number(index), inner) : path.map((_, i) => positionOf(text, path.slice(0, path.length - i))).find((found) => found !== null) ?? null;
  const at = position === null ? '' : `:${position.line}:${position.column}`;
  const table = inList ? `[[${list}]] number ${Number(index) + 1}` : null;
  const key = inList ? inner.join('.') : path.at(-1) ?? '';
  const where = table === null ? (path.length > 1 ? ` in [${path.slice(0, -1).join('.')}]` : '') : ` of ${table}`;
  const what = key === '' ? table ?? 'the file' : `"${cleanText(key, 80)}"${where}`;
  return new BrokerError('policy_invalid', `${file}${at}: ${what} ${problem}`);
}

type Parsed = Pick<PolicyDocument, 'rules' | 'lifts' | 'device' | 'session' | 'assurance'>;

function documentOf(document: TomlTableWithoutBigInt, source: 'admin' | 'user'): Parsed | Fault {
  const unknown = unknownKey(document, Object.keys(POLICY.entries), []);
  if (unknown !== null) return unknown;
  if (document['v'] !== POLICY_VERSION) return { path: ['v'], problem: document['v'] === undefined ? `is missing: the file begins with v = ${POLICY_VERSION}` : `must be ${POLICY_VERSION}` };
  const device = document['device'] === undefined ? null : shapeFault(DEVICE, document['device'], ['device']);
  const session = document['session'] === undefined ? null : shapeFault(SESSION, document['session'], ['session']);
  const assurance = document['assurance'] === undefined ? null : shapeFault(ASSURANCE, document['assurance'], ['assurance']);
  const wrong = device ?? session ?? assurance ?? shapeFault(POLICY, document, []);
  if (wrong !== null) return wrong;
  const { rules = [], tiers = [], device: written = {}, session: asked = {}, assurance: words } = v.parse(POLICY, document);
  if (written.same_device !== undefined && source === 'user') return { path: ['device', 'same_device'], problem: 'can be said in the admin\'s file only' };
  if (words !== undefined && source === 'user') return { path: ['assurance'], problem: 'can be said in the admin\'s file only' };
  const madeRules = eachOf('rules', rules, ruleOf);
  if (isFault(madeRules)) return madeRules;
  const madeLifts = eachOf('tiers', tiers, liftOf);
  if (isFault(madeLifts)) return madeLifts;
  return {
    rules: madeRules, lifts: madeLifts,
    device: { issuers: written.issuers ?? null, sameDevice: written.same_device ?? false },
    session: { screenLock: asked.screen_lock ?? null, locksOnSuspend: asked.suspend !== undefined },
    assurance: { amr: words?.amr ?? null, phishingResistantAcr: words?.phishing_resistant_acr ?? [] },
  };
}

function eachOf<T extends { readonly name: string }>(list: string, tables: readonly unknown[], make: (table: unknown, path: readonly string[]) => T | Fault): readonly T[] | Fault {
  const made: T[] = [];
  for (const [index, table] of tables.entries()) {
    const path = [list, String(index)];
    const one = make(table, path);
    if (isFault(one)) return one;
    if (made.some(({ name }) => name === one.name)) return { path: [...path, 'name'], problem: 'stands there twice: a name has to say which rule decided' };
    made.push(one);
  }
  return made;
}

/** The tables inside first, so that an unknown key is told with the ones that there are. */
function nestedFault(table: unknown, path: readonly string[]): Fault | null {
  if (!isTable(table)) return null;
  const { when, ceiling } = table;
  if (isTable(when) && when['scopes'] !== undefined) {
    const fault = shapeFault(SCOPES, when['scopes'], [...path, 'when', 'scopes']);
    if (fault !== null) return fault;
  }
  return (when === undefined ? null : shapeFault(WHEN, when, [...path, 'when'])) ?? (ceiling === undefined ? null : shapeFault(CEILING, ceiling, [...path, 'ceiling']));
}

function ruleOf(table: unknown, path: readonly string[]): Rule | Fault {
  const unknown = isTable(table) ? unknownKey(table, Object.keys(RULE.entries), path) : null;
  const wrong = unknown ?? nestedFault(table, path) ?? shapeFault(RULE, table, path);
  if (wrong !== null) return wrong;
  const { name, when, decide, ask, ceiling, reason } = v.parse(RULE, table);
  if (decide === 'confirm' && ask === undefined) return { path: [...path, 'ask'], problem: 'is missing: decide = "confirm" takes "once", "each" or "for:1h"' };
  if (decide !== 'confirm' && ask !== undefined) return { path: [...path, 'ask'], problem: `means nothing where decide is "${decide}"` };
  if (decide === 'deny' && ceiling !== undefined) return { path: [...path, 'ceiling'], problem: 'means nothing where decide is "deny"' };
  return { name, when: whenOf(when ?? {}), verdict: verdictOf(decide, ask ?? 'once'), ceiling: ceilingOf(ceiling ?? {}), reason: reason ?? null };
}

function liftOf(table: unknown, path: readonly string[]): Lift | Fault {
  const unknown = isTable(table) ? unknownKey(table, Object.keys(TIER.entries), path) : null;
  const wrong = unknown ?? nestedFault(table, path) ?? shapeFault(TIER, table, path);
  if (wrong !== null) return wrong;
  const { name, tier, when } = v.parse(TIER, table);
  if (when?.tier !== undefined) return { path: [...path, 'when', 'tier'], problem: 'cannot be asked for by what gives the tier' };
  return { name, tier, when: whenOf(when ?? {}) };
}

function verdictOf(decide: 'allow' | 'confirm' | 'deny', ask: string): Verdict {
  return decide === 'confirm' ? { kind: 'confirm', ask: askingOf(ask) } : { kind: decide };
}

function askingOf(ask: string): Asking {
  if (ask === 'once' || ask === 'each') return { kind: ask };
  return { kind: 'for', seconds: secondsOf(ask.slice('for:'.length)) };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function secondsOf(duration: string): number {
  return Number(duration.slice(0, -1)) * (UNITS[duration.slice(-1)] ?? 1);
}

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] | null => (value === undefined ? null : Array.isArray(value) ? value : [value as T]); // a union of the schema
const secondsOrNull = (duration: string | undefined): number | null => (duration === undefined ? null : secondsOf(duration));

function whenOf(when: v.InferOutput<typeof WHEN>): When {
  const { scopes } = when;
  return {
    ...NO_CONDITIONS,
    executable: listOf(when.executable), script: listOf(when.script), digest: listOf(when.digest), ancestor: listOf(when.ancestor), unit: listOf(when.unit),
    terminal: when.terminal ?? null, container: when.container ?? null, forwarded: when.forwarded ?? null, remote: when.remote ?? null, orphan: when.orphan ?? null,
    class: listOf(when.class), agent: listOf(when.agent), profile: listOf(when.profile), issuer: listOf(when.issuer), tenant: listOf(when.tenant), resource: listOf(when.resource),
    scopes: scopes === undefined ? null : { any: anyScope(scopes.any), all: anyScope(scopes.all), none: anyScope(scopes.none) },
    flow: listOf(when.flow), use: listOf(when.use), signedInOverS: secondsOrNull(when.signed_in_over), signedInUnderS: secondsOrNull(when.signed_in_under), found: listOf(when.found), screenLocked: when.screen_locked ?? null, tier: when.tier ?? null,
  };
}

/** A scope is one word, also where it is a URL: a star stands for any run of characters in it. */
function anyScope(patterns: readonly string[] | undefined): readonly string[] | null {
  return patterns === undefined ? null : patterns.map((pattern) => pattern.replaceAll(/\*+/g, '**'));
}

function ceilingOf(ceiling: v.InferOutput<typeof CEILING>): Ceiling {
  if (Object.keys(ceiling).length === 0) return NO_CEILING;
  return {
    scopes: anyScope(ceiling.scopes), resources: listOf(ceiling.resource), maxRemainingS: secondsOrNull(ceiling.max_remaining), maxTokenLifeS: secondsOrNull(ceiling.max_token_life),
    flows: ceiling.flows ?? null, acr: ceiling.acr ?? null, amr: ceiling.amr ?? null, phishingResistant: ceiling.phishing_resistant ?? false,
    maxAgeS: secondsOrNull(ceiling.max_age), maxSessionS: secondsOrNull(ceiling.max_session), maxIdleS: secondsOrNull(ceiling.max_idle),
    managedDevice: ceiling.managed_device === true,
  };
}
