/** Where a caller comes from, by the real adapter on real processes of this machine. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, realpathSync, renameSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import type { Caller } from '../../daemon/core/domain.ts';
import { boundMs } from '../support/bound.ts';
import { firstLine } from '../support/built-platform.ts';
import { isLeftBehind } from '../support/whose-run.ts';
import { Processes } from '../support/processes.ts';

const uid = process.getuid?.() ?? -1;
const SH = realpathSync('/bin/sh');
let callers: ReturnType<typeof createCallers>;
let processes: Processes;

beforeEach(() => {
  processes = new Processes();
  callers = createCallers({ loginctl: async () => null, ownCli: [] });
});
afterEach(async () => {
  callers.close();
  await processes.end();
});

async function attested(pid: number): Promise<Caller> {
  return await callers.attest({ uid, pid }, null) ?? expect.unreachable(`process ${pid} is gone`);
}

const areLeftBehind = await isLeftBehind();
if (areLeftBehind) console.log('skipped: processes whose parents live; what started these tests has ended, and all that they start counts as left behind');

/** The shell waits, so that it does not become its last command. */
const BELOW = 'sleep 1000 & echo $!; wait';

describe('lineage', () => {
  it('names the processes above a caller, the nearest first, with scripts and start times', async () => {
    const script = processes.file('outer.sh', `sh -c '${BELOW}'\ntrue\n`);
    const { origin, startTime } = await attested(await processes.startAbove('sh', ['-x', script]));
    expect(origin.lineage.slice(0, 3)).toMatchObject([{ executable: SH, script: null, name: 'sh' }, { executable: SH, script, name: 'sh' }, { pid: process.pid }]);
    const starts = origin.lineage.map((link) => Number(link.startTime));
    expect(starts.every((start, at) => start <= (starts[at - 1] ?? Number(startTime)))).toBe(true);
  });

  it('is cut at 64 of two hundred parents, and is read in no time', async () => {
    const script = processes.file('deep.sh', 'if [ "$1" -gt 0 ]; then sh "$0" $(($1 - 1)); else sleep 1000 & echo $!; wait; fi; true\n');
    const pid = await processes.startAbove('sh', [script, '200']);
    expect((await attested(pid)).origin).toMatchObject({ lineage: { length: 64 }, isOrphan: true, class: 'workload' });
    const again = processes.stray((await processes.start('/bin/sleep', ['1000'])).pid);
    const before = process.hrtime.bigint();
    await attested(again);
    expect(Number(process.hrtime.bigint() - before) / 1e6).toBeLessThan(boundMs(250));
  });

  it('holds 64 descriptors at most, and lets go of them', async () => {
    const held = (): number => readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return /^\/proc\/\d+\/stat$/.test(readlinkSync(`/proc/self/fd/${fd}`));
      } catch {
        return false;
      }
    }).length;
    const before = held();
    const script = processes.file('deep.sh', 'if [ "$1" -gt 0 ]; then sh "$0" $(($1 - 1)); else sleep 1000 & echo $!; wait; fi; true\n');
    const leaves = [await processes.startAbove('sh', [script, '40']), await processes.startAbove('sh', [script, '40'])];
    for (const leaf of [...leaves, ...leaves]) expect((await attested(leaf)).origin.lineage.length).toBeGreaterThan(40);
    expect(held() - before).toBeGreaterThan(32);
    expect(held() - before).toBeLessThanOrEqual(64 + leaves.length);
    callers.close();
    expect(held()).toBe(before);
  });

  it('keeps nothing of a parent that became another program', async () => {
    const agent = processes.copy('/bin/sh', 'claude');
    const shell = await processes.start('sh', ['-c', `sleep 1000 & echo $!; read line; exec ${agent} -c '${BELOW}; true'`]);
    const first = await attested(processes.stray(await firstLine(shell)));
    expect(first.origin).toMatchObject({ agent: null, lineage: [{ pid: shell.pid, executable: SH }, {}, ...first.origin.lineage.slice(2)] });
    const said = firstLine(shell);
    shell.stdin?.write('go\n');
    const second = await attested(processes.stray(await said));
    expect(second.origin).toMatchObject({ class: 'agent', agent: 'Claude Code' });
    expect(second.origin.lineage[0]).toMatchObject({ pid: shell.pid, executable: agent });
  });

  it('names the leader of the session, and none that has ended', async () => {
    const leader = await processes.start('sh', ['-c', BELOW], { detached: true });
    const pid = processes.stray(await firstLine(leader));
    const { origin } = await attested(pid);
    expect(origin.sessionLeader).toEqual({ pid: leader.pid, startTime: origin.lineage[0]?.startTime });
    leader.kill('SIGKILL');
    await expect.poll(async () => (await attested(pid)).origin.sessionLeader).toBeNull();
  });
});

