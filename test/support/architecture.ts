/**
 * The rules of the layout as data, and the checks that apply them to a set of source files. Pure: the test
 * runs them on the real tree and on trees with one planted breach.
 */
import { posix } from 'node:path';
import { builtinModules } from 'node:module';
import { readImports, tokenize } from './source-scan.ts';
import type { Token } from './source-scan.ts';

/** Path from the repository root -> text. */
export type Sources = ReadonlyMap<string, string>;
export type Breach = { readonly file: string; readonly line: number; readonly what: string; readonly why: string };

const DAEMON_ADAPTERS = ['issuer', 'vault', 'audit', 'loopback', 'platform', 'config', 'callers', 'desktop', 'federation', 'hooks'];

type ImportRule = { readonly from: string; readonly may: readonly string[]; readonly why: string };

/** The first rule whose `from` is a prefix of the file holds. `may` lists prefixes of what it may import, besides its own folder. */
export const IMPORT_RULES: readonly ImportRule[] = [
  { from: 'shared/', may: [], why: 'the wire contract depends on nobody, so that both ends can depend on it' },
  { from: 'client/', may: ['shared/'], why: 'a client is thin: it loads nothing of the daemon and could not hold its secrets' },
  { from: 'daemon/core/', may: ['shared/'], why: 'the domain and its ports know no adapter, so adapters can be replaced' },
  { from: 'daemon/policy/', may: ['daemon/core/', 'shared/'], why: 'decisions are pure and replay from their recorded input' },
  { from: 'daemon/tokens/', may: ['daemon/core/', 'daemon/policy/', 'shared/'], why: 'the engine sees ports, never adapters' },
  { from: 'daemon/flows/', may: ['daemon/core/', 'daemon/policy/', 'daemon/tokens/', 'shared/'], why: 'flows see ports, never adapters' },
  { from: 'daemon/workloads/', may: ['daemon/core/', 'daemon/tokens/', 'shared/'], why: 'what gets tokens in its own name knows no sign-in, and sees ports, never adapters' },
  { from: 'daemon/notices/', may: ['daemon/core/', 'shared/'], why: 'what tells people and their commands of events sees ports, and decides nothing' },
  { from: 'daemon/approvals/', may: ['daemon/core/', 'shared/'], why: 'who may say yes is decided from facts alone' },
  { from: 'daemon/ipc/', may: ['daemon/approvals/', 'daemon/core/', 'daemon/policy/', 'daemon/tokens/', 'daemon/flows/', 'daemon/workloads/', 'shared/'], why: 'the door imports no adapter, so that it could be put back in an afternoon' },
  ...DAEMON_ADAPTERS.map((name) => ({ from: `daemon/${name}/`, may: ['daemon/core/', 'shared/'], why: 'adapters never import each other: each can be replaced alone' })),
  // The composition root and what belongs to it: daemon.ts, edges.ts, main.ts, log.ts and their parts beside them.
  { from: 'daemon/', may: ['daemon/', 'shared/'], why: 'the daemon imports no client' },
];

/** What files right under daemon/ may import of the adapters; those that are not named, nothing. */
const ROOT_SEES: Readonly<Record<string, readonly string[]>> = {
  'daemon/daemon.ts': DAEMON_ADAPTERS.map((name) => `daemon/${name}/`),
  'daemon/edges.ts': DAEMON_ADAPTERS.map((name) => `daemon/${name}/`),
  // What has to be settled before anything else is loaded: signals, hardening, the one daemon's lock.
  'daemon/main.ts': ['daemon/platform/'],
  'daemon/claim.ts': ['daemon/platform/'],
};

type PackageRule = { readonly name: string; readonly importers: readonly string[]; readonly onlyOneFile?: boolean; readonly why: string };

