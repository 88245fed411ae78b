/** The completion script of fish: one function that prints what may stand at the cursor, a line a word, with what it means. */
import { keyOf, quotedForFish, shownSpelling, slotRows } from './tables.ts';
import type { Place, Word } from './words.ts';

const lines = (words: readonly Word[]): string => words.map(({ word, about }) => quotedForFish(about === '' ? word : `${word}\t${about}`)).join(' ');

export function fishScript(places: readonly Place[]): string {
  const below = places.map((place) => `    case ${quotedForFish(keyOf(place))}
      ${place.below.length === 0 ? 'true' : `printf '%s\\n' ${lines(place.below)}`}`);
  const flags = places.filter((place) => place.flags.length > 0).map((place) => `    case ${quotedForFish(keyOf(place))}
      printf '%s\\n' ${lines(place.flags.map((flag) => ({ word: shownSpelling(flag), about: flag.about })))}`);
  const slots = slotRows(places).map(([key, answer]) => `    case ${quotedForFish(key)}
      echo ${quotedForFish(answer)}`);
  return `# valetkey: completion for fish. Made by: valetkey completion fish

# What stands below the verbs so far; false where there are no such verbs.
function __valetkey_below
  switch "$argv[1]"
${below.join('\n')}
    case '*'
      return 1
  end
end

function __valetkey_flags
  switch "$argv[1]"
${flags.join('\n')}
  end
end

# What a flag of these verbs takes, or what their first, second, ... argument is.
function __valetkey_slot
  switch "$argv[1]"
${slots.join('\n')}
  end
end

# Names come from the running daemon, or from the configuration. What is no plain word is none.
function __valetkey_names
  command --query valetkey; or return
  command valetkey completion --names $argv[1] 2>/dev/null | string match --regex '^[A-Za-z0-9][A-Za-z0-9._-]*$'
end

function __valetkey_complete
  set -l current (commandline --current-token)
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  set -e words[1]
  set -l verbs ''
  set -l flag ''
  set -l ended ''
  set -l prefix ''
  set -l position 1
  for word in $words
    set -l longer (string trim -- "$verbs $word")
    if test -n "$flag"
      set flag ''
    else if test -z "$ended" -a "$word" = --
      set ended 1
    else if test -z "$ended"; and string match --quiet -- '-*' $word
      set -l takes (__valetkey_slot "$verbs $word")
      test -n "$takes"; and set flag $word
    else if __valetkey_below $longer >/dev/null
      set verbs $longer
    else
      set position (math $position + 1)
    end
  end
  if test -z "$flag" -a -z "$ended"; and string match --quiet -- '--*=*' $current
    set flag (string replace --regex '=.*' '' -- $current)
    set prefix $flag=
  end
  set -l key "$verbs $position"
  test -n "$flag"; and set key "$verbs $flag"
  set -l slot (__valetkey_slot $key | string split ' ')
  switch "$slot[1]"
    case words
      printf '%s\\n' $prefix$slot[2..-1]
    case names
      set -l names (__valetkey_names $slot[2])
      test -n "$names"; and printf '%s\\n' $prefix$names
    case files
      if test -n "$prefix"
        __fish_complete_path (string replace -- $prefix '' $current) | string replace --regex -- '^' $prefix
      else
        __fish_complete_path $current
      end
  end
  if test -z "$flag"
    test $position -eq 1; and __valetkey_below $verbs
    if test -z "$ended"; and string match --quiet -- '-*' $current
      __valetkey_flags $verbs
    end
  end
end

complete --command valetkey --no-files --arguments '(__valetkey_complete)'
`;
}
