import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ownerOf } from '../../../../daemon/platform/tcp-owner.ts';
import type { TcpEnd } from '../../../../daemon/platform/tcp-owner.ts';
import { kill, UNPRIVILEGED } from '../../../support/built-platform.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

async function acceptedFrom(server: Server, start: () => void): Promise<{ client: TcpEnd; server: TcpEnd; socket: Socket }> {
  const accepted = once(server, 'connection');
  start();
  const [socket] = await accepted as [Socket];
  cleanups.push(() => socket.destroy());
  return {
    client: { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
    server: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
    socket,
  };
}

describe('ownerOf', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', '::ffff:127.0.0.1'],
    ['::', '127.0.0.1'],
    ['::', '::ffff:127.0.0.1'],
  ])('names the owner of a connection to %s by %s', async (listenAt, connectTo) => {
    const { server, port } = await listen(listenAt);
    const ends = await acceptedFrom(server, () => {
      const client = connect(port, connectTo);
      cleanups.push(() => client.destroy());
    });
    expect(await ownerOf(ends.client, ends.server)).toBe(process.getuid?.());
    expect(await ownerOf({ ...ends.client, port: ends.client.port ^ 1 }, ends.server)).toBeNull();
    expect(await ownerOf(ends.client, { ...ends.server, port: ends.server.port ^ 1 })).toBeNull();
  });

  it.runIf(process.getuid?.() === 0)('names another user', async () => {
    const { server, port } = await listen('127.0.0.1');
    const ends = await acceptedFrom(server, () => {
      const child = spawn(process.execPath, ['-e', 'require("node:net").connect(+process.argv[1], "127.0.0.1")', String(port)], { cwd: '/', ...UNPRIVILEGED });
      cleanups.push(() => kill(child));
    });
    expect(await ownerOf(ends.client, ends.server)).toBe(65_534);
  });

  it('says nothing of a connection that its process has closed: the kernel would show uid 0', async () => {
    const { server, port } = await listen('127.0.0.1');
    server.on('connection', (socket) => socket.pause());
    const client = connect(port, '127.0.0.1');
    const ends = await acceptedFrom(server, () => undefined);
    expect(await ownerOf(ends.client, ends.server)).toBe(process.getuid?.());
    client.destroy();
    await once(client, 'close');
    expect(await ownerOf(ends.client, ends.server)).toBeNull();
  });

  it('says nothing where there is no table, and for what is no address', async () => {
    const end = { address: '127.0.0.1', port: 1 };
    expect(await ownerOf(end, end, ['/no/such/table'])).toBeNull();
    expect(await ownerOf({ address: '', port: 1 }, { address: 'localhost', port: 1 })).toBeNull();
  });

  it('finds its row in a long table with junk', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'valetkey-tcp-'));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const row = (local: string, remote: string, uid: string, inode: string): string => `   0: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${uid} 0 ${inode} 1 0 20 4 30 10 -1`;
    const noise = Array.from({ length: 20_000 }, (_, index) => row('0100007F:0050', `0100007F:${(index + 1024).toString(16).toUpperCase()}`, '1001', '7'));
    writeFileSync(join(dir, 'tcp'), ['  sl  local_address', '', 'junk', row('0100007F:1F90', '0100007F:0051', 'x', '5'), ...noise, row('0100007F:1F90', '0100007F:0051', '0', '0'), row('0100007F:1F90', '0100007F:0051', ' 1000', '9'), ''].join('\n'));
    expect(await ownerOf({ address: '127.0.0.1', port: 0x1f90 }, { address: '127.0.0.1', port: 0x51 }, [join(dir, 'tcp')])).toBe(1000);
  });
});
