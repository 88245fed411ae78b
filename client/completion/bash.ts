/**
 * The completion script of bash (3.2 and later, no bash-completion needed). What the daemon answers is only ever
 * compared and kept: nothing in it is expanded, as `compgen -W` would do.
 */
import { keyOf, quoted, shownSpelling, slotRows } from './tables.ts';
import type { Place } from './words.ts';

export function bashScript(places: readonly Place[]): string {
  const words = (list: readonly string[]): string => quoted(list.join(' '));
  const at = places.map((place) => `    ${quoted(keyOf(place))}) below=${words(place.below.map(({ word }) => word))} flags=${words(place.flags.map(shownSpelling))} ;;`);
  const slots = slotRows(places).map(([key, answer]) => `    ${quoted(key)}) slot=${quoted(answer)} ;;`);
  return `# valetkey: completion for bash. Made by: valetkey completion bash

# What stands below the verbs so far, and their flags.
_valetkey_at() {
  below= flags=
  case "$1" in
${at.join('\n')}
    *) return 1 ;;
  esac
}

# What a flag of these verbs takes, or what their first, second, ... argument is.
_valetkey_slot() {
  slot=
  case "$1" in
${slots.join('\n')}
  esac
}

# Names come from the running daemon, or from the configuration. What is no plain word is none.
_valetkey_names() {
  local name
  while IFS= read -r name; do
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] && printf '%s\\n' "$name"
  done < <(command valetkey completion --names "$1" 2>/dev/null)
}

_valetkey_offer() {
  local word
  while IFS= read -r word; do
    [[ -n $word && $word == "$current"* ]] && COMPREPLY+=("$prefix$word")
  done
}

_valetkey() {
  local word verbs= below= flags= slot= flag= current= prefix= rest=$COMP_LINE position=1 i ended= IFS=$' \\t\\n'
  local -a words=()
  COMPREPLY=()
  # Readline splits at = and : too; what stands together on the line is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ i -gt 0 && -n $rest && $rest != [[:space:]]* ]]; then words[\${#words[@]}-1]+=$word; else words+=("$word"); fi
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    rest=\${rest#"$word"}
  done
  _valetkey_at ''
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ -n $flag ]]; then flag=
    elif [[ -z $ended && $word == -- ]]; then ended=1
    elif [[ -z $ended && $word == -* ]]; then
      _valetkey_slot "$verbs $word"
      if [[ -n $slot ]]; then flag=$word; fi
    elif _valetkey_at "\${verbs:+$verbs }$word"; then verbs=\${verbs:+$verbs }$word
    else position=$((position + 1)); _valetkey_at "$verbs"
    fi
  done
  current=\${words[\${#words[@]}-1]}
  if [[ -z $flag && -z $ended && $current == --*=* ]]; then
    flag=\${current%%=*} current=\${current#*=}
    # Where readline takes the = for part of the word, it is part of the answer.
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=$flag=
  fi
  if [[ -n $flag ]]; then _valetkey_slot "$verbs $flag"; else _valetkey_slot "$verbs $position"; fi
  case "$slot" in
    'words '*) _valetkey_offer < <(printf '%s\\n' \${slot#words }) ;;
    'names '*) _valetkey_offer < <(_valetkey_names "\${slot#names }") ;;
    files)
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
      ;;
  esac
  if [[ -z $flag ]]; then
    [[ position -eq 1 ]] && _valetkey_offer < <(printf '%s\\n' $below)
    [[ -z $ended && $current == -* ]] && _valetkey_offer < <(printf '%s\\n' $flags)
  fi
  return 0
}

complete -F _valetkey valetkey
`;
}
