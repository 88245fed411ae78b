/**
 * A caller that was looked at before is not read again, and nothing that it became since is missed: the real
 * adapter on real processes.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import { KnownProcesses } from '../../daemon/callers/known.ts';
import { readStat } from '../../daemon/callers/proc.ts';
import type { Caller } from '../../daemon/core/domain.ts';
import { peerOf } from '../../daemon/platform/peer.ts';
import { firstLine, kill } from '../support/built-platform.ts';
import { pidOf } from '../support/processes.ts';

const uid = process.getuid?.() ?? -1;
let callers: ReturnType<typeof createCallers>;
let dir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-known-')));
  callers = createCallers({ loginctl: async () => null, ownCli: [] });
});
afterEach(async () => {
  callers.close();
  for (const child of children.splice(0)) await kill(child);
  rmSync(dir, { recursive: true });
});

/** Starts a program, and waits for its first line, if it says one. */
async function start(command: string, args: readonly string[], says = true): Promise<ChildProcess & { pid: number }> {
  const child = spawn(command, args, { stdio: 'pipe', cwd: dir, env: { PATH: process.env['PATH'], HOME: dir, PWD: dir } });
  children.push(child);
  await once(child, 'spawn');
  if (says) await firstLine(child);
  if (child.pid === undefined) throw new Error('no pid');
  return Object.assign(child, { pid: child.pid });
}

/** A shell script that becomes the next of these commands at each line it reads. */
function shell(name: string, next: string): string {
  const path = join(dir, name);
  writeFileSync(path, `echo ready\nread line\n${next}\n`);
  return path;
}

/** What tests of other files in this process left open. */
const others = new Set(readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) !== '';
  } catch {
    return false; // the descriptor by which the folder is read
  }
}));

/** Processes whose memory is held. */
function held(): readonly number[] {
  return readdirSync('/proc/self/fd').filter((fd) => !others.has(fd)).flatMap((fd) => {
    try {
      return /^\/proc\/(\d+)\/environ$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // the descriptor by which the folder is read
    }
  }).map(Number);
}
const isKnown = (pid: number): boolean => held().includes(pid);

/** Looks until it is known, and does not let go of it with the next answer. */
async function known(pid: number): Promise<Caller> {
  for (let i = 0; i < 4; i += 1) {
    const found = await callers.attest({ uid, pid }, null) ?? expect.unreachable('it is gone');
    expect(callers.stillSame(found)).toBe(true);
    if (isKnown(pid)) return found;
  }
  return expect.unreachable('it is never known');
}

