/** Which address and port are bound: in network namespaces of their own, where IPv4 loopback or free ports can be missing. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bindLoopback, listenWith } from '../../daemon/loopback/bind.ts';
import { buildLoopback } from '../support/loopback-child.ts';
import type { LoopbackBuild } from '../support/loopback-child.ts';
import { ISSUER, openRig, STATE } from '../support/loopback-rig.ts';

/** Addresses that TCP sockets of this process listen on, as the kernel says. */
function listening(pid: number, wrap: readonly string[] = []): readonly string[] {
  const [command = 'ss', ...args] = [...wrap, 'ss', '-Hltnp'];
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(`pid=${pid},`)).map((line) => line.trim().split(/\s+/)[3] ?? '');
}

describe('the address', () => {
  const hasSs = spawnSync('ss', ['-V']).status === 0;
  if (!hasSs) console.warn('not run: ss (iproute2) is missing');
  it.skipIf(!hasSs)('is the literal 127.0.0.1 and nothing else while a login waits', async () => {
    const before = listening(process.pid);
    const { listener } = await openRig();
    expect(listening(process.pid).filter((address) => !before.includes(address))).toEqual([`127.0.0.1:${listener.port}`]);
    expect(listener.redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback\/issuer-a$/);
    expect(listener.startUrl.startsWith(`http://127.0.0.1:${listener.port}/start/`)).toBe(true);
    await listener.close();
  });

  it('is the first registered port that is free', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const spare = createServer();
    const { port: free } = await bindLoopback(listenWith(spare), []);
    spare.close();
    await once(spare, 'close');
    const { port } = taken.address() as AddressInfo;
    const { listener } = await openRig({ ports: [port, free] });
    expect(listener.port).toBe(free);
    await listener.close();
    await expect(openRig({ ports: [port] })).rejects.toMatchObject({ code: 'loopback_exhausted' });
    taken.close();
  });
});

const UNSHARE = ['unshare', '-n', '--'];
const unshared = spawnSync('unshare', ['-n', '--', 'ip', 'link', 'set', 'lo', 'up'], { encoding: 'utf8' });
if (unshared.status !== 0) console.warn(`not run: no network namespace may be made here (${(unshared.stderr || String(unshared.error)).trim()})`);

describe.skipIf(unshared.status !== 0)('in a network namespace', () => {
  let build: LoopbackBuild;
  beforeAll(() => { build = buildLoopback(); });
  afterAll(() => build.remove());
  /** Prepares the namespace, then becomes node: the child's pid stays that of what was started. */
  const inside = (setup: string): readonly string[] => [...UNSHARE, 'sh', '-ec', `${setup}\nexec "$@"`, 'sh'];
  const within = (pid: number | undefined): readonly string[] => ['nsenter', '-n', '-t', String(pid), '--'];

  it('[LB-01] binds 127.0.0.1, else ::1, and the redirect URI has the literal that was bound', async () => {
    const ipv4 = build.start(inside('ip link set lo up'), {});
    const onIpv4 = await ipv4.next('open');
    expect(onIpv4['redirectUri']).toBe(`http://127.0.0.1:${onIpv4['port']}/callback/issuer-a`);
    expect(listening(ipv4.process.pid ?? 0, within(ipv4.process.pid))).toEqual([`127.0.0.1:${onIpv4['port']}`]);

    const ipv6 = build.start(inside('ip link set lo up; ip addr del 127.0.0.1/8 dev lo'), {});
    const onIpv6 = await ipv6.next('open');
    expect(onIpv6['redirectUri']).toBe(`http://[::1]:${onIpv6['port']}/callback/issuer-a`);
    expect(onIpv6['startUrl']).toMatch(/^http:\/\/\[::1\]:\d+\/start\//);
    expect(listening(ipv6.process.pid ?? 0, within(ipv6.process.pid))).toEqual([`[::1]:${onIpv6['port']}`]);

    // A login goes through there, with the kernel asked whose the connections are.
    const visit = `
      import { request } from 'node:http';
      const get = (url, headers = {}) => new Promise((resolve, reject) => {
        request(url, { headers }, (reply) => { reply.resume(); resolve(reply); }).on('error', reject).end();
      });
      const [startUrl, callbackUrl] = process.argv.slice(1);
      const start = await get(startUrl);
      const Cookie = start.headers['set-cookie'][0].split(';')[0];
      const callback = await get(callbackUrl, { Cookie });
      const page = await get(callback.headers.location, { Cookie });
      console.log(start.statusCode, callback.statusCode, page.statusCode);`;
    const callbackUrl = `${String(onIpv6['redirectUri'])}?${new URLSearchParams({ code: 'code-EXAMPLE', state: STATE, iss: ISSUER })}`;
    const [command = '', ...args] = [...within(ipv6.process.pid), process.execPath, '--input-type=module', '-e', visit, String(onIpv6['startUrl']), callbackUrl];
    expect(spawnSync(command, args, { encoding: 'utf8' })).toMatchObject({ stdout: '302 303 200\n', stderr: '' });
    expect(await ipv6.next('callback')).toMatchObject({ code: 'code-EXAMPLE' });
  });

  it('says so where there is no loopback at all', async () => {
    expect(await build.start(inside('ip link set lo up; ip addr flush dev lo'), {}).next('failed')).toMatchObject({ code: 'loopback_exhausted', message: expect.stringContaining('127.0.0.1 or [::1]') });
  });

  it('[LB-02] gives up with loopback_exhausted where the system has no port left', async () => {
    const occupied = 'ip link set lo up; echo "40000 40001" > /proc/sys/net/ipv4/ip_local_port_range';
    // Both ports are taken by the very process that then opens the listener: nobody else lives in there.
    const takeBoth = `
      const { createServer } = require('node:net');
      const take = (port) => new Promise((resolve) => createServer().listen(port, '127.0.0.1', resolve));
      // argv is this node, that node, its script: without the second it is as the script expects it.
      take(40000).then(() => take(40001)).then(() => { process.argv.splice(1, 1); return import(process.argv[1]); });`;
    const full = build.start([...inside(occupied), process.execPath, '-e', takeBoth, '--'], {});
    expect(await full.next('failed')).toMatchObject({ code: 'loopback_exhausted', message: expect.stringContaining('10 tries') });
    // Control: with the two ports free, one of them is taken.
    const free = await build.start(inside(occupied), {}).next('open');
    expect([40_000, 40_001]).toContain(free['port']);
  });
});
