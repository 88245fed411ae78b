/**
 * Makes the manual pages: a page a verb and valetkey(1) of what `valetkey help` is made of, valetkeyd(8) and the pages
 * about files of the documents. Nothing is said in two places; a test holds them against the CLI.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { roffOf } from './manual/markdown.mjs';
import { manualPage } from './manual/roff.mjs';
import { optionsOf, verbList, verbPage } from './manual/verb-pages.mjs';
import { sourceEpoch } from './source-date.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const read = (/** @type {string} */ file) => readFileSync(join(ROOT, file), 'utf8');

/** `# name: what it is`, and the rest. */
function titled(text) {
  const [, about, body] = /^# (?:[a-z-]+: )?(.*)\n([^]*)$/.exec(text) ?? [];
  if (body === undefined) throw new Error('a document of the manual begins with its name');
  return { about, body };
}

/** A document with `@name` lines in it, which stand for what is read off the program. */
function composed(body, parts) {
  return body.split(/^(@[a-z]+)$/m).flatMap((part) => {
    if (!/^@[a-z]+$/.test(part)) return roffOf(part);
    const lines = parts[part.slice(1)];
    if (lines === undefined) throw new Error(`${part} stands for nothing`);
    return lines;
  });
}

/** The table of exit statuses, without the class, which only programs see. */
function exitStatuses() {
  const [, section = ''] = /\n## Exit statuses\n([^]*?)\n## /.exec(read('docs/errors.md')) ?? [];
  const rows = [...section.matchAll(/^\| (\d+) \| `\w+` \| (.*) \|$/gm)];
  if (rows.length === 0) throw new Error('docs/errors.md has no exit statuses');
  return roffOf(['| exit | meaning |', '| --- | --- |', ...rows.map(([, exit, meaning]) => `| ${exit} | ${meaning} |`)].join('\n'));
}

/**
 * @param {import('commander').Command} program the whole CLI
 * @param {{ version: string, date: string }} edition
 * @returns {ReadonlyMap<string, string>} text by file name
 */
export function manualOf(program, edition) {
  const overview = titled(read('docs/manual/valetkey.md'));
  const daemon = titled(read('docs/manual/valetkeyd.md'));
  const help = ['.TP', '\\fB\\-h\\fP, \\fB\\-\\-help\\fP', 'Show help for a verb.'];
  const others = ['valetkeyd(8)', 'valetkey-config(5)', 'valetkey-policy(5)'];
  const pages = [
    ['valetkey.1', manualPage({ ...edition, name: 'valetkey', section: 1, about: overview.about, see: [...program.commands.map((verb) => `valetkey-${verb.name()}(1)`), ...others] },
      composed(overview.body, { verbs: verbList(program), options: [...optionsOf(program), ...help], exit: exitStatuses() }))],
    ['valetkeyd.8', manualPage({ ...edition, name: 'valetkeyd', section: 8, about: daemon.about, see: ['valetkey(1)', ...others.slice(1)] }, roffOf(daemon.body))],
    ['valetkey-config.5', manualPage({ ...edition, name: 'valetkey-config', section: 5, about: 'configuration of valetkeyd', see: ['valetkey(1)', 'valetkey-profile(1)', 'valetkeyd(8)', 'valetkey-policy(5)'] }, ['.SH DESCRIPTION', ...roffOf(titled(read('docs/configuration.md')).body)])],
    ['valetkey-policy.5', manualPage({ ...edition, name: 'valetkey-policy', section: 5, about: 'who may have which token', see: ['valetkey(1)', 'valetkeyd(8)', 'valetkey-config(5)'] }, ['.SH DESCRIPTION', ...roffOf(titled(read('docs/policy.md')).body)])],
    ...program.commands.map((verb) => [`valetkey-${verb.name()}.1`, verbPage(verb, { ...edition, see: ['valetkey(1)', ...others] })]),
  ];
  return new Map(pages);
}

/** @param {string} folder */
export async function buildManual(folder) {
  const { buildProgram } = await import('../dist/client/cli.js');
  const { version } = JSON.parse(read('package.json'));
  const program = await buildProgram({ stdout: { write: () => undefined, columns: 80 } }, {}, () => undefined, () => true);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const pages = manualOf(program, { version, date: new Date(sourceEpoch() * 1000).toISOString().slice(0, 10) });
  for (const [name, text] of pages) writeFileSync(join(folder, name), text);
  return pages.size;
}

// usage: node scripts/build-manual.mjs FOLDER
if (argv[1] === fileURLToPath(import.meta.url)) await buildManual(argv[2] ?? '');
