/** The manual pages, held against the CLI that they describe, and judged by the programs that show them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../../shared/errors.ts';
import { verbsOf, wholeProgram } from '../../support/program.ts';
import { readDocument, ROOT, sectionOf } from './markdown.ts';

type Builder = { manualOf(program: Command, edition: { readonly version: string; readonly date: string }): ReadonlyMap<string, string> };

let program: Command;
let pages: ReadonlyMap<string, string> = new Map();
const folder = mkdtempSync(join(tmpdir(), 'valetkey-manual-'));
beforeAll(async () => {
  program = await wholeProgram();
  const builder = await import(pathToFileURL(`${ROOT}scripts/build-manual.mjs`).href) as Builder;
  pages = builder.manualOf(program, { version: '1.2.3', date: '2026-11-23' });
  for (const [name, text] of pages) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a reader sees, without layout. */
function textOf(page: string): string {
  return (pages.get(page) ?? '').replace(/^\.(?:TP|nf|fi|PP|IP|in|br)\b.*\n/gm, '').replace(/\\f[BIP]/g, '').replaceAll('\\-', '-').replaceAll('\\(aq', '\'').replaceAll('\\(ti', '~').replaceAll('\\(ha', '^').replaceAll('\\(ga', '`')
    .replaceAll('\\(dq', '"').replaceAll('\\&', '').replace(/ ?\\e\n {4}/g, ' ').replaceAll('\\e', '\\').replaceAll(/\\\[u([0-9A-F]+)\]/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)));
}
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ');