describe('an agent', () => {
  const DEEP = 'if [ "$1" -gt 0 ]; then sh "$0" $(($1 - 1)); else sleep 1000 & echo $!; wait; fi; true\n';

  it('[IP-10] does not get out of sight by starting one shell below the other', async () => {
    const agent = processes.copy('/bin/sh', 'claude');
    const script = processes.file('deep.sh', DEEP);
    expect((await attested(await processes.startAbove(agent, ['-c', `sh ${script} 5; true`]))).origin).toMatchObject({ class: 'agent' });
    const { origin } = await attested(await processes.startAbove(agent, ['-c', `sh ${script} 70; true`]));
    expect(origin).toMatchObject({ agent: null, isOrphan: true, class: 'workload' });
  });

  it('[IP-10] does not get out of sight behind a parent that becomes one program after the other', async () => {
    const agent = processes.copy('/bin/sh', 'claude');
    const restless = processes.file('restless.sh', '[ "$1" = first ] && { sleep 1000 & echo $!; }\nexec sh "$0" again >&- 2>&-\n');
    const pid = await processes.startAbove(agent, ['-c', `sh ${restless} first; true`]);
    processes.stray(Number(/\) \w (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]));
    for (let look = 0; look < 100; look += 1) {
      callers.close(); // nothing of it is known from before
      const { origin } = await attested(pid);
      expect(origin.agent === 'Claude Code' || origin.isOrphan, JSON.stringify(origin)).toBe(true);
    }
  });
});

describe('an orphan', () => {
  it.each([
    ['that its shell left in the background', 'sleep 1000 & echo $!'],
    ['in a session of its own', 'setsid sleep 1000 & echo $!'],
    ['whose shell left it two floors up', "(sh -c 'sleep 1000 & echo $!; wait' &)"],
  ] as const)('[IP-10] is told: %s', async (_, command) => {
    const shell = await processes.start('sh', ['-c', command], { detached: true });
    const pid = processes.stray(await firstLine(shell));
    await expect.poll(async () => (await attested(pid)).origin.isOrphan).toBe(true);
    expect((await attested(pid)).origin.class).toBe('workload');
    expect(callers.classReason(await attested(pid))).toContain('has ended');
  });

  it.skipIf(areLeftBehind)('is told of a process that was known before it was left behind', async () => {
    const shell = await processes.start('sh', ['-c', BELOW], { detached: true });
    const pid = processes.stray(await firstLine(shell));
    for (let look = 0; look < 4; look += 1) expect((await attested(pid)).origin.isOrphan).toBe(false);
    expect(callers.attest({ uid, pid }, null)).not.toBeInstanceOf(Promise); // it is known
    shell.kill('SIGKILL');
    await once(shell, 'exit');
    expect((await attested(pid)).origin.isOrphan).toBe(true);
  });

  it.skipIf(areLeftBehind)('is none while its parents live, nor below a multiplexer that outlives its starter', async () => {
    expect((await attested(await processes.startAbove('sh', ['-c', BELOW], { detached: true }))).origin.isOrphan).toBe(false);
    const tmux = processes.copy('/bin/sh', 'tmux');
    const shell = await processes.start('sh', ['-c', `setsid ${tmux} -c '${BELOW}' & exit`], { detached: true });
    const pid = processes.stray(await firstLine(shell));
    await expect.poll(async () => (await attested(pid)).origin.lineage[1]?.pid !== shell.pid).toBe(true);
    const { origin } = await attested(pid);
    expect(origin).toMatchObject({ isOrphan: false, lineage: [{ executable: tmux }, ...origin.lineage.slice(1)] });
    processes.stray(origin.lineage[0]?.pid ?? 0);
  });

  it.skipIf(areLeftBehind)('is none where a program above takes in orphans, and what stood between is out of sight, as SECURITY.md says (control)', async ({ skip }) => {
    if (spawnSync('python3', ['-c', 'import ctypes']).status !== 0) skip('python3 is not here');
    const agent = processes.copy('/bin/sh', 'claude');
    // PR_SET_CHILD_SUBREAPER is 36.
    const reaper = await processes.start('python3', ['-c', `
import ctypes, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.run([sys.argv[1], '-c', 'setsid sleep 1000 & echo $!'])
sys.stdin.read()
`, agent]);
    const pid = processes.stray(await firstLine(reaper));
    await expect.poll(async () => (await attested(pid)).origin.lineage[0]?.pid).toBe(reaper.pid);
    expect((await attested(pid)).origin).toMatchObject({ agent: null, isOrphan: false });
  });
});