describe('a process that is known', () => {
  it('has the same facts as one that is looked at', async () => {
    const child = await start('/bin/sh', [shell('a.sh', 'sleep 100')]);
    const others = createCallers({ loginctl: async () => null, ownCli: [] });
    expect(await known(child.pid)).toEqual(await others.attest({ uid, pid: child.pid }, null));
    others.close();
    expect(await known(child.pid)).toMatchObject({ script: join(dir, 'a.sh') });
  });

  it('is looked at anew when it has become another program', async () => {
    const child = await start('/bin/sh', [shell('a.sh', 'exec sleep 1000')]);
    expect(await known(child.pid)).toMatchObject({ script: join(dir, 'a.sh') });
    child.stdin?.write('\n');
    await expect.poll(() => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8')).toContain('sleep');
    expect(await callers.attest({ uid, pid: child.pid }, null)).toMatchObject({ executable: realpathSync('/bin/sleep'), script: null });
    expect((await known(child.pid)).executable).toBe(realpathSync('/bin/sleep'));
  });

  it.each([
    ['', []],
    [', at the same addresses, by arguments of the same length', ['setarch', '-R']],
  ])('is looked at anew when it runs another script of the same interpreter%s', async (_, [command, ...args]) => {
    const second = shell('b.sh', 'sleep 1000');
    const first = shell('a.sh', `exec /bin/sh ${second}`);
    const child = await (command === undefined ? start('/bin/sh', [first]) : start(command, [...args, '/bin/sh', first]));
    expect(await known(child.pid)).toMatchObject({ script: first });
    const before = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(' ').slice(-8);
    child.stdin?.write('\n');
    await expect.poll(() => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8')).toContain('b.sh');
    // The control: only what is held of its memory tells the two apart.
    if (command !== undefined) expect(readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(' ').slice(-8)).toEqual(before);
    expect(await callers.attest({ uid, pid: child.pid }, null)).toMatchObject({ script: second, label: `b.sh (pid ${child.pid})` });
  });

  it('is gone when it has ended, also while nobody has collected it', async () => {
    const parent = await start('/bin/sh', ['-c', 'sh -c "echo \\$\\$ > pid; exec sleep 1000" & echo ready; exec sleep 1000']);
    await expect.poll(() => (readdirSync(dir).includes('pid') ? readFileSync(join(dir, 'pid'), 'utf8') : '')).toMatch(/^\d+\n$/);
    const pid = pidOf(readFileSync(join(dir, 'pid'), 'utf8'));
    await expect.poll(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('sleep');
    await known(pid);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /);
    expect(await callers.attest({ uid, pid }, null)).toBeNull();
    const child = await start('/bin/sleep', ['1000'], false);
    await known(child.pid);
    await kill(child);
    expect(await callers.attest({ uid, pid: child.pid }, null)).toBeNull();
    await kill(parent);
  });

  it('is the process that connected, whoever holds the descriptor by now', async () => {
    const server = createServer();
    server.listen(join(dir, 'socket'));
    await once(server, 'listening');
    writeFileSync(join(dir, 'opener.mjs'), `
      import { connect } from 'node:net';
      import { spawn } from 'node:child_process';
      const socket = connect(${JSON.stringify(join(dir, 'socket'))}, () => {
        const heir = spawn('/bin/sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', socket._handle.fd] });
        console.log(heir.pid);
      });`);
    const accepted = once(server, 'connection');
    const child = spawn(process.execPath, [join(dir, 'opener.mjs')], { stdio: 'pipe' });
    children.push(child);
    const heir = pidOf(await firstLine(child));
    const [socket] = await accepted as [Socket];
    const fd = (socket as unknown as { _handle: { fd: number } })._handle.fd;
    expect(peerOf(fd).pid).toBe(child.pid);
    await known(child.pid ?? 0);
    expect(await callers.attest(peerOf(fd), null)).toMatchObject({ script: join(dir, 'opener.mjs') });
    await kill(child);
    expect(await callers.attest(peerOf(fd), null)).toBeNull();
    process.kill(heir, 'SIGKILL');
    socket.destroy();
    server.close();
  });

  it('shows that its program was removed', async () => {
    const file = join(dir, 'tool');
    copyFileSync('/bin/sleep', file);
    chmodSync(file, 0o755);
    const child = await start(file, ['1000'], false);
    expect((await known(child.pid)).executable).toBe(file);
    unlinkSync(file);
    expect(await callers.attest({ uid, pid: child.pid }, null)).toMatchObject({ executable: `${file} (deleted)` });
  });

  it('is not of another user', async () => {
    const child = await start('/bin/sleep', ['1000'], false);
    await known(child.pid);
    expect(await callers.attest({ uid: uid + 1, pid: child.pid }, null)).toBeNull();
  });

  it('tells when it goes to the background', async () => {
    const terminal = await start('script', ['-qec', 'bash -mc \'sh -c "echo \\$\\$ > pid; read line; exec sleep 1000"; sleep 1000\'', '/dev/null'], false);
    await expect.poll(() => (readdirSync(dir).includes('pid') ? readFileSync(join(dir, 'pid'), 'utf8') : '')).toMatch(/^\d+\n$/);
    const pid = pidOf(readFileSync(join(dir, 'pid'), 'utf8'));
    expect((await known(pid)).terminal).toMatchObject({ foreground: true });
    process.kill(pid, 'SIGSTOP'); // the shell takes the terminal back
    await expect.poll(async () => (await callers.attest({ uid, pid }, null))?.terminal?.foreground).toBe(false);
    process.kill(pid, 'SIGKILL');
    await kill(terminal);
  });
});

describe('what is known', () => {
  it('is let go of with its first answer where it came once', async () => {
    const child = await start('/bin/sleep', ['1000'], false);
    const caller = await callers.attest({ uid, pid: child.pid }, null) ?? expect.unreachable('it is gone');
    expect([isKnown(child.pid), callers.stillSame(caller), isKnown(child.pid)]).toEqual([true, true, false]);
    await kill(child);
    expect(callers.stillSame(caller)).toBe(false);
  });

  it('is read once, and then at once', async () => {
    const child = await start('/bin/sh', [shell('a.sh', 'sleep 1000')]);
    // A script is told by a command line, which has to be waited for, also by who comes meanwhile.
    const looks = [1, 2].map(() => callers.attest({ uid, pid: child.pid }, null));
    expect(looks).toEqual([expect.any(Promise), expect.any(Promise)]);
    const [caller] = await Promise.all(looks);
    expect(isKnown(child.pid)).toBe(true);
    expect(callers.attest({ uid, pid: child.pid }, null)).toEqual(caller);
  });

  it('is at most 64 processes, the latest, and lets go of its descriptors', async () => {
    const many = await Promise.all(Array.from({ length: 70 }, () => start('/bin/sleep', ['1000'], false)));
    for (const { pid } of many) await known(pid);
    expect(held()).toHaveLength(64);
    expect(held().toSorted()).toEqual(many.slice(-64).map(({ pid }) => pid).toSorted());
    callers.close();
    expect(held()).toEqual([]);
  }, 30_000);

  it('is nothing of a process that shows no environment', async () => {
    const child = spawn('/bin/sleep', ['1000'], { env: {}, stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    for (let i = 0; i < 4; i += 1) expect(await callers.attest({ uid, pid: child.pid ?? 0 }, null)).toMatchObject({ pid: child.pid });
    expect(isKnown(child.pid ?? 0)).toBe(false);
  });

  it('is held once, however many of its connections were looked at by themselves', async () => {
    const child = await start('/bin/sleep', ['1000'], false);
    const descriptorsOfIt = (): number => readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`/proc/${child.pid}/`);
      } catch {
        return false;
      }
    }).length;
    const looks = await Promise.all([1, 2, 3].map(() => callers.attest({ uid, pid: child.pid }, null)));
    const descriptors = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      for (const caller of looks) expect(callers.stillSame(caller ?? expect.unreachable('it is gone'))).toBe(true);
      descriptors.add(readdirSync('/proc/self/fd').filter((fd) => existsSync(`/proc/self/fd/${fd}`)).join());
    }
    expect(descriptorsOfIt()).toBe(2);
    expect(descriptors.size).toBeLessThan(4); // not opened anew each time
  });

  it('lets go of what it was when it becomes another program, on its one connection as well', async () => {
    const child = await start('sh', [shell('again.sh', 'exec sleep 1000')]);
    const caller = await callers.attest({ uid, pid: child.pid }, null) ?? expect.unreachable('it is gone');
    expect([callers.stillSame(caller), callers.stillSame(caller), callers.stillSame(caller)]).toEqual([true, true, true]);
    child.stdin?.write('go\n');
    await expect.poll(() => callers.stillSame(caller)).toBe(false);
    expect((await callers.attest({ uid, pid: child.pid }, null))?.executable).toBe(realpathSync('/bin/sleep'));
    expect(callers.stillSame(caller)).toBe(false);
  });

  it('is held again where it asks again after many others have come', async () => {
    const child = await start('/bin/sleep', ['1000'], false);
    const caller = await known(child.pid);
    const many = await Promise.all(Array.from({ length: 64 }, () => start('/bin/sleep', ['1000'], false)));
    for (const { pid } of many) await known(pid);
    expect(isKnown(child.pid)).toBe(false);
    const asks = [1, 2, 3, 4].map(() => callers.stillSame(caller));
    expect([...asks, isKnown(child.pid)]).toEqual([true, true, true, true, true]);
    await kill(child);
    expect(callers.stillSame(caller)).toBe(false);
  }, 30_000);
});

