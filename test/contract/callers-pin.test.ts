/**
 * The process that connected is pinned by a descriptor of itself: real sockets, and a pid that is used again in
 * a small pid namespace, where the kernel can be told which number comes next.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import type { Native } from '../../daemon/platform/native.ts';
import { peerOf, pinOf } from '../../daemon/platform/peer.ts';
import { buildPlatform, finished, firstLine } from '../support/built-platform.ts';
import { Processes } from '../support/processes.ts';

const uid = process.getuid?.() ?? -1;
let processes: Processes;
let server: Server;
const sockets: Socket[] = [];

beforeEach(async () => {
  processes = new Processes();
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(join(processes.dir, 'socket'));
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
  await processes.end();
});

const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;
const pidfds = (): number => readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[pidfd]' || readlinkSync(`/proc/self/fd/${fd}`).startsWith('pidfd:');
  } catch {
    return false;
  }
}).length;

async function connectionOf(open: () => void): Promise<Socket> {
  const accepted = once(server, 'connection');
  open();
  const [socket] = await accepted as [Socket];
  sockets.push(socket);
  return socket;
}

const PEER = `const socket = require('node:net').connect('socket', () => console.log('ready')); socket.on('error', () => {}); setInterval(() => {}, 1000)`;

describe('pinOf', () => {
  it('tells whether the process that connected lives, and is closed at once', async ({ skip }) => {
    const before = pidfds();
    const child = await processes.start(process.execPath, ['-e', PEER]);
    const socket = await connectionOf(() => undefined);
    await firstLine(child);
    const pin = pinOf(fdOf(socket));
    if (pin === null) return skip('this kernel has no SO_PEERPIDFD (Linux 6.5)');
    expect(pin.isAlive()).toBe(true);
    expect(pidfds()).toBe(before + 1);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(pin.isAlive()).toBe(false);
    pin.close();
    expect(pin.isAlive()).toBe(false);
    pin.close(); // again: it closes nothing else that has its number by now
    expect(pidfds()).toBe(before);
    expect(pinOf(fdOf(socket))?.isAlive()).toBe(false);
    expect(pidfds()).toBeLessThanOrEqual(before + 1);
  });

  it('is asked for by the first look at a process, and by none once it is known', async () => {
    const callers = createCallers({ loginctl: async () => null, ownCli: [] });
    const socket = await connectionOf(() => sockets.push(connect(join(processes.dir, 'socket'))));
    const before = pidfds();
    let asked = 0;
    const pin = () => {
      asked += 1;
      return pinOf(fdOf(socket));
    };
    for (let look = 0; look < 50; look += 1) expect(await callers.attest(peerOf(fdOf(socket)), pin)).toMatchObject({ pid: process.pid });
    expect(asked).toBe(1);
    expect(pidfds()).toBe(before);
    callers.close();
  });

  it.each([
    ['ENOPROTOOPT', -92, null], ['ESRCH, of a process that was collected', -3, false], ['EMFILE', -24, null],
  ] as const)('does without where the kernel says %s', (_, errno, alive) => {
    const asked: string[] = [];
    const native: Native = { platform: 'linux', call: (declaration) => { asked.push(declaration); return errno; } };
    expect(pinOf(7, native)?.isAlive() ?? null).toBe(alive);
    pinOf(7, native);
    expect(asked).toHaveLength(errno === -92 ? 1 : 2); // an old kernel is not asked again
  });

  it('takes no signal that comes while it is looked at for the end of the process', () => {
    const answers = [0, -4, -4, 0]; // getsockopt, and then poll: EINTR twice
    const native: Native = { platform: 'linux', call: () => answers.shift() ?? expect.unreachable('asked too often') };
    expect(pinOf(7, native)?.isAlive()).toBe(true);
  });
});

describe('a pid that is used again', () => {
  it('[IP-07] is never taken for the process that connected', async ({ skip }) => {
    const built = buildPlatform();
    try {
      const script = processes.file('harness.mjs', HARNESS.replaceAll('BUILT', built.dir));
      // It is no first process of the namespace: those are told nothing by signals, and adopt everybody.
      const apart = spawn('unshare', [...(uid === 0 ? [] : ['-Ur']), '-pf', '--mount-proc', 'sh', '-c', `${process.execPath} ${script}; exit $?`], { cwd: processes.dir, stdio: 'pipe' });
      const { code, stdout, stderr } = await finished(apart);
      if (code !== 0 && /unshare|ns_last_pid/.test(stderr)) skip(`no pid can be used again here: ${stderr.trim()}`);
      expect(stderr).toBe('');
      const { again, pinned, unpinned, same, hasPin, heir, wasKnown } = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
      expect(again).toBe(true);
      // The control: by its number alone the newcomer passes for the one that connected.
      expect(unpinned).toMatch(/sleep|coreutils|busybox/);
      if (hasPin === true) expect(pinned).toBeNull();
      // What was known of it, and is held, is not taken for the newcomer's.
      expect(wasKnown).toBe(true);
      expect(heir).toBe(unpinned);
      expect(same).toBe(false);
    } finally {
      built.remove();
    }
  }, 30_000);
});

/** Runs as the daemon would, in the namespace: a peer connects and ends, and its number goes to another program. */
const HARNESS = `
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createCallers } from 'BUILT/daemon/callers/callers.js';
import { peerOf, pinOf } from 'BUILT/daemon/platform/peer.js';
const callers = createCallers({ loginctl: async () => null, ownCli: [] });
const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen('reuse');
await once(server, 'listening');
const accepted = once(server, 'connection');
const peer = spawn(process.execPath, ['-e', "require('node:net').connect('reuse').on('error', () => {}); setInterval(() => {}, 1000)"], { stdio: 'ignore' });
const [socket] = await accepted;
socket.on('error', () => {});
const fd = socket._handle.fd;
const before = await callers.attest(peerOf(fd), () => pinOf(fd));
for (let look = 0; look < 3; look += 1) await callers.attest(peerOf(fd), null);
const wasKnown = !(callers.attest(peerOf(fd), null) instanceof Promise);
peer.kill('SIGKILL');
await once(peer, 'exit');
await new Promise((resolve) => setTimeout(resolve, 20)); // start times are counted in hundredths of a second
let other = null;
for (let tries = 0; tries < 200 && other?.pid !== peer.pid; tries += 1) {
  if (other !== null) { other.kill('SIGKILL'); await once(other, 'exit'); }
  writeFileSync('/proc/sys/kernel/ns_last_pid', String(peer.pid - 1));
  other = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(other, 'spawn');
}
const anew = () => createCallers({ loginctl: async () => null, ownCli: [] });
const hasPin = pinOf(fd) !== null;
const pinned = await anew().attest(peerOf(fd), () => pinOf(fd));
const unpinned = await anew().attest(peerOf(fd), null);
const heir = await callers.attest(peerOf(fd), null);
console.log(JSON.stringify({ again: other.pid === before.pid, hasPin, pinned, unpinned: unpinned?.executable, same: callers.stillSame(before), heir: heir?.executable, wasKnown }));
other.kill('SIGKILL');
process.exit(0);
`;
