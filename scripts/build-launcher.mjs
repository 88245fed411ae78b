/**
 * Compiles the launcher (client/launcher/), and says how: static with musl where it is there (Debian package
 * musl-tools), else static with the system's C library, else dynamic. Without a C compiler there is no launcher,
 * and the Node entry does its work. A warning of the compiler is an error.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, env, execPath, platform } from 'node:process';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../client/launcher', import.meta.url));

const WARNINGS = ['-Wall', '-Wextra', '-Werror', '-Wshadow', '-Wconversion', '-Wstrict-prototypes', '-Wmissing-prototypes', '-Wvla', '-Wformat=2'];
const LANGUAGE = ['-std=c11', '-D_GNU_SOURCE'];
const HARDENING = ['-O2', '-fPIE', '-fstack-protector-strong', '-ffunction-sections', '-Wl,--gc-sections', '-Wl,-z,relro,-z,now,-z,noexecstack'];
const SANITIZERS = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

/** Of the code, not of the flags: no other build is tried. */
const OUR_FAULT = /\/client\/launcher\/\w+\.[ch]:\d+:\d+: (?:error|warning):/;

/** A compiler without a C library (Debian package libc6-dev) is none. */
const NO_HEADERS = /fatal error: \S+: No such file or directory/;

/** @param {string} command @param {readonly string[]} args */
function run(command, args) {
  return spawnSync(command, args, { encoding: 'utf8', env: { ...env, LC_ALL: 'C' } });
}

/** @param {string} command */
function has(command) {
  return run(command, ['--version']).error === undefined;
}

/** The compiler that CC names, else the first that is there; null without one. */
function findCompiler() {
  return [env['CC'] ?? '', 'gcc', 'cc', 'clang'].find((name) => name !== '' && has(name)) ?? null;
}

/**
 * musl-gcc knows no -static-pie, so it is given the start files of one; where it has none, a static program of
 * fixed addresses.
 */
function muslBuilds() {
  const specs = /Reading specs from (\S+)/.exec(run('musl-gcc', ['-v']).stderr ?? '')?.[1];
  if (specs === undefined) return [];
  const at = (/** @type {string} */ name) => join(dirname(specs), name);
  return [
    { how: 'static, musl, position independent', compiler: 'musl-gcc', flags: ['-D_FORTIFY_SOURCE=2', '-static', '-nostartfiles', '-Wl,-pie,--no-dynamic-linker,-z,text', at('rcrt1.o'), at('crti.o')], last: [at('crtn.o')] },
    { how: 'static, musl', compiler: 'musl-gcc', flags: ['-D_FORTIFY_SOURCE=2', '-static'], last: [] },
  ];
}

/** @param {string} compiler */
function systemBuilds(compiler) {
  return ['3', '2'].flatMap((level) => [
    { how: `static, ${compiler}, position independent`, compiler, flags: [`-D_FORTIFY_SOURCE=${level}`, '-static-pie'], last: [] },
    { how: `dynamic, ${compiler}`, compiler, flags: [`-D_FORTIFY_SOURCE=${level}`, '-pie'], last: [] },
  ]).toSorted((a, b) => Number(a.how.startsWith('dynamic')) - Number(b.how.startsWith('dynamic')));
}

/** All C files of the launcher but those left out, and `NODE`, the Node that it starts. @param {string} node @param {readonly string[]} without */
function inputs(node, without) {
  const files = readdirSync(SOURCES).filter((name) => name.endsWith('.c') && !without.includes(name));
  return [`-DNODE="${node}"`, `-I${SOURCES}`, ...files.map((name) => join(SOURCES, name))];
}

/** @param {Kind} kind @param {string} compiler */
function buildsFor(kind, compiler) {
  const one = { how: `${kind}, ${compiler}`, compiler, last: [] };
  switch (kind) {
    case 'release': return [...(has('musl-gcc') ? muslBuilds() : []), ...systemBuilds(compiler)].map((build) => ({ ...build, flags: [...HARDENING, ...build.flags, '-s'] }));
    case 'sanitized': return [{ ...one, flags: SANITIZERS }];
    case 'libfuzzer': return [{ ...one, compiler: 'clang', flags: [...SANITIZERS, '-fsanitize=fuzzer', '-DLIBFUZZER'] }];
    case 'debug': return [{ ...one, flags: ['-O1', '-g'] }];
  }
}

/**
 * @typedef {'release' | 'sanitized' | 'libfuzzer' | 'debug'} Kind - `sanitized`: with ASan and UBSan; `debug`: for valgrind. All but the first are dynamic.
 *
 * @param {string} file - the program to write
 * @param {{ kind?: Kind, node?: string, without?: readonly string[], extra?: readonly string[] }} options - `extra`: files that take the place of those `without`
 * @returns {string | null} how it was built; null where there is no C compiler, or another system than Linux
 * @throws Error with what the compiler says
 */
export function buildLauncher(file, { kind = 'release', node = execPath, without = [], extra = [] } = {}) {
  // Of another system: who listens, and where this program stands, are asked in Linux's way.
  const compiler = platform === 'linux' ? findCompiler() : null;
  if (compiler === null) return null;
  mkdirSync(dirname(file), { recursive: true });
  let said = '';
  for (const { how, compiler: command, flags, last } of buildsFor(kind, compiler)) {
    const { status, stderr } = run(command, [...LANGUAGE, ...WARNINGS, ...flags, ...inputs(node, without), ...extra, ...last, '-o', file]);
    // One that links and does not run is none: a C library that is half installed.
    if (status === 0 && (kind !== 'release' || run(file, []).status !== null)) return how;
    said ||= stderr;
    if (OUR_FAULT.test(stderr)) break;
  }
  if (NO_HEADERS.test(said)) return null;
  throw new Error(`the launcher could not be compiled:\n${said}`);
}

// usage: node scripts/build-launcher.mjs FILE [OPTIONS as JSON]; says how it was built, or nothing without a compiler.
if (argv[1] === fileURLToPath(import.meta.url)) {
  const how = buildLauncher(argv[2] ?? '', JSON.parse(argv[3] ?? '{}'));
  if (how !== null) console.log(how);
}
