/**
 * Which script an interpreter runs: the first word of its command line that is no option, or what stands
 * behind the option that names one. The process may rewrite its command line, so this is evidence, not proof.
 * No path is looked up: a caller chose it.
 */
import { join, resolve } from 'node:path';
import { interpreterKind } from '../../shared/interpreters.ts';
import type { InterpreterKind } from '../../shared/interpreters.ts';

type Options = {
  /** Letters and words whose value is the rest of the cluster or the next word. */
  readonly valued: string;
  readonly valuedWords: readonly string[];
  /** Letters whose value is the rest of the cluster, if anything. */
  readonly attached: string;
  /** Letters and words after which there is no script: a command, a module, standard input. */
  readonly ends: string;
  readonly endWords: readonly string[];
  /** Letters and words whose value is the script. */
  readonly script: string;
  readonly scriptWords: readonly string[];
  /** A first operand that is a verb and no script: `bun run`. */
  readonly verbs: readonly string[];
  /** What a first operand must look like to be a script; null: anything. */
  readonly operand: RegExp | null;
};

const NONE: Options = {
  valued: '', valuedWords: [], attached: '', ends: '', endWords: [], script: '', scriptWords: [], verbs: [], operand: null,
};

const SHELL: Options = { ...NONE, valued: 'oO', valuedWords: ['--rcfile', '--init-file'], ends: 'cs', endWords: ['--command'] };
const FISH: Options = { ...NONE, valued: 'Cdo', valuedWords: ['--init-command', '--debug', '--debug-output', '--profile', '--profile-startup', '--features'], ends: 'c', endWords: ['--command'] };
const PYTHON: Options = { ...NONE, valued: 'WX', valuedWords: ['--check-hash-based-pycs'], ends: 'cm' };
const NODE: Options = {
  ...NONE,
  valued: 'rC',
  valuedWords: [
    '--require', '--import', '--loader', '--experimental-loader', '--conditions', '--env-file', '--title', '--input-type',
    '--disable-warning', '--redirect-warnings', '--diagnostic-dir', '--icu-data-dir', '--openssl-config', '--unhandled-rejections',
  ],
  ends: 'ep',
  endWords: ['--eval', '--print', '--test', '--run'],
};
/** bun and deno. */
const RUNNER: Options = { ...NODE, verbs: ['run'] };
const RUBY: Options = { ...NONE, valued: 'rICE', attached: 'FKTWi0x', ends: 'e' };
const PERL: Options = { ...NONE, valued: 'I', attached: 'CDFMdilmtVx0', ends: 'eE' };
const PHP: Options = {
  ...NONE, valued: 'cdtz', ends: 'rBRES', endWords: ['--run', '--process-begin', '--process-code', '--process-end', '--server'],
  valuedWords: ['--php-ini', '--define', '--docroot', '--zend-extension'], script: 'fF', scriptWords: ['--file', '--process-file'],
};
/** `dotnet app.dll`; its other verbs are programs of its own. */
const DOTNET: Options = { ...NONE, valuedWords: ['--additionalprobingpath', '--additional-deps', '--depsfile', '--runtimeconfig', '--fx-version', '--roll-forward'], verbs: ['exec'], operand: /\.dll$/i };
/** They run code of anybody, and which is not told: no word of theirs is a script. */
const ANY_CODE: Options = { ...NONE, operand: /^\b$/ };
/** Its words have one dash or two. The first operand names a class, unless it is a source file (JEP 330). */
const JAVA: Options = {
  ...NONE,
  valuedWords: [
    '-cp', '-classpath', '--class-path', '-p', '--module-path', '--upgrade-module-path', '--add-modules', '--add-exports', '--add-opens',
    '--add-reads', '--patch-module', '--limit-modules', '--source', '--describe-module', '-d',
  ],
  endWords: ['-m', '--module'], scriptWords: ['-jar'], operand: /\.java$/,
};

const OPTIONS: Readonly<Record<InterpreterKind, Options>> = {
  node: NODE, runner: RUNNER, python: PYTHON, shell: SHELL, fish: FISH, ruby: RUBY, perl: PERL, php: PHP, java: JAVA, dotnet: DOTNET, anyCode: ANY_CODE,
};

