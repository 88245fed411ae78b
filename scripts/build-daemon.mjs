/**
 * Makes `valetkeyd`: the daemon and the packages that it needs, in CommonJS files. The first is its claim to be
 * the daemon, the second what runs from then on, the others what is loaded when it is first needed. Minified and
 * in ASCII, since their text stays in memory, by two bytes a character where one is not ASCII; what tsc made of
 * the same sources lies beside them, to be read. Native packages stay where npm put them.
 *
 * The licences of the packages that are in there stand beside them; one that has none ends the build.
 * Why so: docs/decisions/0011-one-bundle-for-the-daemon.md
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { compileAhead } from './compile-ahead.mjs';
import { requireCompiled } from './compiled-ahead.cjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Every package that the bundle loads and does not hold. */
export const NATIVE = [/^@napi-rs\/keyring$/, /^@koromix\/koffi-/];
/** What fastify loads only for options that daemon/ipc/http.ts does not use: schemas of its own and tests. */
const UNUSED = ['@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'];
/** What fastify and pino load at their top, 5 MB of Node's own, for options that daemon/ipc/http.ts and daemon/log.ts do not use. */
const HOLLOW = [
  { package: 'fastify', module: /^node:http2$/, instead: 'module.exports = {};' },
  { package: 'pino', module: /^\.\/(?:lib\/)?transport$/, instead: 'module.exports = {};' },
  { package: 'pino', module: /^sonic-boom$/, instead: 'module.exports = class {};' },
  { package: 'pino', module: /^worker_threads$/, instead: 'module.exports = { isMainThread: true };' },
];
/** Node's own cost 10 MB as soon as they are named: see there. */
const FETCH_CLASSES = join(ROOT, 'daemon/issuer/fetch-classes.ts');
const ENTRY = 'valetkeyd.cjs';
const LATER = 'valetkeyd-';
const LICENCES = 'THIRD-PARTY-LICENSES';
/** What platform/sigusr1.ts does: built-in modules that the bundle requires at its top would come before that. */
const FIRST = "process.on('SIGUSR1', () => undefined);";

/**
 * @param {string} folder - `daemon/` of a build, beside its `client/`
 * @returns {Promise<string | null>} why nothing was compiled ahead; null where it was
 */
export async function buildDaemon(folder) {
  const bundle = await rolldown({
    input: { valetkeyd: join(ROOT, 'daemon/main.ts') }, platform: 'node', external: [...NATIVE, ...UNUSED],
    plugins: [withoutUnused],
    transform: { inject: { Headers: [FETCH_CLASSES, 'Headers'], Response: [FETCH_CLASSES, 'Response'] } },
  });
  const { output } = await bundle.generate({
    format: 'cjs',
    strict: true,
    minify: true,
    comments: false,
    // By require(): it needs no second loader, and a file that it could not open is not remembered as broken.
    dynamicImportInCjs: false,
    entryFileNames: ENTRY,
    chunkFileNames: `${LATER}[name].cjs`,
    intro: (chunk) => (chunk.isEntry ? FIRST : ''),
  });
  await bundle.close();
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name === ENTRY || name.startsWith(LATER)) rmSync(join(folder, name));
  const [run] = output.find(({ isEntry }) => isEntry).dynamicImports;
  const others = output.flatMap(({ isEntry, fileName }) => (isEntry || fileName === run ? [] : [fileName]));
  for (const chunk of output) writeFileSync(join(folder, chunk.fileName), asciiOf(chunk.isEntry ? withoutHaste(chunk, others) : chunk.code));
  const entry = join(realpathSync(folder), ENTRY);
  chmodSync(entry, 0o755);
  writeFileSync(join(folder, LICENCES), licencesOf(output.flatMap(({ moduleIds }) => moduleIds)));
  const digests = await compileAhead(entry, join(realpathSync(folder), run));
  if (typeof digests === 'string') return digests;
  writeFileSync(entry, readFileSync(entry, 'utf8').replace(loading(run, {}, others), loading(run, digests, others)));
  return null;
}

const withoutUnused = {
  name: 'without-unused',
  resolveId(source, importer = '') {
    const found = HOLLOW.findIndex((hollow) => hollow.module.test(source) && importer.includes(`/node_modules/${hollow.package}/`));
    return found < 0 ? null : `\0hollow-${found}.cjs`;
  },
  load: (id) => (id.startsWith('\0hollow-') ? HOLLOW[Number.parseInt(id.slice(8), 10)].instead : null),
};

/** rolldown may also require at the top, for nothing that is used there, what is to be loaded after the claim. */
function withoutHaste({ code, dynamicImports }, others) {
  const [run] = dynamicImports;
  const patient = code.replace(`,require("./${run}");`, ';').split(`require("./${run}")`);
  if (dynamicImports.length !== 1 || patient.length !== 2) throw new Error(`${ENTRY} does not load the rest as it is expected to`);
  return `${patient.join(loading(run, {}, others))}\n${requireCompiled}\n`;
}

/** What the entry does to load the rest. */
function loading(file, digests, others) {
  return `requireCompiled(require,module,${[file, digests, others].map((value) => JSON.stringify(value)).join(',')})`;
}

/** Outside of strings, templates and regular expressions a minified file has ASCII only. */
function asciiOf(code) {
  return code.replace(/[^\0-\x7f]/gu, (char) => {
    if (char.length > 1) throw new Error(`${char} has no escape that holds everywhere`);
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function licencesOf(modules) {
  const homes = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? []));
  const packages = [...homes].map((home) => ({ home, ...JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) }));
  const sections = packages.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ home, name, version, license, author }) => {
    const file = readdirSync(home).find((entry) => /^licen[cs]e(?:\.|$)/i.test(entry));
    const text = file === undefined ? author?.name ?? author : readFileSync(join(home, file), 'utf8').trim();
    if (license === undefined || text === undefined) throw new Error(`${name} does not say its licence in ${home}`);
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return [`Packages whose code is in ${ENTRY} and ${LATER}*.cjs, with their licences.\n`, ...sections].join(`\n${'-'.repeat(80)}\n\n`);
}

// usage: node scripts/build-daemon.mjs FOLDER
if (argv[1] === fileURLToPath(import.meta.url)) {
  const why = await buildDaemon(argv[2] ?? '');
  if (why !== null) console.error(`nothing was compiled ahead, as the daemon does not run here: ${why}`);
}