describe('the page of a verb', () => {
  it('is there for each, and valetkey(1) leads to it', () => {
    const names = program.commands.map((verb) => verb.name());
    expect(names.length).toBeGreaterThan(20);
    expect([...pages.keys()].toSorted()).toEqual(['valetkey.1', 'valetkeyd.8', 'valetkey-config.5', 'valetkey-policy.5', ...names.map((name) => `valetkey-${name}.1`)].toSorted());
    for (const name of names) expect(textOf('valetkey.1')).toContain(`\nvaletkey-${name}(1)\n`);
  });

  it('is installed by npm: package.json lists it', () => {
    const { man } = JSON.parse(readDocument('package.json')) as { readonly man: readonly string[] };
    expect(man).toEqual([...pages.keys()].map((page) => `dist/man/${page}`).toSorted());
  });

  it('has every verb below it, every argument, flag and value, and every example', async () => {
    let counted = 0;
    for (const { words, command } of verbsOf(program).slice(1)) {
      const text = textOf(`valetkey-${words[0]}.1`);
      if (command.commands.length === 0) expect(text).toContain(`\nvaletkey ${words.join(' ')}`);
      for (const { description, name } of command.registeredArguments.map((each) => ({ description: each.description, name: each.name() }))) expect(text).toMatch(description === '' ? new RegExp(`^valetkey ${words.join(' ')}.* \\[?${name}\\]?$`, 'm') : new RegExp(`^${name}$`, 'm'));
      for (const { short, long, description, argChoices } of command.options.filter(({ hidden }) => !hidden)) {
        const flag = [short, long].flatMap((each) => each ?? []).join(', ');
        expect(text).toMatch(new RegExp(`^${flag}(?: \\[?[\\w=-]+\\]?)?$`, 'm'));
        expect(flat(text).toLowerCase()).toContain(flat(description).toLowerCase());
        if (argChoices !== undefined) expect(flat(text)).toContain(`One of ${argChoices.join(', ')}.`);
        counted += 1;
      }
      let help = '';
      command.configureOutput({ writeOut: (part) => { help += part; } }).outputHelp();
      for (const [, example = ''] of help.matchAll(/^ {2}\$ (.*)$/gm)) expect(flat(text)).toContain(flat(example.replace(/ {2,}#.*| \\$/g, '')));
    }
    expect(counted).toBeGreaterThan(60);
  });
});

describe('valetkey(1)', () => {
  it('has the flags of the program, each exit status, and the variables', () => {
    const text = textOf('valetkey.1');
    for (const { long } of program.options) expect(text).toContain(`${long}\n`);
    for (const exit of Object.values(EXIT)) expect(text).toMatch(new RegExp(`^${exit}$`, 'm'));
    for (const variable of ['VALETKEY_PROFILE', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'NO_COLOR', 'CI']) expect(text).toMatch(new RegExp(`^${variable}$`, 'm'));
  });
});

describe('valetkeyd(8)', () => {
  it('has the flags and signals that the daemon says that it takes', () => {
    const [usage = ''] = /const USAGE = `[^`]*`/.exec(readDocument('daemon/main.ts')) ?? [];
    const told = [...usage.matchAll(/--[a-z]+|SIG[A-Z]+/g)].map(([word]) => word);
    expect(told.length).toBeGreaterThan(4);
    for (const word of told) expect(textOf('valetkeyd.8')).toContain(word);
  });
});

describe('the pages about files', () => {
  it.each([['valetkey-config.5', 'docs/configuration.md'], ['valetkey-policy.5', 'docs/policy.md']])('%s has every key and every heading of %s', (page, document) => {
    const [text, source] = [textOf(page), readDocument(document)];
    const keys = [...source.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^\| `([^`|]+)`/gm)].map(([, key = '']) => key);
    expect(keys.length).toBeGreaterThan(20);
    for (const key of keys) expect(text).toContain(key);
    for (const [, heading = ''] of source.matchAll(/^## `?([^`\n]+)`?$/gm)) expect(text.toLowerCase()).toContain(heading.toLowerCase());
    expect(text).not.toMatch(/\]\(|^```|\*\*\w/m);
  });

  it('keeps what looks like a request to troff', async () => {
    const { roffOf } = await import(pathToFileURL(`${ROOT}scripts/manual/markdown.mjs`).href) as { roffOf(text: string): readonly string[] };
    expect(roffOf('A line.\n.TH is no macro, nor \\fB this.\n\n```\n.so /etc/passwd\n\'x\n```')).toEqual([
      '.PP', 'A line. .TH is no macro, nor \\efB this.', '.PP', '.in +2n', '.nf', '\\&.so /etc/passwd', '\\(aqx', '.fi', '.in',
    ]);
    expect(roffOf('`.TH` begins a paragraph')[1]).toBe('\\fB.TH\\fP begins a paragraph');
    expect(roffOf('.TH begins a paragraph')[1]).toBe('\\&.TH begins a paragraph');
    expect(() => roffOf('> a quotation')).toThrow('no manual page can be made of');
  });
});

const absent = (command: string): boolean => spawnSync(command, ['--version']).error !== undefined;
for (const [command, of] of [['groff', 'groff-base'], ['mandoc', 'mandoc'], ['man', 'man-db']] as const) {
  if (absent(command)) console.warn(`manual pages are not judged by ${command} (Debian package ${of})`);
}

describe('all pages', () => {
  it.skipIf(absent('groff'))('are taken by groff without a word', () => {
    for (const page of pages.keys()) {
      const { stderr, status } = spawnSync('groff', ['-man', '-ww', '-Tutf8', '-z', join(folder, page)], { encoding: 'utf8' });
      expect({ page, status, stderr }).toEqual({ page, status: 0, stderr: '' });
    }
    writeFileSync(join(folder, 'wrong'), '.TH X 1\n.XX\n');
    expect(spawnSync('groff', ['-man', '-ww', '-Tutf8', '-z', join(folder, 'wrong')], { encoding: 'utf8' }).stderr).not.toBe(''); // control
  });

  it.skipIf(absent('mandoc'))('are taken by mandoc without a word, also about their style', () => {
    const { stdout } = spawnSync('mandoc', ['-Tlint', '-W', 'style', ...[...pages.keys()].map((page) => join(folder, page))], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  it.skipIf(absent('man'))('fit into eighty columns, but for files that are shown as they are', () => {
    const wide = [...pages.keys()].flatMap((page) => {
      const { stdout } = spawnSync('man', ['-l', join(folder, page)], { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', MANWIDTH: '80', MANROFFOPT: '-c' } });
      expect(stdout).toContain('SEE ALSO');
      return stdout.replaceAll(/.\u0008|\u001b\[[\d;]*m/g, '').split('\n').filter((line) => line.length > 80 && !/^ {9}[a-z_]+ = /.test(line));
    });
    expect(wide).toEqual([]);
  }, 60_000);
});

it('the exit statuses are those of the documents', () => {
  for (const [, exit = '', meaning = ''] of sectionOf(readDocument('docs/errors.md'), 'Exit statuses').matchAll(/^\| (\d+) \| `\w+` \| (.*) \|$/gm)) {
    expect(flat(textOf('valetkey.1'))).toContain(`${exit} ${meaning}`);
  }
});
