/**
 * Programs that mean something in the chain above a caller, as data. Names are those of the executable's file
 * where it can be read, else the kernel's of at most 15 bytes; both can be chosen by whoever starts the program.
 * So nothing here proves anything: what a name loosens, any program of the user could have, too.
 */

/** Valetkey's own: whoever started them is who asks. More of them come with each helper protocol. */
export const OWN_PROGRAMS: ReadonlySet<string> = new Set([
  'valetkey', 'valetkey.cjs', 'git-credential-valetkey', 'docker-credential-valetkey',
]);

/** Parts of git that it starts to do the work: `git fetch` is git. */
export const GIT_PARTS = /\/git-core\/git-(remote-[a-z]+|credential[a-z-]*)$/;

/** The other end of a forwarded socket: `ssh -R` on this side, sshd on the far one. */
export const SSH_PROGRAMS: ReadonlySet<string> = new Set(['ssh', 'sshd', 'sshd-session', 'sshd-auth', 'dropbear', 'dbclient', 'plink', 'tailscaled']);

/** Names as the kernel keeps them, 15 bytes at most. sshd-session: OpenSSH 9.8 and newer. */
export const REMOTE_LOGIN = /^(sshd|sshd-session|sshd-auth|dropbear|mosh-server|etterminal|tailscaled|telnetd|in\.telnetd)$/;

/** Runtimes of containers, as the kernel names them. */
export const CONTAINER_RUNTIME = /^(containerd-shim|conmon|systemd-nspawn|lxc-start|docker-init)/;

/** What opens a login session, or is one: above it is only the machine. */
export const LOGIN_LEADER = new RegExp(`${REMOTE_LOGIN.source}|^(login|agetty|getty|systemd|gdm-session-wor(ker)?|gdm-x-session|gdm-wayland-ses(sion)?|sddm-helper|lightdm|xdm|lxdm|ly|greetd|xinit|startx|xrdp-sesman|SessionLeader)$`);

/** Runs things when nobody is there: cron and its kin, the runners of CI services, and our own daemon, which runs hooks. */
export const SCHEDULER = /^(valetkeyd(\.cjs)?|cron|crond|anacron|atd|fcron|dcron|Runner\.(Listener|Worker)|Agent\.(Listener|Worker)|gitlab-runner|buildkite-agent|act_runner|forgejo-runner|woodpecker-agent|agent\.jar|remoting\.jar)$/;

/**
 * Where people live: desktops, terminals, multiplexers, editors. They go on when what started them has ended, on purpose,
 * so a parent that ended says nothing about them.
 */
export const HOME = /^(gnome-shell|plasmashell|kwin_(wayland|x11)|sway|Hyprland|hyprland|i3|labwc|niri|river|wayfire|cinnamon|xfce4-(session|panel)|mate-(session|panel)|lxqt-(session|panel)|tmux(: server)?|screen|SCREEN|zellij|dtach|abduco|gnome-terminal-?(server)?|ptyxis(-agent)?|kgx|konsole|yakuake|kitty|alacritty|foot(server)?|ghostty|wezterm-(gui|mux.*)|xterm|u?rxvtd?|st|terminator|tilix|xfce4-terminal|mate-terminal|lxterminal|qterminal|code(-insiders)?|codium|cursor|windsurf|zed(-editor)?|emacs(-.*)?|idea|goland|pycharm|webstorm|rider|clion)$/;

/** Units of the user's own manager that hold programs of a desktop (systemd's conventions for desktop environments). */
export const DESKTOP_SERVICE = /^(app-.+|gnome-terminal-server|org\.gnome\.Shell@.+|gnome-shell.*|plasma-.+|xfce4-.+|emacs)\.service$/;
