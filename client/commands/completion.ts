/** Completion scripts, made from the verbs and flags as they are declared; profile names are asked for. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { examples } from '../command.ts';
import type { Declare } from '../command.ts';

/** One place on the command line: the words that may stand there. */
type Place = {
  readonly words: readonly string[];
  readonly subverbs: readonly string[];
  readonly flags: readonly string[];
  /** Of flags that take one of a few words. */
  readonly values: readonly { readonly flag: string; readonly words: readonly string[] }[];
  readonly takesProfile: boolean;
};

function longFlags(command: Command): readonly string[] {
  return [...command.options.flatMap(({ long, hidden }) => (long === undefined || long === null || hidden ? [] : [long])), '--help', '--json', '--quiet'];
}

function flagValues(command: Command): Place['values'] {
  return command.options.flatMap(({ long, argChoices }) => (long === undefined || long === null || argChoices === undefined ? [] : [{ flag: long, words: argChoices }]));
}

function takesProfile(command: Command): boolean {
  // `profile add NAME` names a new one.
  return command.name() !== 'add' && command.registeredArguments.some((argument) => ['PROFILE', 'NAME'].includes(argument.name()));
}

/** Arguments that are one of a few words, and verbs below this one. */
function subverbs(command: Command): readonly string[] {
  return [...command.commands.map((sub) => sub.name()), ...command.registeredArguments.flatMap((argument) => argument.argChoices ?? [])];
}

export function placesOf(program: Command): readonly Place[] {
  const walk = (command: Command, words: readonly string[]): readonly Place[] => [
    { words, subverbs: subverbs(command), flags: longFlags(command), values: flagValues(command), takesProfile: takesProfile(command) },
    ...command.commands.flatMap((sub) => walk(sub, [...words, sub.name()])),
  ];
  return walk(program, []);
}

const PROFILES = 'valetkey profiles --quiet 2>/dev/null';

function candidates({ subverbs: below, flags, takesProfile: profile }: Place): string {
  return `${[...below, ...flags].join(' ')}${profile ? ` $(${PROFILES})` : ''}`;
}

function bash(places: readonly Place[]): string {
  const cases = places.map((place) => `    "${place.words.join(' ')}") words="${candidates(place)}" ;;`);
  const values = places.flatMap((place) => place.values.map(({ flag, words }) => `    "${place.words.join(' ')} ${flag}") words="${words.join(' ')}" ;;`));
  return `_valetkey() {
  local current="\${COMP_WORDS[COMP_CWORD]}" verb="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) case "\${verb:+$verb }$word" in
${places.filter(({ words }) => words.length > 0).map(({ words }) => `        "${words.join(' ')}") verb="${words.join(' ')}" ;;`).join('\n')}
      esac ;;
    esac
  done
  case "$verb" in
${cases.join('\n')}
  esac
  case "$verb \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _valetkey valetkey
`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef valetkey
autoload -U +X bashcompinit && bashcompinit
${bash(places)}`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ words, subverbs: below, flags, values, takesProfile: profile }) => {
    const not = below.length > 0 ? `; and not __fish_seen_subcommand_from ${below.join(' ')}` : '';
    const valuesOf = (flag: string) => values.find((one) => one.flag === flag)?.words;
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const when = words.length === 0 ? '__fish_use_subcommand' : `${seen}${not}`;
    return [
      ...(below.length > 0 ? [`complete -c valetkey -n '${when}' -f -a '${below.join(' ')}'`] : []),
      ...(profile ? [`complete -c valetkey -n '${when}' -f -a '(${PROFILES})'`] : []),
      ...flags.map((flag) => `complete -c valetkey -n '${when}' -l ${flag.slice(2)}${valuesOf(flag) === undefined ? '' : ` -x -a '${valuesOf(flag)?.join(' ')}'`}`),
    ];
  });
  return `complete -c valetkey -f\n${lines.join('\n')}\n`;
}

const SCRIPTS = { bash, zsh, fish } as const;

export const declare: Declare = (command, context) => {
  command
    .addArgument(new Argument('<SHELL>', 'for which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', examples('source <(valetkey completion bash)', 'valetkey completion zsh > ~/.zfunc/_valetkey', 'valetkey completion fish | source'))
    .action((shell: keyof typeof SCRIPTS, _options: unknown, self: Command) => {
      const places = self.parent === null ? [] : placesOf(self.parent);
      context.terminal.raw(SCRIPTS[shell](places));
    });
};
