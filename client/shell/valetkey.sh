# shellcheck shell=sh
# Access tokens of this user's authentication broker for POSIX shells, where there is curl and no `valetkey`: at the other
# end of ssh, in a container. To be sourced; nothing is run and no variable is set by that.
#
#   . valetkey.sh
#   token=$(valetkey_token work) || exit
#   printf 'header = "Authorization: Bearer %s"\n' "$token" | curl -K - https://api.example.com/v1
#
# valetkey_token PROFILE [SCOPE...]: prints an access token that lives a minute longer at least. Ask each time, and keep
# none. Its status: 0; 2 where it is called in a wrong way; 3 where a person has to sign in; 1 for all else. What went
# wrong, and the one next step, is on standard error. Neither request nor token stands in the arguments of a process.

valetkey_token() (
  set -f
  unset -v IFS
  LC_ALL=C
  export LC_ALL

  fail() { # STATUS WORDS [HINT]
    printf 'valetkey: %s\n' "$2" >&2
    [ -z "${3-}" ] || printf '%s\n' "$3" >&2
    exit "$1"
  }

  # Whether PATH is of the MODE that ls writes, and this user's. A socket of somebody else's might be a trap.
  is_own() {
    # shellcheck disable=SC2012,SC2046 # of what ls writes only the first and the third word are read
    set -- "$1" "$2" $(ls -ldn -- "$1" 2>/dev/null)
    [ "${3%.}" = "$2" ] && [ "$5" = "$(id -u)" ]
  }

  case ${1-} in
    '' | [!a-z0-9]* | *[!a-z0-9._-]*) fail 2 'usage: valetkey_token PROFILE [SCOPE...]' 'A profile is named by a-z, 0-9, ".", "_" and "-".' ;;
  esac
  body="{\"profile\":\"$1\""
  shift
  if [ $# -gt 0 ]; then
    list=
    for scope in "$@"; do
      # RFC 6749, section 3.3
      [ -n "$scope" ] && [ -z "$(printf %s "$scope" | tr -d '!#-[]-~')" ] || fail 2 'a scope is empty, or holds characters that no scope has'
      list="$list${list:+,}\"$scope\""
    done
    body="$body,\"scopes\":[$list]"
  fi
  body="$body}"

  case ${XDG_STATE_HOME-} in /*) state=${XDG_STATE_HOME%/}/valetkey ;; *) state=$HOME/.local/state/valetkey ;; esac
  case ${XDG_RUNTIME_DIR-} in /*) run=${XDG_RUNTIME_DIR%/}/valetkey ;; *) run=$state/run ;; esac
  # Where the running daemon says that it listens: a job of cron knows no XDG_RUNTIME_DIR.
  socket=
  if is_own "$state/lock" '-rw-------'; then socket=$(sed -n '1s/.*"socket":"\(\/[^"\\]*\)".*/\1/p' "$state/lock"); fi
  [ -e "${socket:-/nowhere}" ] || socket=$run/socket
  # The broker of another machine, that ssh or a container put here.
  if [ -n "${SSH_CONNECTION-}${SSH_CLIENT-}${SSH_TTY-}${REMOTE_CONTAINERS-}${CODESPACES-}${KUBERNETES_SERVICE_HOST-}${container-}" ] && [ -e "$run/forwarded" ]; then
    socket=$run/forwarded
  fi
  [ -e "$socket" ] || fail 1 "no daemon listens on $socket" 'Run: valetkey daemon start'
  is_own "${socket%/*}" drwx------ || fail 1 "${socket%/*} is not a directory of this user's with mode 0700; nothing was sent"
  is_own "$socket" srw------- || fail 1 "$socket is not a socket of this user's with mode 0600; nothing was sent"

  # -q: no curlrc decides what becomes of it.
  answer=$(printf '%s' "$body" | curl -q -sS --noproxy '*' --max-time 45 --unix-socket "$socket" \
    -H 'content-type: application/json' -H 'valetkey-protocol: 1' --data-binary @- http://localhost/v1/token) \
    || fail 1 "the daemon on $socket did not answer" 'Run: valetkey daemon status'

  # The text of a member, by its first mention: in a JSON string a quote has a backslash before it.
  member() {
    printf '%s\n' "$answer" | sed -n "1s/\"$1\":\"/\\
/
s/.*\\n\\(\\([^\"\\\\]*\\\\.\\)*[^\"\\\\]*\\)\".*/\\1/p" | sed 's/\\\(["\\]\)/\1/g'
  }
  token=$(member access_token)
  # RFC 6749, appendix A.12: what else would be put into a header ends it, and begins another. No escape is left in it.
  if [ -n "$token" ] && [ -z "$(printf %s "$token" | tr -d ' -[]-~')" ]; then
    printf '%s\n' "$token"
    exit 0
  fi
  code=$(member code)
  [ -n "$code" ] || fail 1 "what the daemon answered is no token and no problem" 'Run: valetkey daemon status'
  [ "$code" != login_required ] || fail 3 "$(member detail)" "$(member hint)"
  fail 1 "$(member detail)" "$(member hint)"
)
