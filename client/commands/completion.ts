/** Completion scripts, made from the verbs and flags as they are declared; profile names are asked for. */
import type { Command } from 'commander';
import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';

/** One place on the command line: the words that may stand there. */
type Place = { readonly words: readonly string[]; readonly subverbs: readonly string[]; readonly flags: readonly string[]; readonly takesProfile: boolean };

function longFlags(command: Command): readonly string[] {
  return [...command.options.flatMap(({ long, hidden }) => (long === undefined || long === null || hidden ? [] : [long])), '--help', '--json', '--quiet'];
}

function takesProfile(command: Command): boolean {
  // `profile add NAME` names a new one.
  return command.name() !== 'add' && command.registeredArguments.some((argument) => ['PROFILE', 'NAME'].includes(argument.name()));
}

export function placesOf(program: Command): readonly Place[] {
  const walk = (command: Command, words: readonly string[]): readonly Place[] => [
    { words, subverbs: command.commands.map((sub) => sub.name()), flags: longFlags(command), takesProfile: takesProfile(command) },
    ...command.commands.flatMap((sub) => walk(sub, [...words, sub.name()])),
  ];
  return walk(program, []);
}

const PROFILES = 'valetkey profiles --quiet 2>/dev/null';

function candidates({ subverbs, flags, takesProfile: profile }: Place): string {
  return `${[...subverbs, ...flags].join(' ')}${profile ? ` $(${PROFILES})` : ''}`;
}

function bash(places: readonly Place[]): string {
  const cases = places.map((place) => `    "${place.words.join(' ')}") words="${candidates(place)}" ;;`);
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
  const lines = places.flatMap(({ words, subverbs, flags, takesProfile: profile }) => {
    const not = subverbs.length > 0 ? `; and not __fish_seen_subcommand_from ${subverbs.join(' ')}` : '';
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const when = words.length === 0 ? '__fish_use_subcommand' : `${seen}${not}`;
    return [
      ...(subverbs.length > 0 ? [`complete -c valetkey -n '${when}' -f -a '${subverbs.join(' ')}'`] : []),
      ...(profile ? [`complete -c valetkey -n '${when}' -f -a '(${PROFILES})'`] : []),
      ...flags.map((flag) => `complete -c valetkey -n '${when}' -l ${flag.slice(2)}`),
    ];
  });
  return `complete -c valetkey -f\n${lines.join('\n')}\n`;
}

export const declare: Declare = (command, context) => {
  command
    .argument('<SHELL>', 'bash, zsh or fish')
    .addHelpText('after', examples('source <(valetkey completion bash)', 'valetkey completion zsh > ~/.zfunc/_valetkey', 'valetkey completion fish | source'))
    .action((shell: string, _options: unknown, self: Command) => {
      const places = self.parent === null ? [] : placesOf(self.parent);
      const scripts = new Map([['bash', bash], ['zsh', zsh], ['fish', fish]]);
      const script = scripts.get(shell);
      if (script === undefined) throw ValetkeyError.local('bad_request', 'completion takes bash, zsh or fish');
      context.terminal.raw(script(places));
    });
};