export const PACKAGE_RULES: readonly PackageRule[] = [
  { name: 'openid-client', importers: ['daemon/issuer/'], why: 'one place speaks OAuth, and one table translates its errors' },
  { name: 'jose', importers: ['daemon/issuer/', 'daemon/vault/'], why: 'tokens are checked in one place and files sealed in another' },
  { name: '@napi-rs/keyring', importers: ['daemon/vault/'], onlyOneFile: true, why: 'the keychain can be replaced by another in an afternoon' },
  ...['koffi', ...['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'].map((machine) => `@koromix/koffi-${machine}`)]
    .map((name) => ({ name, importers: ['daemon/platform/'], why: 'native calls stay in one folder' })),
  { name: 'fastify', importers: ['daemon/ipc/'], why: 'the transport stays in one folder' },
  { name: 'pino', importers: ['daemon/log.ts'], why: 'everybody else sees the Log port' },
  { name: 'valibot', importers: ['shared/', 'daemon/ipc/', 'daemon/config/'], why: 'input is parsed at the edges only' },
  { name: '@valibot/to-json-schema', importers: ['daemon/ipc/'], why: 'openapi.json is made in one place' },
  { name: 'smol-toml', importers: ['daemon/config/', 'client/'], why: 'TOML is read at the edges only' },
  { name: 'commander', importers: ['client/'], why: 'only the CLI has a command line to speak of' },
  { name: '@modelcontextprotocol/client', importers: ['client/adapters/'], onlyOneFile: true, why: 'one adapter speaks MCP, and nobody else pays for it' },
  { name: '@modelcontextprotocol/server', importers: ['client/adapters/'], onlyOneFile: true, why: 'the same, of the other end' },
  { name: 'uqr', importers: ['client/'], why: 'only the CLI draws' },
  { name: 'open', importers: ['client/'], onlyOneFile: true, why: 'the asking client opens the browser, in one place' },
];

/** May use the real clock, randomness, environment, network and timers. */
const REAL_WORLD = ['daemon/edges.ts', 'daemon/main.ts', 'daemon/platform/'];

/** Uses of the real world elsewhere, each with its reason. The test fails on one that is no longer needed. */
export const EXCEPTIONS: readonly { readonly file: string; readonly what: string; readonly why: string }[] = [
  { file: 'daemon/vault/keychain.ts', what: 'performance.now', why: 'runs inside the worker, where no port reaches, and tells a keychain that is absent from one that is frozen' },
];

/** `.reveal()` is the only way out of a Secret. */
const REVEALERS = ['daemon/issuer/', 'daemon/vault/', 'daemon/ipc/encode.ts', 'daemon/core/secret.ts'];

export const LINES_MAX = 300;

const PRODUCT = ['shared/', 'client/', 'daemon/'];

const isIn = (file: string, places: readonly string[]): boolean => places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place));

export function isProduct(file: string): boolean {
  return isIn(file, PRODUCT);
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier);
}

function mayImport(file: string, target: string): { readonly allowed: boolean; readonly why: string } {
  const rule = IMPORT_RULES.find(({ from }) => file.startsWith(from));
  if (rule === undefined) return { allowed: false, why: 'product code lives in shared/, client/ and daemon/' };
  if (rule.from === 'daemon/' && isIn(target, DAEMON_ADAPTERS.map((name) => `daemon/${name}/`))) {
    return { allowed: isIn(target, ROOT_SEES[file] ?? []), why: 'only daemon.ts and edges.ts see all adapters; what runs before them sees platform' };
  }
  // Nothing but the root composes: no folder reaches up to it.
  if (rule.from !== 'daemon/' && /^daemon\/[^/]+\.ts$/.test(target)) return { allowed: false, why: 'no folder imports the composition root' };
  return { allowed: target.startsWith(rule.from) || isIn(target, rule.may), why: rule.why };
}

function importBreaches(file: string, tokens: readonly Token[]): readonly Breach[] {
  return readImports(tokens).flatMap(({ how, specifier, line }): Breach[] => {
    const breach = (what: string, why: string): Breach[] => [{ file, line, what, why }];
    if (specifier === null) return breach(`${how} of something computed`, 'what is loaded can be read from the source');
    if (isBuiltin(specifier)) {
      if (!specifier.startsWith('node:')) return breach(`${how} of ${specifier}`, 'built-in modules carry the prefix node:');
      const real = ['node:process', 'node:timers'].includes(specifier) && file.startsWith('daemon/') && !isIn(file, REAL_WORLD);
      return real ? breach(`${how} of ${specifier}`, 'clock, timers and environment come through ports') : [];
    }
    if (specifier.startsWith('.')) {
      const target = posix.normalize(posix.join(posix.dirname(file), specifier));
      if (!target.endsWith('.ts') && !target.endsWith('.json')) return breach(`${how} of ${specifier}`, 'imports name the file with its extension');
      const { allowed, why } = mayImport(file, target);
      return allowed ? [] : breach(`${how} of ${target}`, why);
    }
    const name = packageOf(specifier);
    const rule = PACKAGE_RULES.find((each) => each.name === name);
    if (rule === undefined) return breach(`${how} of ${specifier}`, 'a new package needs a decision record and a line in this table');
    return isIn(file, rule.importers) ? [] : breach(`${how} of ${specifier}`, rule.why);
  });
}

