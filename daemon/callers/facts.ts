/**
 * What the login session of a caller is like (requirements, section 19): a pure function of what was read
 * about the process, so that a recorded decision can be replayed. An environment that cannot be read says
 * nothing: no automation, no graphical session.
 */
import type { SessionFacts } from '../core/domain.ts';
import { parseCgroup } from './cgroup.ts';
import type { LogindSession } from './logind.ts';
import { CONTAINER_RUNTIME, REMOTE_LOGIN } from './programs.ts';

/** Variables of the caller, as it was started with them; only those of environment.ts. */
export type Environment = ReadonlyMap<string, string>;

export type RawFacts = {
  /** Null where it cannot be read. */
  readonly environment: Environment | null;
  readonly hasTerminal: boolean;
  /** Of the caller's class: nobody is there (cron, a service, CI). One that was left behind may be anybody's. */
  readonly isUnattended: boolean;
  /** Its connection was passed on by ssh. */
  readonly isForwarded: boolean;
  /** Names of the parent, its parent and so on. */
  readonly ancestors: readonly string[];
  /** Text of /proc/PID/cgroup. */
  readonly cgroup: string;
  /** Of the caller's machine: /.dockerenv, /run/.containerenv, /run/systemd/container. */
  readonly hasContainerMark: boolean;
  /** Its mount or pid namespace is not the daemon's. */
  readonly isInOtherNamespace: boolean;
  readonly osRelease: string;
  /** The socket of its display server is there. */
  readonly hasDisplay: boolean;
  /** Null where logind does not run or does not know. */
  readonly logind: LogindSession | null;
  /** The user has a graphical session on this machine, whether or not the caller is in it. */
  readonly hasDesktop: boolean;
  readonly browser: SessionFacts['browser'];
  /** Users of this machine who are logged in, of whom logind knows. */
  readonly interactiveUsers: number;
};

export const CI_VARIABLES = ['CI', 'GITHUB_ACTIONS', 'GITLAB_CI', 'TF_BUILD', 'JENKINS_URL', 'BUILDKITE'] as const;
export const SSH_VARIABLES = ['SSH_CONNECTION', 'SSH_TTY', 'SSH_CLIENT'] as const;
/** Editors that forward the ports of where they run things to where their window is. */
export const IDE_VARIABLES = ['REMOTE_CONTAINERS', 'CODESPACES', 'VSCODE_IPC_HOOK_CLI'] as const;
export const CONTAINER_VARIABLES = ['KUBERNETES_SERVICE_HOST', 'REMOTE_CONTAINERS', 'CODESPACES', 'container'] as const;

export function sessionFactsFrom(raw: RawFacts): SessionFacts {
  const environment: Environment = raw.environment ?? new Map();
  const holds = (name: string): boolean => (environment.get(name) ?? '') !== '';
  const logind = raw.logind;
  const isBySsh = SSH_VARIABLES.some(holds) || raw.ancestors.some((name) => REMOTE_LOGIN.test(name));
  const remote = isBySsh || logind?.isRemote === true;
  const gui = guiOf(raw);
  return {
    automation: automationOf(raw, environment, raw.hasTerminal || gui !== 'none'),
    remote,
    container:
      raw.hasContainerMark || raw.isInOtherNamespace || CONTAINER_VARIABLES.some(holds) ||
      parseCgroup(raw.cgroup).container !== null || raw.ancestors.some((name) => CONTAINER_RUNTIME.test(name)),
    wsl:
      /microsoft/i.test(raw.osRelease) || holds('WSL_DISTRO_NAME') || holds('WSL_INTEROP')
        ? { interop: holds('WSL_INTEROP') }
        : null,
    // Who is in a terminal of ssh is in front of no desktop, whatever display its variables name.
    vdi: !isBySsh && (
      holds('XRDP_SESSION') || [...environment.keys()].some((name) => name.startsWith('ViewClient_')) ||
      /^(RDP-Tcp|ICA-)/i.test(environment.get('SESSIONNAME') ?? '') ||
      (logind?.isRemote === true && (logind.type === 'x11' || logind.type === 'wayland'))
    ),
    sharedHost: raw.interactiveUsers > 1,
    // Rule 10: who came over the network is not in front of the desktop that is here.
    gui: gui === 'none' && remote && raw.hasDesktop ? 'inactive' : gui,
    browser: raw.environment === null ? 'unknown' : raw.browser,
    tty: raw.hasTerminal,
    serviceSession: !raw.hasTerminal && /^(background|manager)/.test(logind?.class ?? ''),
    ide: IDE_VARIABLES.some(holds),
    forwarded: raw.isForwarded,
  };
}

/** Where logind does not run, a display server whose socket is there is the best evidence that there is. */
function guiOf({ environment, hasDisplay, logind }: RawFacts): SessionFacts['gui'] {
  if (environment === null || !hasDisplay) return 'none';
  return logind === null || (logind.isActive && !logind.isRemote) ? 'active' : 'inactive';
}

function automationOf(raw: RawFacts, environment: Environment, hasHumanChannel: boolean): string | null {
  // CI=false and CI=0 are how people switch the mark off.
  const mark = CI_VARIABLES.find((name) => !['', 'false', '0'].includes((environment.get(name) ?? '').toLowerCase()));
  if (mark !== undefined) return mark;
  if (raw.environment !== null && !hasHumanChannel) return 'no_human_channel';
  return raw.isUnattended && !raw.hasTerminal ? 'workload' : null;
}