describe('an agent', () => {
  it.skipIf(areLeftBehind)('is told by its script, and so is all that it starts', async () => {
    const cli = processes.file('node_modules/@anthropic-ai/claude-code/cli.js', `require('node:child_process').spawn('sh', ['-c', ${JSON.stringify(`${BELOW}; true`)}], { stdio: 'inherit' })`);
    const { origin } = await attested(await processes.startAbove(process.execPath, ['--no-warnings', cli]));
    expect(origin).toMatchObject({ class: 'agent', agent: 'Claude Code', isOrphan: false });
    expect(origin.lineage.slice(0, 2)).toMatchObject([{ name: 'sh' }, { executable: realpathSync(process.execPath), script: cli }]);
  });

  it('is not believed to be none because it names itself otherwise', async () => {
    const agent = processes.copy('/bin/sh', 'codex');
    const { origin } = await attested(await processes.startAbove(agent, ['-c', BELOW], { argv0: 'vim' }));
    expect(origin.agent).toBe('Codex CLI');
  });
});

describe('the program', () => {
  it('is who runs a shell that runs valetkey, and not the shell, nor node', async () => {
    const cli = processes.file('valetkey.cjs', "console.log(process.pid); setInterval(() => {}, 1000);");
    callers = createCallers({ loginctl: async () => null, ownCli: [cli] });
    const git = processes.copy('/bin/sh', 'git');
    const deploy = processes.file('deploy', `sh -c '${process.execPath} ${cli}; true'; true\n`);
    const caller = await attested(await processes.startAbove(git, [deploy]));
    expect(caller).toMatchObject({ script: cli, label: expect.stringMatching(/^valetkey /) as string });
    expect(caller.origin.program).toEqual({ executable: git, script: null });
  });

  it('is the caller itself where that is no shell and no part of valetkey', async () => {
    const pid = await processes.startAbove('sh', ['-c', BELOW]);
    // Its number is told before it has become that program.
    await expect.poll(async () => (await attested(pid)).origin.program).toEqual({ executable: realpathSync('/bin/sleep'), script: null });
  });

  it('of java is its source or jar', async ({ skip }) => {
    if (spawnSync('java', ['--version']).status !== 0) skip('there is no java here');
    const source = processes.file('Tool.java', 'class Tool { public static void main(String[] a) throws Exception { System.out.println("ready"); Thread.sleep(1000000); } }');
    const java = await processes.start('java', ['-Xmx64m', '-Dx=y', 'Tool.java']);
    const said = await firstLine(java).catch(() => null);
    if (said === null) skip('java runs no source file here');
    expect((await attested(java.pid)).script).toBe(source);
  }, 30_000);
});

describe('ssh', () => {
  it('above a caller is a remote login', async () => {
    const sshd = processes.copy('/bin/sh', 'sshd');
    expect((await attested(await processes.startAbove(sshd, ['-c', BELOW]))).origin).toMatchObject({ remote: true, forwarded: false });
    expect((await attested(await processes.startAbove('sh', ['-c', BELOW]))).origin.remote).toBe(false);
  });

  it.each(['ssh', 'sshd'])('[IP-12] as the caller itself is a forwarded socket: %s', async (name) => {
    const ssh = await processes.start(processes.copy('/bin/sleep', name), ['1000']);
    expect((await attested(ssh.pid)).origin).toMatchObject({ forwarded: true });
  });
});

