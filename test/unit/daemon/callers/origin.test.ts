/** From chains as they are on desktops, servers and in CI to where a caller comes from. */
import { describe, expect, it } from 'vitest';
import { parseCgroup } from '../../../../daemon/callers/cgroup.ts';
import { rolesOf } from '../../../../daemon/callers/lineage.ts';
import type { Link } from '../../../../daemon/callers/lineage.ts';
import { judgeOrigin } from '../../../../daemon/callers/origin.ts';
import type { OriginFacts } from '../../../../daemon/callers/origin.ts';
import type { Origin } from '../../../../daemon/core/domain.ts';

/** `name session`, from the caller upwards; a name that begins with a slash is its executable, one with `-c` runs a command. */
function chainOf(lines: readonly string[], cgroup = '0::/'): readonly Link[] {
  const first = 1000 + lines.length;
  return lines.map((line, at) => {
    const [, text = '', isCommand, session] = /^(\S+)( -c)?(?: (\d+))?$/.exec(line) ?? [];
    const pid = at === lines.length - 1 ? 1 : first - at;
    const path = text.startsWith('/') ? text : null;
    const isAgent = text.endsWith('/claude');
    const name = path === null ? text : text.slice(text.lastIndexOf('/') + 1);
    const ancestor = { pid, startTime: String(pid), name: name.slice(0, 15), executable: path, script: null };
    return {
      ancestor, name, roles: rolesOf(ancestor, name, isCommand !== undefined),
      stat: {
        comm: '', isDead: false, parent: at === lines.length - 1 ? 0 : at === lines.length - 2 ? 1 : pid - 1, group: pid, session: session === undefined ? pid : Number(session),
        terminal: 0, foregroundGroup: -1, startTime: String(pid), image: null,
      },
      agent: isAgent ? 'Claude Code' : null, run: null,
      cgroup: parseCgroup(cgroup), isUnitMain: text.endsWith('/kate'),
    };
  });
}

const USER = '0::/user.slice/user-1000.slice';
const SESSION = `${USER}/session-3.scope`;
const app = (unit: string): string => `${USER}/user@1000.service/app.slice/${unit}`;

function judge([self, ...above]: readonly Link[], over: Partial<OriginFacts> = {}): { readonly origin: Origin; readonly why: string } {
  if (self === undefined) return expect.unreachable('an empty chain');
  return judgeOrigin({
    self, above, isWhole: true, sessionLeader: { pid: 2, startTime: '2' }, ownContainer: null, isInOtherNamespace: false, ownScripts: [], hasTerminal: false, ...over,
  });
}

