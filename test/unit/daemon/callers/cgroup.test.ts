import { describe, expect, it } from 'vitest';
import { parseCgroup } from '../../../../daemon/callers/cgroup.ts';

const USER = '/user.slice/user-1000.slice';

describe('parseCgroup', () => {
  it.each([
    [`0::${USER}/session-3.scope\n`, 'session-3.scope', true],
    [`0::${USER}/user@1000.service/app.slice/app-gnome-code-4711.scope\n`, 'app-gnome-code-4711.scope', false],
    [`0::${USER}/user@1000.service/app.slice/backup.service/payload\n`, 'backup.service', false],
    ['0::/system.slice/cron.service\n', 'cron.service', false],
    ['0::/\n', null, false],
    ['', null, false],
    // Version 1, and both: systemd's own tree is in one of them.
    [`4:memory:/x.service\n1:name=systemd:${USER}/session-c2.scope\n`, 'session-c2.scope', true],
    [`1:name=systemd:/\n0::${USER}/session-3.scope\n`, 'session-3.scope', true],
    [`1:name=systemd:/system.slice/ssh.service\n0::/\n`, 'ssh.service', false],
    // A user may name cgroups below his own manager as he likes: that makes no login session.
    [`0::${USER}/user@1000.service/session-3.scope\n`, 'session-3.scope', false],
    [`0::${USER}/user@1000.service/app.slice/a\u202eb.scope\n`, 'a b.scope', false],
  ])('%j: %s', (text, unit, isLoginSession) => {
    expect(parseCgroup(text)).toMatchObject({ unit, isLoginSession });
  });

  it.each([
    ['0::/system.slice/docker-0123456789abcdef.scope\n', 'docker-0123456789abcdef.scope'],
    ['12:pids:/docker/0123\n1:name=systemd:/\n', 'docker/0123'],
    ['0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n', 'kubepods.slice'],
    [`0::${USER}/user@1000.service/user.slice/libpod-1.scope/container\n`, 'libpod-1.scope'],
    [`0::${USER}/user@1000.service/app.slice/docker-desktop.service\n`, null],
  ])('names the container in %j', (text, container) => {
    expect(parseCgroup(text).container).toBe(container);
  });
});
