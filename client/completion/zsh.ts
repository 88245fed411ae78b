/** The completion script of zsh: as #compdef in a directory of $fpath, or sourced. */
import { keyOf, quoted, shownSpelling, slotRows } from './tables.ts';
import type { Place, Word } from './words.ts';

/** \`_describe\` takes WORD:DESCRIPTION, so a colon in the word is escaped. */
const described = ({ word, about }: Word): string => quoted(`${word.replaceAll(':', '\\:')}:${about}`);

export function zshScript(places: readonly Place[]): string {
  const at = places.map((place) => `    ${quoted(keyOf(place))})
      below=(${place.below.map(described).join(' ')})
      flags=(${place.flags.map((flag) => described({ word: shownSpelling(flag), about: flag.about })).join(' ')})
      ;;`);
  const slots = slotRows(places).map(([key, answer]) => `    ${quoted(key)}) slot=${quoted(answer)} ;;`);
  return `#compdef valetkey
# valetkey: completion for zsh. Made by: valetkey completion zsh

# What stands below the verbs so far, and their flags.
_valetkey_at() {
  below=() flags=()
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
  local -a names
  for name in "\${(@f)$(command valetkey completion --names "$1" 2>/dev/null)}"; do
    [[ $name =~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' ]] && names+=("$name")
  done
  compadd -a names
}

_valetkey() {
  local word verbs slot flag ended
  local -a below flags
  local -i i position=1
  _valetkey_at ''
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $flag ]]; then flag=
    elif [[ -z $ended && $word == -- ]]; then ended=1
    elif [[ -z $ended && $word == -* ]]; then
      _valetkey_slot "$verbs $word"
      [[ -n $slot ]] && flag=$word
    elif _valetkey_at "\${verbs:+$verbs }$word"; then verbs=\${verbs:+$verbs }$word
    else
      position+=1
      _valetkey_at "$verbs"
    fi
  done
  if [[ -z $flag && -z $ended && $PREFIX == --*=* ]]; then
    flag=\${PREFIX%%=*}
    compset -P 1 '*='
  fi
  if [[ -n $flag ]]; then _valetkey_slot "$verbs $flag"; else _valetkey_slot "$verbs $position"; fi
  case "$slot" in
    words\\ *) compadd -- \${(s: :)slot#words } ;;
    names\\ *) _valetkey_names "\${slot#names }" ;;
    files) _files ;;
  esac
  if [[ -z $flag ]]; then
    ((position == 1 && \${#below})) && _describe -t verbs verb below
    [[ -z $ended && $PREFIX == -* ]] && _describe -o -t flags flag flags
  fi
  return 0
}

if [[ $funcstack[1] == _valetkey ]]; then _valetkey "$@"; else compdef _valetkey valetkey; fi
`;
}
