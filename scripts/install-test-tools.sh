#!/bin/sh
# Installs what some tests need from the system, where that may be done: on Debian and its kin, as root.
# Elsewhere it says which tests will be skipped, and why. It never fails: a test that lacks its tool skips
# itself and says so.
set -u

# command | Debian package | tests that need it
tools='
gnome-keyring-daemon|gnome-keyring|vault: the OS keychain
dbus-run-session|dbus|vault: the OS keychain
busctl|systemd|callers: the login session
dbus-monitor|dbus|approvals: a notification on a real bus
pinentry-curses|pinentry-curses|approvals: a real dialog at a terminal
pinentry-gtk-2|pinentry-gtk2|approvals: a real dialog on a display
Xvfb|xvfb|approvals: a real dialog on a display
xdotool|xdotool|approvals: a real dialog on a display
chromium|chromium|loopback: pages in a real browser
unshare|util-linux|loopback and platform: second networks, mounts and containers
setpriv|util-linux|platform: protections against the same user
/usr/sbin/sshd|openssh-server|sign-ins and sockets over ssh
ssh|openssh-client|sign-ins and sockets over ssh
kubectl|kubernetes-client|credential helpers: kubectl
skopeo|skopeo|credential helpers: podman and skopeo
aws|awscli|credential helpers: the AWS CLI
pip|python3-pip|credential helpers: pip
cargo|cargo|credential helpers: cargo
curl|curl|credential helpers: curl
msmtp|msmtp|credential helpers: mail
script|bsdutils|demo and client: a terminal where there is none
ip|iproute2|loopback: a network without IPv4
ss|iproute2|ipc and loopback: open ports
python3|python3|clients: the module in Python
curl|curl|clients: the shell function
strace|strace|files and children of the daemon
openssl|openssl|issuer: certificates
mkfifo|coreutils|logs: files that are none
zsh|zsh|completion: in zsh
fish|fish|completion: in fish
man|man-db|manual pages: as a reader sees them
mandoc|mandoc|manual pages: a second judge of their form
dpkg-deb|dpkg|packages: the Debian package
gcc|gcc|launcher: all of it
musl-gcc|musl-tools|launcher: the static program that is shipped (else another one is tested)
valgrind|valgrind|launcher: memory
systemd-socket-activate|systemd|service: sockets that systemd passes on
systemd-analyze|systemd|service: the unit files
/usr/lib/systemd/systemd|systemd|service: a real systemd of a user
nsenter|util-linux|service: a real systemd of a user
flock|util-linux|service: who holds the lock
plistutil|libplist-utils|service: the agent of launchd
'

list_missing() {
  echo "$tools" | while IFS='|' read -r command package tests; do
    [ -n "$command" ] && ! command -v "$command" >/dev/null 2>&1 && echo "$command|$package|$tests"
  done
}

# What Debian does not have, each in one version, so that a test means the same tomorrow.
install_others() {
  if ! command -v uv >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] && pip install --quiet --disable-pip-version-check --root-user-action=ignore uv==0.9.5 >/dev/null 2>&1 </dev/null
    command -v uv >/dev/null 2>&1 || echo 'test tools: tests that cannot run here: credential helpers: no uv (PyPI package uv)'
  fi
  if ! command -v pnpm >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] && npm install --global --silent --ignore-scripts pnpm@10.19.0 >/dev/null 2>&1 </dev/null
    command -v pnpm >/dev/null 2>&1 || echo 'test tools: tests that cannot run here: credential helpers: no pnpm (npm package pnpm)'
  fi
}

missing=$(list_missing)
if [ -z "$missing" ]; then
  install_others
  exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  packages=$(echo "$missing" | cut -d'|' -f2 | sort -u | tr '\n' ' ')
  echo "test tools: installing $packages"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 -- a list of words
  if ! { apt-get -qq update && apt-get -qq install -y --no-install-recommends $packages; } </dev/null >/dev/null 2>&1; then
    echo 'test tools: apt-get did not succeed'
  fi
  missing=$(list_missing)
fi

install_others
if [ -n "$missing" ]; then
  echo 'test tools: tests that cannot run here'
  echo "$missing" | while IFS='|' read -r command package tests; do
    echo "  $tests: no $command (Debian package $package)"
  done
fi
exit 0