export function isInterpreter(executable: string): boolean {
  return interpreterKind(executable) !== null;
}

function optionsOf(executable: string): Options | null {
  const kind = interpreterKind(executable);
  return kind === null ? null : OPTIONS[kind];
}

/** A shell that runs one command for somebody else: `sh -c`. */
export function runsCommand(executable: string, argv: readonly string[]): boolean {
  const options = optionsOf(executable);
  if (options !== SHELL && options !== FISH) return false;
  const found = findScript(argv.slice(1), options);
  return found.kind === 'end' && !/^-[a-z]*s/i.test(found.by);
}

/** An absolute path, or null: no interpreter, no script, or a relative one where `cwd` is not known. */
export function scriptOf(executable: string, argv: readonly string[], cwd: string | null): string | null {
  const options = optionsOf(executable);
  const found = options === null ? NO_SCRIPT : findScript(argv.slice(1), options);
  // A descriptor names no file: `bash <(curl …)`.
  if (found.kind !== 'script' || /^\/(dev\/(fd\/|stdin$)|proc\/self\/fd\/)/.test(found.word)) return null;
  if (found.word.startsWith('/')) return pathOf('/', found.word);
  return cwd?.startsWith('/') === true && !cwd.endsWith(' (deleted)') ? pathOf(cwd, found.word) : null;
}

/**
 * What `..` behind a name leads to depends on whether that name is a link, which is not looked up: it stays, and so
 * such a path is never taken for the one that it seems to be. The working directory is the kernel's, without links.
 */
function pathOf(cwd: string, word: string): string {
  const names = word.split('/').filter((name) => name !== '' && name !== '.');
  const first = names.findIndex((name) => name !== '..');
  const rest = first < 0 ? [] : names.slice(first);
  if (!rest.includes('..')) return resolve(cwd, word);
  return join(resolve(cwd, ...names.slice(0, first)), '/') + rest.join('/');
}

type Found =
  | { readonly kind: 'script'; readonly word: string }
  /** An option says that there is none. */
  | { readonly kind: 'end'; readonly by: string }
  | { readonly kind: 'none' };

const NO_SCRIPT: Found = { kind: 'none' };
const foundAt = (word: string | undefined): Found => (word === undefined || word === '' ? NO_SCRIPT : { kind: 'script', word });

function findScript(words: readonly string[], options: Options): Found {
  const verb = options.verbs.includes(words[0] ?? '') ? 1 : 0;
  for (let index = verb; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') return foundAt(words[index + 1]);
    if (word === '-' || word === '') return NO_SCRIPT;
    if (!/^[-+]/.test(word)) return options.operand === null || options.operand.test(word) ? foundAt(word) : NO_SCRIPT;
    const isLong = word.startsWith('--') || options === JAVA;
    const step = isLong ? stepOfWord(word, options) : stepOfCluster(word.slice(1), options);
    if (step === 'end') return { kind: 'end', by: word };
    if (typeof step === 'object') return foundAt(step.value ?? words[index + 1]);
    index += step;
  }
  return NO_SCRIPT;
}

/** How many further words belong to it; or the script, where it stands in the same word, else in the next. */
type Step = number | 'end' | { readonly value: string | null };

function stepOfWord(word: string, options: Options): Step {
  const name = word.replace(/=.*/s, '');
  if (options.endWords.includes(name)) return 'end';
  if (options.scriptWords.includes(name)) return { value: word === name ? null : word.slice(name.length + 1) };
  return options.valuedWords.includes(word) ? 1 : 0;
}

function stepOfCluster(letters: string, options: Options): Step {
  for (const [index, letter] of [...letters].entries()) {
    const isLast = index === letters.length - 1;
    if (options.ends.includes(letter)) return 'end';
    if (options.script.includes(letter)) return { value: isLast ? null : letters.slice(index + 1) };
    if (options.attached.includes(letter)) return 0;
    if (options.valued.includes(letter)) return isLast ? 1 : 0;
  }
  return 0;
}