/** Names that are no words of the language: whoever writes one means the package, by whatever means it is loaded. */
const TELLING = [...PACKAGE_RULES.filter(({ name }) => name !== 'open'), ...['node-ipc', 'keytar'].map((name) => ({ name, importers: [], why: 'see docs/decisions' }))];

/** Packages that a file names in a literal, also outside of an import: createRequire(here)('koffi'). */
function namedPackages(tokens: readonly Token[]): readonly { readonly name: string; readonly line: number }[] {
  return tokens.filter(({ kind, text }) => kind === 'string' && TELLING.some(({ name }) => text === name || text.startsWith(`${name}/`))).map(({ text, line }) => ({ name: packageOf(text), line }));
}

function namingBreaches(file: string, tokens: readonly Token[]): readonly Breach[] {
  return namedPackages(tokens).flatMap(({ name, line }) => {
    const rule = TELLING.find((each) => each.name === name);
    return rule === undefined || isIn(file, rule.importers) ? [] : [{ file, line, what: `the name ${name}`, why: rule.why }];
  });
}

type Look = (offset: number) => string | null;

/** Names that reach past the ports. */
const WORLD: readonly { readonly what: string; readonly found: (look: Look, bound: ReadonlySet<string>) => boolean }[] = [
  { what: 'Date.now', found: (look) => look(0) === 'Date' && look(1) === '.' && look(2) === 'now' },
  { what: 'new Date()', found: (look) => look(0) === 'new' && look(1) === 'Date' && (look(2) !== '(' || look(3) === ')') },
  { what: 'Math.random', found: (look) => look(0) === 'Math' && look(1) === '.' && look(2) === 'random' },
  { what: 'performance.now', found: (look) => look(0) === 'performance' && look(1) === '.' },
  { what: 'process.env', found: (look) => look(0) === 'process' && look(1) === '.' && look(2) === 'env' },
  { what: 'process.hrtime', found: (look) => look(0) === 'process' && look(1) === '.' && look(2) === 'hrtime' },
  ...['fetch', 'setTimeout', 'setInterval'].map((name) => ({
    what: `global ${name}`,
    // A member (x.fetch), a key (fetch:), a method (async fetch()) or a name that the file itself binds is not the global one.
    found: (look: Look, bound: ReadonlySet<string>) =>
      look(0) === name && !bound.has(name) && (look(-1) !== '.' || look(-2) === 'globalThis') && look(-1) !== '?.' && look(-1) !== 'async' && look(1) !== ':' && look(1) !== '?',
  })),
];

/** Names that the file imports, declares, destructures or takes as a parameter. */
function boundNames(tokens: readonly Token[]): ReadonlySet<string> {
  const names = new Set<string>();
  tokens.forEach((token, i) => {
    if (token.kind !== 'word') return;
    const text = (offset: number): string => tokens[i + offset]?.text ?? '';
    if (['const', 'let', 'function', 'as'].includes(text(-1))) names.add(token.text);
    if (['(', ','].includes(text(-1)) && text(1) === ':' && /^[A-Z]/.test(text(2))) names.add(token.text);
    if (['const', 'let'].includes(token.text) && text(1) === '{') {
      for (let j = i + 2; j < tokens.length && tokens[j]?.text !== '}'; j++) if (tokens[j + 1]?.text !== ':') names.add(tokens[j]?.text ?? '');
    }
    if (token.text === 'import' && text(1) !== '(') {
      for (let j = i + 1; j < tokens.length && tokens[j]?.kind !== 'string'; j++) if (tokens[j + 1]?.text !== 'as') names.add(tokens[j]?.text ?? '');
    }
  });
  return names;
}

/** Import statements say what a file may use; they are not a use. */
function withoutImports(tokens: readonly Token[]): readonly Token[] {
  let inside = false;
  return tokens.filter((token, i) => {
    if (token.kind === 'word' && token.text === 'import' && tokens[i + 1]?.text !== '(' && tokens[i + 1]?.text !== '.') inside = true;
    const kept = !inside;
    if (token.kind === 'string') inside = false;
    return kept;
  });
}