describe('one look for all that was asked before', () => {
  const hasMemory = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1') !== '';
    } catch {
      return false;
    }
  };

  /** Answers to a process that ends after the first of them, while the work goes on. */
  async function answers(count: number): Promise<{ readonly within: readonly boolean[]; readonly after: boolean }> {
    const child = await start('/bin/sleep', ['1000'], false);
    const caller = await known(child.pid);
    const within: boolean[] = [];
    callers.lookOnce(() => {
      within.push(callers.stillSame(caller));
      process.kill(child.pid, 'SIGKILL');
      for (const until = Date.now() + 10_000; hasMemory(child.pid) && Date.now() < until;);
      while (within.length < count) within.push(callers.stillSame(caller));
    });
    return { within, after: callers.stillSame(caller) };
  }

  it('counts within its work only', async () => {
    expect(await answers(3)).toEqual({ within: [true, true, true], after: false });
  });

  it('counts for 64 answers', async () => {
    expect((await answers(65)).within).toEqual([...Array.from({ length: 64 }, () => true), false]);
  });

  it('is made anew for the next', async () => {
    const child = await start('/bin/sh', [shell('a.sh', 'exec sleep 1000')]);
    const caller = await known(child.pid);
    const look = (): boolean => {
      let isSame = false;
      callers.lookOnce(() => { isSame = callers.stillSame(caller) && callers.stillSame(caller); });
      return isSame;
    };
    expect(look()).toBe(true);
    child.stdin?.write('\n');
    await expect.poll(look).toBe(false);
  });
});

describe('one that is left behind while it is looked at', () => {
  it('[IP-10] is not known by what stood above it before', async () => {
    const shell = spawn('sh', ['-c', 'sleep 1000 & echo $!; wait'], { stdio: 'pipe' });
    children.push(shell);
    const pid = pidOf(await firstLine(shell));
    const caller = await callers.attest({ uid, pid }, null) ?? expect.unreachable('it is gone');
    const known = new KnownProcesses();
    try {
      const hold = known.hold(pid) ?? expect.unreachable('it cannot be held');
      shell.kill('SIGKILL');
      await expect.poll(() => readStat(pid)?.parent).not.toBe(shell.pid);
      expect(known.keep(hold, caller, { image: hold.first.image })).toBe(false);
      expect(known.find({ uid, pid }, () => null)).toBeNull();
    } finally {
      known.close();
      process.kill(pid, 'SIGKILL');
    }
  });
});
