/**
 * The proof by destruction at full size: runs the parts in test/chaos, prints their figures, and exits as they ended.
 * With --write-docs the figures go between the markers in docs/reliability.md; nothing there is typed by hand.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { argv, env, execPath, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const figures = `${root}dist/chaos`;
const report = `${root}dist/chaos-report.json`;
const document = `${root}docs/reliability.md`;

/** Parts by name; one lives elsewhere, because it is the test of a unit first. */
const parts = new Map([
  ...readdirSync(`${root}test/chaos`).filter((file) => file.endsWith('.test.ts')).toSorted()
    .map((file) => /** @type {const} */ ([file.replace('.test.ts', ''), `test/chaos/${file}`])),
  /** @type {const} */ (['vault', 'test/unit/daemon/vault/durable.test.ts']),
]);

const HELP = `npm run chaos -- [options]

  --only PART[,PART]   these parts; without it all of them
  --seed N             what is drawn from; without it one of its own, which is printed
  --size full|ci|N     full (the default), as large as in npm test, or so many runs
  --run N              this one run of a part, as a failure names it
  --write-docs         write the figures into docs/reliability.md, but for those of --size ci
  --only-docs          write those of the last run, and run nothing

Parts:
`;

/** What a part does, by the first sentence of its head comment. @param {string} file */
function about(file) {
  const [, comment = ''] = /^\/\*\*([^]*?)\*\//.exec(readFileSync(`${root}${file}`, 'utf8')) ?? [];
  return comment.replaceAll(/\s*\n \* ?/g, ' ').trim().split(/(?<=\.) /)[0];
}

/** @returns {{ table: string, seed: number, size: string, figures: Record<string, number | string> }[]} */
function readFigures() {
  if (!existsSync(figures)) return [];
  return readdirSync(figures).filter((file) => file.endsWith('.json')).toSorted().map((file) => JSON.parse(readFileSync(`${figures}/${file}`, 'utf8')));
}

/** A table stands between `<!-- chaos:NAME -->` and `<!-- /chaos:NAME -->`; one that was not made anew stays. */
function writeDocs() {
  let text = readFileSync(document, 'utf8');
  for (const { table, seed, size, figures: of } of readFigures()) {
    const marked = new RegExp(`(<!-- chaos:${table} -->\n)[^]*?(<!-- /chaos:${table} -->)`);
    if (size === 'ci') continue;
    if (!marked.test(text)) throw new Error(`docs/reliability.md has no place for the figures of ${table}: put <!-- chaos:${table} --> and <!-- /chaos:${table} --> there`);
    const rows = Object.entries(of).map(([name, value]) => `| ${name} | ${typeof value === 'number' ? value.toLocaleString('en') : value} |`);
    text = text.replace(marked, (_, open, close) => `${open}\n| seed ${seed} | |\n| --- | ---: |\n${rows.join('\n')}\n\n${close}`);
  }
  writeFileSync(document, text);
}

/** The files in which a test failed. */
function failedParts() {
  if (!existsSync(report)) return [...parts.keys()];
  /** @type {{ testResults: { name: string, status: string }[] }} */
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  return [...parts].filter(([, file]) => testResults.some(({ name, status }) => status === 'failed' && name.endsWith(file))).map(([part]) => part);
}

/** @param {string} why */
function refuse(why) {
  stdout.write(`${why}\nSee: npm run chaos -- --help\n`);
  exit(2);
}

function readArgs() {
  const text = { type: /** @type {const} */ ('string') };
  const flag = { type: /** @type {const} */ ('boolean') };
  try {
    return parseArgs({ args: argv.slice(2), options: { seed: text, only: text, run: text, size: text, 'write-docs': flag, 'only-docs': flag, help: flag } }).values;
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause));
  }
}

const asked = readArgs();
if (asked.help === true) {
  const width = Math.max(...[...parts.keys()].map((name) => name.length));
  stdout.write(`${HELP}${[...parts].map(([name, file]) => `  ${name.padEnd(width)}  ${about(file)}`).join('\n')}\n`);
  exit(0);
}
if (asked['only-docs'] === true) {
  writeDocs();
  exit(0);
}
const names = asked.only?.split(',') ?? [...parts.keys()];
for (const name of names) if (!parts.has(name)) refuse(`there is no part ${name}; there are: ${[...parts.keys()].join(', ')}`);
if (asked.run !== undefined && names.length > 1) refuse('--run is of one part: name it by --only');
const size = asked.size ?? 'full';
if (!/^(full|ci|[1-9]\d*)$/.test(size)) refuse(`--size is full, ci or a number, not ${size}`);
const seed = asked.seed ?? String(Date.now() % 1_000_000_000);
stdout.write(`seed ${seed}\n`);
// What is printed and written is of this run.
rmSync(figures, { recursive: true, force: true });
rmSync(report, { force: true });
const { status } = spawnSync(execPath, [
  `${root}node_modules/vitest/vitest.mjs`, 'run', ...names.map((name) => parts.get(name) ?? ''), '--no-file-parallelism', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`,
], {
  cwd: root, stdio: 'inherit',
  env: { ...env, VALETKEY_CHAOS_SEED: seed, VALETKEY_CHAOS_SIZE: size, ...(asked.run === undefined ? {} : { VALETKEY_CHAOS_RUN: asked.run }) },
});
for (const { table, figures: of } of readFigures()) {
  stdout.write(`\n${table}\n${Object.entries(of).map(([name, value]) => `  ${String(value).padStart(8)}  ${name}\n`).join('')}`);
}
if (status !== 0) {
  const run = asked.run === undefined ? '' : ` --run=${asked.run}`;
  stdout.write(`\nfailed; to see it again:\n${failedParts().filter((name) => names.includes(name)).map((name) => `  npm run chaos -- --seed ${seed} --size ${size} --only ${name}${run}\n`).join('')}`);
} else if (asked['write-docs'] === true) writeDocs();
exit(status ?? 1);
