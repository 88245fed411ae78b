/**
 * What a real shell offers at Tab for a line, by the completion script of `valetkey completion`: bash by its
 * function, as readline calls it; fish by `complete -C`; zsh at a terminal of its own, where compadd is listened
 * to. A stand-in for `valetkey` answers when a script asks for names. All lines run in one shell.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Shell = 'bash' | 'zsh' | 'fish';
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** Null where the shell can be driven here. */
export function shellObstacle(shell: Shell): string | null {
  if (spawnSync(shell, ['--version']).error !== undefined) return `there is no ${shell} (Debian package ${shell})`;
  if (shell === 'zsh' && spawnSync('script', ['--version']).error !== undefined) return 'zsh needs a terminal: script (Debian package bsdutils)';
  return null;
}

export type Offers = {
  /** For each line what is offered, in the order of the alphabet. */
  readonly offered: readonly (readonly string[])[];
  /** Files that are in the working directory afterwards, besides those of `files`. */
  readonly strays: readonly string[];
  /** What `valetkey` was called with. */
  readonly calls: readonly string[];
  readonly stderr: string;
};

export type Asked = {
  readonly script: string;
  readonly lines: readonly string[];
  /** What `valetkey completion --names KIND` prints. */
  readonly names?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
};

const q = (text: string): string => `'${text.replaceAll('\'', '\'\\\'\'')}'`;

/** As readline splits a line: at blanks outside of quotes, and = and : stand alone. */
function readlineWords(line: string): readonly string[] {
  const words = line.match(/"[^"]*"|'[^']*'|[=:]+|[^\s=:]+/g) ?? [];
  return /\s$/.test(line) ? [...words, ''] : words;
}

const DRIVERS: Readonly<Record<Shell, (lines: readonly string[]) => string>> = {
  bash: (lines) => `source ./script\n${lines.map((line) => {
    const words = readlineWords(line);
    return `COMP_LINE=${q(line)} COMP_POINT=${line.length} COMP_WORDS=(${words.map(q).join(' ')}) COMP_CWORD=${words.length - 1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_valetkey; echo '>'; (( \${#COMPREPLY[@]} )) && printf '%s\\n' "\${COMPREPLY[@]}"`;
  }).join('\n')}\ntrue`,
  fish: (lines) => `source ./script\n${lines.map((line) => `echo '>'; complete -C ${q(line)} | string replace --regex '\\t.*' ''`).join('\n')}\ntrue`,
  // In .zshrc: the line editor starts, asks for each line, and the shell ends.
  zsh: (lines) => `autoload -Uz compinit && compinit -D -u
source ./script
setopt no_beep no_always_last_prompt
compadd() {
  # With these it adds nothing: it only sorts.
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -O hits "$@"
  (( $#hits )) && print -rl -- $hits >> $OUT
  builtin compadd "$@"
}
ask() {
  local line
  for line in ${lines.map(q).join(' ')}; do
    BUFFER=$line CURSOR=\${#line}
    print -r -- '>' >> $OUT
    zle list-choices
  done
  exit
}
zle -N zle-line-init ask
`,
};

function argvOf(shell: Shell): readonly [string, readonly string[]] {
  switch (shell) {
    case 'bash': return ['bash', ['--norc', '--noprofile', './driver']];
    case 'fish': return ['fish', ['--no-config', './driver']];
    case 'zsh': return ['script', ['-qec', 'zsh -d -i', '/dev/null']];
  }
}

type Room = { readonly base: string; readonly work: string; readonly env: Readonly<Record<string, string>>; readonly calls: () => readonly string[] };

/** A working directory with the script in it, and a stand-in for `valetkey` on the PATH. */
function makeRoom({ script, names = {}, files = [] }: Omit<Asked, 'lines'>): Room {
  const base = mkdtempSync(join(tmpdir(), 'valetkey-shell-'));
  const [work, bin] = [join(base, 'work'), join(base, 'bin')];
  for (const folder of [work, bin, join(base, 'names')]) mkdirSync(folder);
  for (const [kind, text] of Object.entries(names)) writeFileSync(join(base, 'names', kind), text);
  for (const file of files) writeFileSync(join(work, file), '');
  writeFileSync(join(bin, 'valetkey'), `#!/bin/sh\necho "$*" >> ${base}/calls\ncat ${base}/names/"$3" 2>/dev/null\n`);
  chmodSync(join(bin, 'valetkey'), 0o755);
  writeFileSync(join(work, 'script'), script);
  return {
    base, work,
    env: { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`, HOME: base, ZDOTDIR: work, OUT: join(base, 'out'), TERM: 'xterm', LC_ALL: 'C.UTF-8', SHELL: '/bin/sh' },
    calls: () => (existsSync(join(base, 'calls')) ? readFileSync(join(base, 'calls'), 'utf8').trim().split('\n') : []),
  };
}

/** Types the line into a bash at a terminal, and what was called when it was done. */
export function typedIntoBash(script: string, line: string): readonly string[] {
  const { base, work, env, calls } = makeRoom({ script, names: { profiles: 'work\n' } });
  try {
    spawnSync('script', ['-qec', 'bash --norc --noprofile -i', '/dev/null'], { cwd: work, env, input: `source ./script\n${line}\nexit\n`, timeout: 50_000 });
    return calls();
  } finally {
    rmSync(base, { recursive: true });
  }
}

export function offersOf(shell: Shell, { lines, ...asked }: Asked): Offers {
  const { base, work, env, calls } = makeRoom(asked);
  try {
    const out = join(base, 'out');
    const kept = new Set(['script', 'driver', '.zshrc', ...asked.files ?? []]);
    writeFileSync(join(work, shell === 'zsh' ? '.zshrc' : 'driver'), DRIVERS[shell](lines));
    const [command, args] = argvOf(shell);
    const ended = spawnSync(command, args, { cwd: work, env, encoding: 'utf8', input: '', timeout: 50_000 });
    const told = shell === 'zsh' ? (existsSync(out) ? readFileSync(out, 'utf8') : '') : ended.stdout;
    const offered = told.split(/^>\n/m).slice(1).map((part) => [...new Set(part.split('\n').filter((word) => word !== ''))].toSorted());
    if (offered.length !== lines.length) throw new Error(`${shell} answered ${offered.length} of ${lines.length} lines:\n${ended.stdout}${ended.stderr}`);
    const strays = spawnSync('ls', ['-A'], { cwd: work, encoding: 'utf8' }).stdout.split('\n').filter((name) => name !== '' && !kept.has(name));
    return { offered, strays, calls: calls(), stderr: ended.stderr };
  } finally {
    rmSync(base, { recursive: true });
  }
}