type Row = readonly [string, readonly string[], { readonly cgroup?: string; readonly terminal?: boolean }, Partial<Origin>];
const ROWS: readonly Row[] = [
  ['a command in a terminal on a desktop', ['/usr/bin/git 1004', '/usr/bin/bash', '/usr/libexec/gnome-terminal-server', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: app('vte-spawn-1.scope'), terminal: true }, { class: 'human', isOrphan: false }],
  ['a command in a login at the console', ['/usr/bin/git 1003', '/usr/bin/bash', 'login', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'human' }],
  ['a command by ssh', ['/usr/bin/git', '/usr/bin/bash -c', 'sshd-session 1002', 'sshd-session', 'sshd', 'systemd'], { cgroup: SESSION }, { class: 'human', remote: true }],
  ['a command in tmux, whose server was left behind on purpose', ['/usr/bin/git 1003', '/usr/bin/bash', '/usr/bin/tmux', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'human', isOrphan: false }],
  ['a terminal in an editor that was started by `code .`', ['/usr/bin/git 1003', '/usr/bin/bash', '/usr/share/code/code 900', 'systemd'], { cgroup: app('app-gnome-code-1.scope'), terminal: true }, { class: 'human', isOrphan: false }],
  ['a program of the desktop without terminal', ['/usr/bin/tool', '/usr/bin/gnome-shell', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: app('app-gnome-tool-1.scope') }, { class: 'human' }],
  ['the program that a unit of the desktop was made for', ['/usr/bin/git 1004', '/usr/bin/kate', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: app('app-org.kde.kate@1.service') }, { class: 'human', isOrphan: false }],
  ['a terminal where there is no systemd', ['/usr/bin/git 1003', '/usr/bin/bash', '/usr/bin/xterm', 'process_one'], { terminal: true }, { class: 'human' }],
  ['what an agent started', ['/usr/bin/curl', '/usr/bin/bash -c', '/opt/claude', '/usr/bin/bash', 'login', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'agent', agent: 'Claude Code' }],
  ['what an agent started behind a false sshd', ['/usr/bin/curl', 'sshd', '/opt/claude', '/usr/bin/bash', 'login', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'agent', agent: 'Claude Code', remote: true }],
  ['a job of cron', ['/usr/bin/curl', '/usr/bin/dash -c', 'cron', 'systemd'], { cgroup: '0::/system.slice/cron.service' }, { class: 'workload', isOrphan: false }],
  ['a hook of a daemon that somebody runs at a terminal', ['/usr/bin/curl', '/usr/bin/valetkeyd 1003', '/usr/bin/bash', 'login', 'systemd'], { cgroup: SESSION }, { class: 'workload', isOrphan: false }],
  ['a job of cron with a terminal of its own making', ['/usr/bin/curl 1003', '/usr/bin/dash 1003', '/usr/bin/script', 'cron', 'systemd'], { terminal: true }, { class: 'workload' }],
  ['a service of the user', ['/home/ada/backup', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: app('backup.service') }, { class: 'workload', isOrphan: false }],
  ['a runner of CI', ['/usr/bin/curl', '/usr/bin/bash', '/opt/actions/Runner.Worker', '/opt/actions/Runner.Listener', 'systemd'], { terminal: true }, { class: 'workload' }],
  ['what was left in the background', ['/usr/bin/curl 900', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'workload', isOrphan: true }],
  ['what left in a session of its own', ['/usr/bin/curl', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: SESSION }, { class: 'workload', isOrphan: true }],
  ['what left the unit of a terminal', ['/usr/bin/curl', '/usr/lib/systemd/systemd', 'systemd'], { cgroup: app('app-org.kde.konsole@1.service') }, { class: 'workload', isOrphan: true }],
  ['what stands below one that was left behind', ['/usr/bin/curl 1002', '/usr/bin/dash 900', 'systemd'], { cgroup: SESSION, terminal: true }, { class: 'workload', isOrphan: true }],
  ['nothing known at all', ['/usr/bin/curl', 'process_one'], {}, { class: 'workload' }],
];

describe('judgeOrigin', () => {
  it.each(ROWS)('%s', (_, lines, over, expected) => {
    const { origin, why } = judge(chainOf(lines, over.cgroup), { hasTerminal: over.terminal ?? false });
    expect(origin).toMatchObject({ agent: null, ...expected });
    expect(why).not.toBe('');
  });

  it.each([
    [['/usr/bin/git 1', '/usr/bin/bash 1', 'systemd'], '/usr/bin/git'],
    [['/opt/valetkey 1', '/usr/bin/dash -c 1', '/usr/lib/git-core/git-remote-https 1', '/usr/bin/git 1', '/usr/bin/bash 1', 'systemd'], '/usr/bin/git'],
    [['/opt/git-credential-valetkey 1', '/usr/bin/git 1', '/usr/bin/bash 1', 'systemd'], '/usr/bin/git'],
    // At a prompt, the shell is the program; the terminal that it is in never is.
    [['/opt/valetkey 1', '/usr/bin/bash 1', '/usr/bin/konsole', 'systemd'], '/usr/bin/bash'],
    [['/opt/valetkey 1', '/usr/bin/bash -c 1', 'sshd-session', 'systemd'], '/usr/bin/bash'],
    [['/opt/valetkey', 'systemd'], '/opt/valetkey'],
  ] as const)('the program of %j is %s', (lines, executable) => {
    expect(judge(chainOf(lines)).origin.program.executable).toBe(executable);
  });

  it('the daemon\'s own container sets nobody apart', () => {
    const inside = chainOf(['/usr/bin/git', 'bash'], '0::/system.slice/docker-0123456789ab.scope');
    expect(judge(inside).origin.container).toBe(true);
    expect(judge(inside, { ownContainer: 'docker-0123456789ab.scope' }).origin.container).toBe(false);
    expect(judge(chainOf(['/usr/bin/git', 'bash']), { isInOtherNamespace: true }).origin.container).toBe(true);
    expect(judge(chainOf(['/usr/bin/git', 'containerd-shim', 'systemd'])).origin.container).toBe(true);
  });

  it.each([['/usr/bin/ssh', true], ['sshd-session', true], ['dropbear', true], ['/usr/bin/sshfs', false], ['/usr/bin/git', false]])('%s forwards a socket: %s', (name, forwarded) => {
    expect(judge(chainOf([name, '/usr/bin/bash', 'systemd'])).origin.forwarded).toBe(forwarded);
  });
});
