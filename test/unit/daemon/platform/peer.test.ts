import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Native } from '../../../../daemon/platform/native.ts';
import { peerOf } from '../../../../daemon/platform/peer.ts';
import { kill, UNPRIVILEGED } from '../../../support/built-platform.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The server's end of one connection to a Unix socket that everybody may reach. */
async function accept(connectTo: (path: string) => void): Promise<Socket> {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-peer-'));
  chmodSync(dir, 0o755);
  const server = createServer();
  cleanups.push(() => rmSync(dir, { recursive: true }), () => server.close());
  server.listen(join(dir, 'socket'));
  await once(server, 'listening');
  chmodSync(join(dir, 'socket'), 0o777);
  const accepted = once(server, 'connection');
  connectTo(join(dir, 'socket'));
  const [socket] = await accepted as [Socket];
  cleanups.push(() => socket.destroy());
  return socket;
}

function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

describe('peerOf', () => {
  it('names this process on a connection of its own', async () => {
    const socket = await accept((path) => {
      const client = connect(path);
      cleanups.push(() => client.destroy());
    });
    expect(peerOf(fdOf(socket))).toEqual({ pid: process.pid, uid: process.getuid?.() });
  });

  it('names another process, and the uid it connected with', async () => {
    let child: ReturnType<typeof spawn> | undefined;
    const socket = await accept((path) => {
      child = spawn(process.execPath, ['-e', 'require("node:net").connect(process.argv[1])', path], { cwd: '/', ...UNPRIVILEGED });
      const started = child;
      cleanups.push(() => kill(started));
    });
    expect(peerOf(fdOf(socket))).toEqual({ pid: child?.pid, uid: UNPRIVILEGED.uid ?? process.getuid?.() });
  });

  it('refuses a descriptor that is closed or none of a Unix socket', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = await accepted as [Socket];
    cleanups.push(() => server.close(), () => socket.destroy(), () => client.destroy());
    const unavailable = expect.objectContaining({ code: 'peer_credentials_unavailable' });
    expect(() => peerOf(fdOf(socket))).toThrow(unavailable);
    expect(() => peerOf(1_000_000)).toThrow(unavailable);
    expect(() => peerOf(-1)).toThrow(unavailable);
  });
});

describe('peerOf on macOS, by a fake library', () => {
  function fakeDarwin(answers: { getpeereid: number; getsockopt: number }): Native {
    return {
      platform: 'darwin',
      call(declaration, ...args) {
        const isPeer = declaration.includes('getpeereid');
        const out = args[isPeer ? 1 : 3];
        if (out instanceof Uint8Array) new Uint32Array(out.buffer)[0] = isPeer ? 501 : 4711;
        if (!isPeer) expect(args.slice(0, 3)).toEqual([7, 0, 2]);
        return isPeer ? answers.getpeereid : answers.getsockopt;
      },
    };
  }

  it('joins getpeereid and LOCAL_PEERPID', () => {
    expect(peerOf(7, fakeDarwin({ getpeereid: 0, getsockopt: 0 }))).toEqual({ uid: 501, pid: 4711 });
  });

  it.each([{ getpeereid: -9, getsockopt: 0 }, { getpeereid: 0, getsockopt: -57 }])('refuses where %o fails', (answers) => {
    expect(() => peerOf(7, fakeDarwin(answers))).toThrow(expect.objectContaining({ code: 'peer_credentials_unavailable' }));
  });
});
