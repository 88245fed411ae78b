/** What the documents say of the code, held against the code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as library from '../../../client/index.ts';
import { OCSF } from '../../../client/audit/ocsf.ts';
import { VERBS } from '../../../client/verbs.ts';
import { appendTo, START } from '../../../daemon/audit/chain.ts';
import { DETECTORS } from '../../../daemon/audit/detector-rules.ts';
import { BUILD_VERSION } from '../../../shared/version.ts';
import { callerRecord } from '../../../daemon/audit/caller-record.ts';
import { someCaller } from '../../support/builders.ts';
import { run } from '../client/fake-world.ts';
import { anchorsOf, blocksOf, codeOf, readDocument, ROOT, rowsOf, sectionOf } from './markdown.ts';

const DECISIONS = readdirSync(`${ROOT}docs/decisions`).toSorted().map((file) => `docs/decisions/${file}`);
const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...readdirSync(`${ROOT}docs`).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`), ...DECISIONS];
const manifest = JSON.parse(readDocument('package.json')) as { readonly version: string; readonly engines: { readonly node: string }; readonly scripts: Readonly<Record<string, string>> };

function sourcesOf(folder: string): readonly (readonly [string, string])[] {
  return readdirSync(`${ROOT}${folder}`, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sourcesOf(path) : [[path, readFileSync(`${ROOT}${path}`, 'utf8')] as const];
  });
}

describe('links', () => {
  const links = DOCUMENTS.flatMap((file) => [...readDocument(file).replaceAll(/^```[^]*?^```$/gm, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => [file, target] as const))
    .filter(([, target]) => !/^https?:/.test(target));

  it('are there', () => {
    expect(links.length).toBeGreaterThan(50);
  });

  it.each(links)('of %s lead somewhere: %s', (file, target) => {
    const [path = '', anchor] = target.split('#');
    const found = path === '' ? file : normalize(join(dirname(file), path));
    expect(existsSync(`${ROOT}${found}`), found).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(readDocument(found))).toContain(anchor);
  });
});

describe('README.md', () => {
  const text = readDocument('README.md');

  it('begins with two commands that exist, and the version of Node that they need', () => {
    const commands = (blocksOf(text)[0]?.text ?? '').trim().split('\n').map((line) => line.replace(/ {2,}#.*/, ''));
    expect(commands).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    expect(manifest.scripts).toMatchObject({ demo: expect.any(String), test: expect.any(String), build: expect.any(String) });
    expect(text).toContain(`Node ${manifest.engines.node.replace('>=', '>= ')},`);
  });

  it('imports from the library what it exports', () => {
    const names = blocksOf(text).filter(({ language }) => language === 'ts').flatMap(({ text: code }) => [...code.matchAll(/import \{ ([^}]+) \} from 'valetkey\/client'/g)].flatMap(([, list = '']) => list.split(', ')));
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) expect(library).toHaveProperty(name);
  });

  it('leads to every decision record', () => {
    for (const file of DECISIONS) expect(text).toContain(`(${file})`);
  });
});