describe('a container', () => {
  it.for([['mount', '-m'], ['pid', '-pf']] as const)('[IP-12] is told by a %s namespace of its own', async ([, flags], { skip }) => {
    const plain = await processes.start('/bin/sleep', ['1000']);
    expect((await attested(plain.pid)).origin.container).toBe(false);
    const apart = await processes.start('unshare', [...(uid === 0 ? [] : ['-Ur']), flags, '/bin/sh', '-c', 'echo ready; sleep 1000; true']);
    const said = await firstLine(apart).catch(() => null);
    if (said === null) skip('unshare may not make a namespace here');
    const firstBelow = (): string => readFileSync(`/proc/${apart.pid}/task/${apart.pid}/children`, 'utf8').split(' ')[0] ?? '';
    await expect.poll(firstBelow).not.toBe('');
    expect((await attested(processes.stray(firstBelow()))).origin.container).toBe(true);
  });
});

describe('a person', () => {
  it.skipIf(areLeftBehind)('is who has a terminal, and not who has none', async () => {
    const terminal = await processes.start('script', ['-qec', `sh -c '${BELOW}'`, '/dev/null'], { detached: true });
    const { origin, terminal: tty } = await attested(processes.stray(await firstLine(terminal)));
    expect({ class: origin.class, hasTerminal: tty !== null }).toEqual({ class: origin.unit?.endsWith('.service') === true ? 'workload' : 'human', hasTerminal: true });
  });

  it('is nobody below cron', async () => {
    const cron = processes.copy('/bin/sh', 'cron');
    const { origin } = await attested(await processes.startAbove('script', ['-qec', `${cron} -c '${BELOW}; true'`, '/dev/null']));
    expect(origin.class).toBe('workload');
  });
});

describe('the digest', () => {
  const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

  it('is not known before somebody needs it, and then at once for all who run the file', async () => {
    const tool = processes.copy('/bin/sleep', 'tool');
    const one = await attested((await processes.start(tool, ['1000'])).pid);
    expect(one.origin.digest).toBeNull();
    expect(await callers.digestOf(one)).toBe(sha256(tool));
    expect((await attested((await processes.start(tool, ['1000'])).pid)).origin.digest).toBe(sha256(tool));
  });

  it('is that of the file that runs, whatever stands at its path by now', async () => {
    const tool = processes.copy('/bin/sleep', 'tool');
    const before = sha256(tool);
    const caller = await attested((await processes.start(tool, ['1000'])).pid);
    renameSync(processes.copy('/bin/cat', 'other'), tool);
    expect(await callers.digestOf(caller)).toBe(before);
    expect(sha256(join(processes.dir, 'tool'))).not.toBe(before);
  });

  it('is that of the program, not of the shell that it uses', async () => {
    const tool = processes.copy('/bin/sh', 'tool');
    const caller = await attested(await processes.startAbove(tool, [processes.file('run', `sh -c 'exec sh -c "echo \\$\\$; read line"'; true\n`)], { stdio: ['pipe', 'pipe', 'ignore'] }));
    expect(caller.origin.program.executable).toBe(tool);
    expect(await callers.digestOf(caller)).toBe(sha256(tool));
  });

  it('is none of a process that has ended', async () => {
    const child = await processes.start(processes.copy('/bin/sleep', 'tool'), ['1000']);
    const caller = await attested(child.pid);
    child.kill('SIGKILL');
    await expect.poll(() => callers.stillSame(caller)).toBe(false);
    expect(await callers.digestOf(caller)).toBeNull();
  });
});

describe('stillSame', () => {
  it('ends with the program, though the process goes on, known or not', async () => {
    for (const looks of [1, 4]) {
      const shell = await processes.start('sh', ['-c', 'echo ready; read line; exec sleep 1000']);
      await firstLine(shell);
      let caller = await attested(shell.pid);
      for (let look = 1; look < looks; look += 1) caller = await attested(shell.pid);
      expect(callers.stillSame(caller)).toBe(true);
      shell.stdin?.write('go\n');
      await expect.poll(() => callers.stillSame(caller)).toBe(false);
      expect(await attested(shell.pid)).toMatchObject({ pid: caller.pid, startTime: caller.startTime, executable: realpathSync('/bin/sleep') });
    }
  });

  it('ends with a program that becomes itself again', async () => {
    const script = processes.file('again.sh', 'echo ready; read line; exec sh again.sh\n');
    const shell = await processes.start('sh', [script]);
    await firstLine(shell);
    const caller = await attested(shell.pid);
    const said = firstLine(shell);
    shell.stdin?.write('go\n');
    await said;
    expect(callers.stillSame(caller)).toBe(false);
    expect(callers.stillSame(await attested(shell.pid))).toBe(true);
  });
});