function usageBreaches(file: string, tokens: readonly Token[]): readonly Breach[] {
  const bound = boundNames(tokens);
  const code = withoutImports(tokens);
  return code.flatMap((token, i): Breach[] => {
    const look: Look = (offset) => {
      const near = code[i + offset];
      return near === undefined || near.kind === 'string' || near.kind === 'template' ? null : near.text;
    };
    const breach = (what: string, why: string): Breach => ({ file, line: token.line, what, why });
    const found: Breach[] = [];
    if (file.startsWith('daemon/') && !isIn(file, REAL_WORLD) && token.kind === 'word') {
      for (const each of WORLD) if (each.found(look, bound) && !EXCEPTIONS.some((e) => e.file === file && e.what === each.what)) found.push(breach(each.what, 'clock, randomness, environment, network and timers come through ports, so that tests can hold them'));
    }
    if (token.text === 'reveal' && token.kind !== 'regex' && !isIn(file, REVEALERS)) found.push(breach('reveal', 'secrets become text in issuer/, vault/ and ipc/encode.ts only'));
    return found;
  });
}

/** The literal that a parameter is set to: `name: 'x'`, `name = 'x'`, `('name', 'x')`, `['name', 'x']`. */
function valueAfter(tokens: readonly Token[], i: number): string | null {
  const [sign, value, end] = tokens.slice(i + 1, i + 4);
  if (value === undefined || (value.kind !== 'string' && value.kind !== 'template')) return null;
  return sign?.text === ':' || sign?.text === '=' || (sign?.text === ',' && ['(', '['].includes(tokens[i - 1]?.text ?? '') && [')', ']'].includes(end?.text ?? '')) ? value.text : null;
}

/** Values of OAuth that must not be in the source at all. */
function protocolBreaches(file: string, tokens: readonly Token[]): readonly Breach[] {
  return tokens.flatMap((token, i): Breach[] => {
    const breach = (what: string, why: string): Breach[] => [{ file, line: token.line, what, why }];
    const quoted = token.kind === 'string' || token.kind === 'template';
    if (quoted && token.text.includes('urn:ietf:wg:oauth:2.0:oob')) return breach('out-of-band redirect', 'no code is ever pasted (AZ-11)');
    if (quoted && token.text === 'plain') return breach('the challenge method plain', 'S256 is the only one (AZ-01)');
    if (token.text === 'response_type') {
      const value = valueAfter(tokens, i);
      if (value !== null && value !== 'code') return breach(`response_type ${value}`, 'code is the only response type (AZ-07)');
    }
    if (quoted && /response_type=(?!code(?:&|$))/.test(token.text)) return breach(token.text, 'code is the only response type (AZ-07)');
    if (token.text === 'grant_type' && ['password', 'implicit'].includes(valueAfter(tokens, i) ?? '')) {
      return breach(`grant_type ${valueAfter(tokens, i)}`, 'the password grant is not implemented (AZ-07)');
    }
    return [];
  });
}

/** What a file uses of the real world; for the test of EXCEPTIONS. */
export function usesOfWorld(text: string): readonly string[] {
  const tokens = tokenize(text);
  return usageBreaches('daemon/flows/unlisted.ts', tokens).map(({ what }) => what);
}

export function findBreaches(sources: Sources): readonly Breach[] {
  const importersOf = new Map<string, Set<string>>();
  const breaches = [...sources].filter(([file]) => isProduct(file)).flatMap(([file, text]): readonly Breach[] => {
    const tokens = tokenize(text);
    const imported = readImports(tokens).flatMap(({ specifier }) => (specifier === null ? [] : packageOf(specifier)));
    for (const name of [...imported, ...namedPackages(tokens).map((each) => each.name)]) importersOf.set(name, (importersOf.get(name) ?? new Set()).add(file));
    const lines = text.replace(/\n$/, '').split('\n').length;
    const long = lines > LINES_MAX ? [{ file, line: lines, what: `${lines} lines`, why: `a file of more than ${LINES_MAX} lines does more than one thing` }] : [];
    const reported = importBreaches(file, tokens);
    // One breach is one line of the report: what an import already told is not told again.
    const named = namingBreaches(file, tokens).filter(({ line }) => !reported.some((each) => each.line === line));
    return [...reported, ...named, ...usageBreaches(file, tokens), ...protocolBreaches(file, tokens), ...long];
  });
  const crowded = PACKAGE_RULES.filter(({ name, onlyOneFile }) => onlyOneFile === true && (importersOf.get(name)?.size ?? 0) > 1)
    .map(({ name, why }) => ({ file: [...importersOf.get(name) ?? []].join(', '), line: 0, what: `several files import ${name}`, why }));
  return [...breaches, ...crowded];
}
