/**
 * The proof by destruction at full size: runs test/chaos, prints its figures, and exits as it ended.
 * usage: npm run chaos -- [--seed N] [--only PART] [--run N] [--runs N] [--size ci] [--write-docs]
 * With --write-docs the figures go between the markers in docs/reliability.md; nothing there is typed by hand.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { argv, env, execPath, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const figures = `${root}dist/chaos`;
const document = `${root}docs/reliability.md`;

/** Parts that live elsewhere, because they are tests of a unit first. */
const ELSEWHERE = { vault: 'test/unit/daemon/vault/durable.test.ts' };

/** @param {readonly string[]} args */
function readArgs(args) {
  const text = { type: /** @type {const} */ ('string') };
  return parseArgs({ args: [...args], options: { seed: text, only: text, run: text, runs: text, size: text, 'write-docs': { type: 'boolean' }, 'only-docs': { type: 'boolean' } } }).values;
}

/** @returns {{ part: string, seed: number, size: string, figures: Record<string, number | string>, more: unknown }[]} */
function readFigures() {
  if (!existsSync(figures)) return [];
  return readdirSync(figures).filter((file) => file.endsWith('.json')).toSorted().map((file) => JSON.parse(readFileSync(`${figures}/${file}`, 'utf8')));
}

/** @param {string} part @param {string} seed @param {Record<string, number | string>} of */
function table(part, seed, of) {
  return [`${part} (seed ${seed})`, ...Object.entries(of).map(([name, value]) => `  ${String(value).padStart(8)}  ${name}`)].join('\n');
}

/** A part's figures stand between `<!-- chaos:PART -->` and `<!-- /chaos:PART -->`; a part that did not run keeps its own. */
function writeDocs() {
  let text = readFileSync(document, 'utf8');
  for (const { part, seed, size, figures: of } of readFigures()) {
    const marked = new RegExp(`(<!-- chaos:${part} -->\n)[^]*?(<!-- /chaos:${part} -->)`);
    if (size !== 'full' || !marked.test(text)) continue;
    const rows = Object.entries(of).map(([name, value]) => `| ${name} | ${typeof value === 'number' ? value.toLocaleString('en') : value} |`);
    text = text.replace(marked, (_, open, close) => `${open}\n| seed ${seed} | |\n| --- | ---: |\n${rows.join('\n')}\n\n${close}`);
  }
  writeFileSync(document, text);
}

const asked = readArgs(argv.slice(2));
if (asked['only-docs'] === true) {
  writeDocs();
  exit(0);
}
const seed = asked.seed ?? String(Date.now() % 1_000_000_000);
stdout.write(`seed ${seed}\n`);
if (asked.only === undefined) rmSync(figures, { recursive: true, force: true });
const files = asked.only === undefined ? ['test/chaos', ...Object.values(ELSEWHERE)] : [ELSEWHERE[asked.only] ?? `test/chaos/${asked.only}.test.ts`];
const { status } = spawnSync(execPath, [`${root}node_modules/vitest/vitest.mjs`, 'run', ...files, '--no-file-parallelism'], {
  cwd: root, stdio: 'inherit',
  env: {
    ...env, VALETKEY_CHAOS_SEED: seed, ...(asked.size === 'ci' ? {} : { VALETKEY_CHAOS: 'full', VALETKEY_KILLS: '1000' }),
    ...(asked.run === undefined ? {} : { VALETKEY_CHAOS_RUN: asked.run }), ...(asked.runs === undefined ? {} : { VALETKEY_CHAOS_RUNS: asked.runs }),
  },
});
stdout.write(`\n${readFigures().map(({ part, seed: of, figures: values }) => table(part, String(of), values)).join('\n\n')}\n`);
if (status !== 0) stdout.write(`\nfailed; to see it again: npm run chaos -- --seed ${seed}${asked.only === undefined ? '' : ` --only ${asked.only}`}\n`);
else if (asked['write-docs'] === true) writeDocs();
exit(status ?? 1);
