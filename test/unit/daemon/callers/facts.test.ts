import { describe, expect, it } from 'vitest';
import { sessionFactsFrom } from '../../../../daemon/callers/facts.ts';
import type { RawFacts } from '../../../../daemon/callers/facts.ts';
import type { SessionFacts } from '../../../../daemon/core/domain.ts';

const LOCAL = { isActive: true, isRemote: false, type: 'wayland', class: 'user' };
/** A terminal on a desktop. */
const DESKTOP: RawFacts = {
  environment: new Map([['WAYLAND_DISPLAY', 'wayland-0']]),
  hasTerminal: true,
  isUnattended: false,
  isForwarded: false,
  ancestors: ['bash', 'gnome-terminal-', 'systemd', 'systemd'],
  cgroup: '0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker-desktop.service\n',
  hasContainerMark: false,
  isInOtherNamespace: false,
  osRelease: '6.12.0-amd64',
  hasDisplay: true,
  logind: LOCAL,
  hasDesktop: true,
  browser: 'graphical',
  interactiveUsers: 1,
};
const ON_DESKTOP: SessionFacts = {
  automation: null, remote: false, container: false, wsl: null, vdi: false, sharedHost: false,
  gui: 'active', browser: 'graphical', tty: true, serviceSession: false, ide: false, forwarded: false,
};
const env = (...names: readonly string[]): Partial<RawFacts> => ({ environment: new Map(names.map((name) => [name.replace(/=.*/, ''), name.includes('=') ? name.replace(/^[^=]*=/, '') : 'x'])) });
const HEADLESS: Partial<RawFacts> = { hasDisplay: false, hasDesktop: false, logind: null };

