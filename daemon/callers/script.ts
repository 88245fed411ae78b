/**
 * Which script an interpreter runs: the first word of its command line that is no option. The process may
 * rewrite its command line, so this is evidence, not proof. No path is looked up: a caller chose it.
 */
import { basename, resolve } from 'node:path';

type Options = {
  /** Letters and words whose value is the rest of the cluster or the next word. */
  readonly valued: string;
  readonly valuedWords: readonly string[];
  /** Letters whose value is the rest of the cluster, if anything. */
  readonly attached: string;
  /** Letters and words after which there is no script: a command, a module, standard input. */
  readonly ends: string;
  readonly endWords: readonly string[];
};

const SHELL: Options = { valued: 'oO', valuedWords: ['--rcfile', '--init-file'], attached: '', ends: 'cs', endWords: [] };
const PYTHON: Options = { valued: 'WX', valuedWords: ['--check-hash-based-pycs'], attached: '', ends: 'cm', endWords: [] };
const NODE: Options = {
  valued: 'rC',
  valuedWords: [
    '--require', '--import', '--loader', '--experimental-loader', '--conditions', '--env-file', '--title', '--input-type',
    '--disable-warning', '--redirect-warnings', '--diagnostic-dir', '--icu-data-dir', '--openssl-config', '--unhandled-rejections',
  ],
  attached: '',
  ends: 'ep',
  endWords: ['--eval', '--print', '--test', '--run'],
};
const RUBY: Options = { valued: 'rICE', valuedWords: [], attached: 'FKTWi0x', ends: 'e', endWords: [] };
const PERL: Options = { valued: 'I', valuedWords: [], attached: 'CDFMdilmtVx0', ends: 'eE', endWords: [] };

const INTERPRETERS: readonly (readonly [RegExp, Options])[] = [
  [/^(node|nodejs|bun)$/, NODE],
  [/^(python|pypy)[\d.]*$/, PYTHON],
  [/^(sh|bash|dash|ash|zsh|ksh|mksh)$/, SHELL],
  [/^ruby[\d.]*$/, RUBY],
  [/^perl[\d.]*$/, PERL],
];

export function isInterpreter(executable: string): boolean {
  return optionsOf(executable) !== null;
}

function optionsOf(executable: string): Options | null {
  const name = basename(executable).replace(/ \(deleted\)$/, '');
  return INTERPRETERS.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

/** An absolute path, or null: no interpreter, no script, or a relative one where `cwd` is not known. */
export function scriptOf(executable: string, argv: readonly string[], cwd: string | null): string | null {
  const options = optionsOf(executable);
  const script = options === null ? null : firstOperand(argv.slice(1), options);
  if (script === null) return null;
  if (script.startsWith('/')) return resolve(script);
  return cwd?.startsWith('/') === true && !cwd.endsWith(' (deleted)') ? resolve(cwd, script) : null;
}

function firstOperand(words: readonly string[], options: Options): string | null {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') return words[index + 1] ?? null;
    if (word === '-' || word === '') return null;
    if (!/^[-+]/.test(word)) return word;
    const step = word.startsWith('--') ? stepOfWord(word, options) : stepOfCluster(word.slice(1), options);
    if (step === 'end') return null;
    index += step;
  }
  return null;
}

/** How many further words belong to it. */
function stepOfWord(word: string, options: Options): number | 'end' {
  if (options.endWords.includes(word.replace(/=.*/s, ''))) return 'end';
  return options.valuedWords.includes(word) ? 1 : 0;
}

function stepOfCluster(letters: string, options: Options): number | 'end' {
  for (const [index, letter] of [...letters].entries()) {
    if (options.ends.includes(letter)) return 'end';
    if (options.attached.includes(letter)) return 0;
    if (options.valued.includes(letter)) return index === letters.length - 1 ? 1 : 0;
  }
  return 0;
}