describe('commands of valetkey', () => {
  const words = DOCUMENTS.flatMap((file) => {
    const text = readDocument(file);
    const code = [...blocksOf(text).filter(({ language }) => language === 'sh').map((block) => block.text), ...[...text.matchAll(/`(valetkey [^`]+)`/g)].map(([, inline = '']) => inline)];
    return code.flatMap((each) => [...each.replaceAll(/ +#.*$/gm, '').matchAll(/\bvaletkey ([a-z][^\n|<)";]*)/g)].map(([, command = '']) => [command.trim(), file] as const));
  });
  const commands = [...new Map(words)];

  async function helpOf(argv: readonly string[]): Promise<string> {
    return (await run([...argv, '--help'])).stdout;
  }

  it('are there', () => {
    expect(commands.length).toBeGreaterThan(15);
  });

  it.each(commands)('exist with their flags: valetkey %s (%s)', async (command) => {
    const [verb = '', sub = ''] = command.split(/\s+/);
    if (verb === 'help') return;
    expect(VERBS.map(({ name }) => name)).toContain(verb);
    const nested = ['profile', 'daemon', 'policy', 'audit', 'workload', 'service', 'credential', 'mcp'].includes(verb) && /^[a-z]+$/.test(sub) ? [sub] : [];
    if (nested.length > 0) expect(await helpOf([verb])).toMatch(new RegExp(`^ {2}${sub}\\b`, 'm'));
    const help = await helpOf([verb, ...nested]);
    for (const [flag] of command.matchAll(/--[a-z-]+/g)) expect(help, flag).toMatch(new RegExp(`(^|\\s)${flag}\\b`));
  });
});

describe('docs/architecture.md', () => {
  const text = readDocument('docs/architecture.md');

  it('has every folder of the product, and no other', () => {
    const daemon = readdirSync(`${ROOT}daemon`, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => `daemon/${name}/`);
    expect(rowsOf(sectionOf(text, 'Folders')).map(([cell]) => codeOf(cell)).toSorted()).toEqual(['shared/', 'client/', 'demo/', ...daemon].toSorted());
  });

  it('has every invariant that the code names, at its place, and no other', () => {
    const named = sourcesOf('daemon').flatMap(([file, source]) => [...source.matchAll(/^ \* +([IVAFLPQW]\d+) /gm)].map(([, id = '']) => `${id} ${file}`));
    const stated = rowsOf(sectionOf(text, 'Invariants')).map(([id, , where]) => `${id} ${codeOf(where)}`);
    expect(stated.toSorted()).toEqual(named.toSorted());
  });
});

describe('docs/audit.md', () => {
  const text = readDocument('docs/audit.md');
  const rows = rowsOf(sectionOf(text, 'A record')).filter(([key]) => codeOf(key) !== '');

  it('has every key of a record, in its order', () => {
    const { line } = appendTo(START, { event: 'locked', profile: null, caller: null, request: null, facts: {} }, 0);
    const keys = Object.keys(JSON.parse(line) as object);
    expect(rows.map(([key]) => codeOf(key))).toEqual(keys);
  });

  it('has every fact of a caller', () => {
    expect([...(rows.find(([key]) => codeOf(key) === 'caller')?.[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(Object.keys(callerRecord(someCaller())));
  });

  it('has every event', () => {
    const source = readFileSync(`${ROOT}daemon/core/audit-port.ts`, 'utf8');
    const union = /export type AuditEvent = \{\n {2}readonly event:\n([^]*?);/.exec(source)?.[1] ?? '';
    const own = /export type OwnEvent = \{\n {2}readonly event: ([^;]*);/.exec(readFileSync(`${ROOT}daemon/audit/chain.ts`, 'utf8'))?.[1] ?? '';
    const events = [...`${union}${own}`.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
    expect(events.length).toBeGreaterThan(20);
    const stated = rowsOf(sectionOf(text, 'What is recorded')).map(([event]) => codeOf(event)).filter((event) => event !== '');
    expect(stated.toSorted()).toEqual(events.toSorted());
  });

  it('has every detector, and every event of the export', () => {
    const detectors = rowsOf(sectionOf(text, 'Detectors')).map(([name]) => codeOf(name)).filter((name) => name !== '');
    expect(detectors).toEqual(DETECTORS.map(({ name }) => name));
    const exported = rowsOf(sectionOf(text, 'Export')).filter(([, to]) => /\(\d+\)$/.test(to ?? '')).flatMap(([events = '', to = '']) => [...events.matchAll(/`(\w+)`/g)].map(([, event]) => `${event} ${to}`));
    expect(exported.toSorted()).toEqual(Object.entries(OCSF).map(([event, { class: of }]) => `${event} ${of.name} (${of.uid})`).toSorted());
  });
});

describe('the small ones', () => {
  it('glossary: one line a word, in order', () => {
    const words = rowsOf(readDocument('docs/glossary.md')).map(([word = '', meaning = '']) => {
      expect(meaning, word).toMatch(/\.$/);
      return word.replaceAll('*', '');
    });
    expect(words).toEqual([...new Set(words)].toSorted());
    expect(words.length).toBeGreaterThan(20);
  });

  it('changes: the newest is this version', () => {
    expect(/^## (\S+)/m.exec(readDocument('CHANGELOG.md'))?.[1]).toBe(BUILD_VERSION);
    expect(manifest.version).toBe(BUILD_VERSION);
  });

  it.each(DECISIONS.map((file, index) => [file, index + 1] as const))('%s is number %i and says what it has to', (file, number) => {
    const text = readDocument(file);
    expect(file).toContain(`/${String(number).padStart(4, '0')}-`);
    expect(text).toMatch(new RegExp(`^# ${number}\\. `));
    for (const part of ['**Context.**', '**Choice.**', '**Not chosen.**', '**Look again**']) expect(text, part).toContain(`\n${part}`);
    expect(text.split('\n').length).toBeLessThan(35);
  });
});