type Row = readonly [string, Partial<RawFacts>, Partial<SessionFacts>];
const ROWS: readonly Row[] = [
  ['a terminal on a desktop', {}, {}],
  ['a desktop without logind', { logind: null }, {}],
  ['a desktop program without terminal', { hasTerminal: false }, { tty: false }],
  ['a service with the display of a desktop', { hasTerminal: false, isUnattended: true }, { automation: 'workload', tty: false }],
  ['a person at a terminal that a service gave them', { isUnattended: true }, {}],
  ['a service whose environment cannot be read', { environment: null, hasTerminal: false, isUnattended: true }, { automation: 'workload', gui: 'none', browser: 'unknown', tty: false }],

  ...['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'TF_BUILD', 'JENKINS_URL', 'BUILDKITE'].map((name): Row => [`${name} set`, env(name), { automation: name }]),
  ['two CI marks', env('GITHUB_ACTIONS=true', 'CI=true'), { automation: 'CI' }],
  ['CI=false', env('CI=false'), {}],
  ['CI=0', env('CI=0'), {}],
  ['an empty CI', env('CI='), {}],
  ['cron: neither terminal nor display', { ...HEADLESS, hasTerminal: false }, { automation: 'no_human_channel', gui: 'none', tty: false }],
  ['a CI mark without terminal', { ...HEADLESS, hasTerminal: false, ...env('BUILDKITE=true') }, { automation: 'BUILDKITE', gui: 'none', tty: false }],
  ['a console without display', HEADLESS, { gui: 'none' }],
  ['a display of a session that is not in front, without terminal', { hasTerminal: false, logind: { ...LOCAL, isActive: false } }, { gui: 'inactive', tty: false }],

  ...['SSH_CONNECTION', 'SSH_TTY', 'SSH_CLIENT'].map((name): Row => [`${name} set`, { ...HEADLESS, ...env(name) }, { remote: true, gui: 'none' }]),
  ['an empty SSH_TTY', env('SSH_TTY='), {}],
  ...['sshd', 'sshd-session', 'dropbear', 'mosh-server', 'tailscaled'].map((name): Row => [`${name} among the parents`, { ancestors: ['bash', name, 'systemd'] }, { remote: true }]),
  ['a program whose name only begins so', { ancestors: ['sshd-agent-x', 'sshd2'] }, {}],
  ['a caller over SSH to its own desktop', { ...env('SSH_CONNECTION', 'DISPLAY=:0'), ancestors: ['bash', 'sshd'] }, { remote: true }],
  ['a caller over SSH, of a user whose desktop is here', { ...HEADLESS, ...env('SSH_CONNECTION'), hasDesktop: true }, { remote: true, gui: 'inactive' }],
  ['a console, of a user whose desktop is here', { ...HEADLESS, hasDesktop: true }, { gui: 'none' }],
  ['a connection that ssh passed on', { isForwarded: true }, { forwarded: true }],
  ['the terminal of an editor', env('VSCODE_IPC_HOOK_CLI'), { ide: true }],
  ['a remote session by logind', { hasDisplay: false, hasDesktop: false, logind: { isActive: true, isRemote: true, type: 'tty', class: 'user' } }, { remote: true, gui: 'none' }],

  ['a container mark', { hasContainerMark: true }, { container: true }],
  ['another namespace', { isInOtherNamespace: true }, { container: true }],
  ...['KUBERNETES_SERVICE_HOST', 'REMOTE_CONTAINERS', 'CODESPACES', 'container'].map((name): Row => [`${name} set`, env(name), { container: true, ide: /^(REMOTE|CODE)/.test(name) }]),
  ...[
    '12:pids:/docker/0123456789ab', '0::/system.slice/docker-0123456789abcdef.scope', '0::/kubepods.slice/kubepods-pod1.slice', '0::/kubepods/besteffort',
    '0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-0123.scope', '0::/lxc.payload.web', '4:cpu:/lxc/web', '0::/system.slice/crio-0123.scope',
    '0::/system.slice/cri-containerd-0123.scope',
  ].map((cgroup): Row => [`cgroup ${cgroup}`, { cgroup }, { container: true }]),
  ['the service of a container engine on the host', { cgroup: '0::/system.slice/docker.service' }, {}],
  ['a container runtime among the parents', { ancestors: ['sh', 'containerd-shim'] }, { container: true }],

  ['WSL by the kernel', { osRelease: '5.15.153.1-microsoft-standard-WSL2', ...env('WSL_INTEROP') }, { wsl: { interop: true } }],
  ['WSL without interop', { osRelease: '4.4.0-19041-Microsoft' }, { wsl: { interop: false } }],
  ['WSL by a variable', env('WSL_DISTRO_NAME'), { wsl: { interop: false } }],

  ['XRDP', env('XRDP_SESSION'), { vdi: true }],
  ['a terminal of ssh with the display of XRDP', env('XRDP_SESSION', 'SSH_TTY'), { remote: true }],
  ['Horizon', env('ViewClient_Machine_Name'), { vdi: true }],
  ['a Citrix session', env('SESSIONNAME=ICA-TCP#1'), { vdi: true }],
  ['the console session', env('SESSIONNAME=Console'), {}],
  ['a remote desktop by logind', { logind: { ...LOCAL, isRemote: true, type: 'x11' } }, { vdi: true, remote: true, gui: 'inactive' }],

  ['two users at once', { interactiveUsers: 2 }, { sharedHost: true }],
  ['cron with a session of its own', { ...HEADLESS, hasTerminal: false, logind: { isActive: true, isRemote: false, type: 'unspecified', class: 'background' } }, { serviceSession: true, automation: 'no_human_channel', gui: 'none', tty: false }],
  ['no browser', { browser: 'none' }, { browser: 'none' }],

  ['an environment that cannot be read', { environment: null }, { gui: 'none', browser: 'unknown' }],
  ['the same without terminal', { environment: null, hasTerminal: false }, { gui: 'none', browser: 'unknown', tty: false }],
  ['the same below sshd, in a container', { environment: null, ancestors: ['sshd'], hasContainerMark: true, hasDesktop: false }, { gui: 'none', browser: 'unknown', remote: true, container: true }],
];

describe('sessionFactsFrom', () => {
  it.each(ROWS)('%s', (_, raw, facts) => {
    expect(sessionFactsFrom({ ...DESKTOP, ...raw })).toEqual({ ...ON_DESKTOP, ...facts });
  });
});
