import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDoor } from '../../../../daemon/ipc/door.ts';
import { LogSink } from '../../../support/fakes.ts';

let dir: string;
let door: Server;
let log: LogSink;
/** The process of the next connection. */
let pid: number;
const open: Socket[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vk-door-'));
  log = new LogSink();
  pid = 1;
  door = createDoor({ peerOf: () => ({ uid: 1000, pid }), pinOf: () => null, uid: 1000, connectionsPerProcess: () => 64, log, onRefused: () => undefined, take: (socket) => { socket.on('end', () => socket.destroy()).resume(); } });
  await new Promise<void>((resolve) => { door.listen(join(dir, 'socket'), resolve); });
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await new Promise<void>((resolve) => { door.close(() => resolve()); });
  rmSync(dir, { recursive: true });
});

/** Once the door has seen it; true if it was let in. */
async function knock(): Promise<boolean> {
  const socket = connect(join(dir, 'socket')).on('error', () => undefined);
  open.push(socket);
  const seen = new Promise<Socket>((resolve) => { door.once('connection', resolve); });
  return !(await seen).destroyed;
}
const warnings = () => log.lines.filter((line) => line.event === 'too_many_connections').map((line) => line.fields);

describe('the door', () => {
  it('[IP-11] refuses the newcomer where all processes together hold 1,024 connections, and takes one again when one left', async () => {
    for (let i = 0; i < 1_024; i += 1) {
      pid = 1 + Math.floor(i / 64);
      expect(await knock()).toBe(true);
    }
    pid = 99;
    expect([await knock(), await knock()]).toEqual([false, false]);
    expect(warnings()).toEqual([{ open: 1_024 }]);
    const left = new Promise((resolve) => { setTimeout(resolve, 50); });
    open[0]?.destroy();
    await left;
    expect(await knock()).toBe(true);
  }, 20_000);

  it('says once of a process that knocks in a loop', async () => {
    for (let i = 0; i < 64; i += 1) await knock();
    for (let i = 0; i < 20; i += 1) expect(await knock()).toBe(false);
    expect(warnings()).toEqual([{ pid: 1, open: 64 }]);
    pid = 2;
    expect(await knock()).toBe(true);
  });

  it('outlives an accept() that fails', () => {
    expect(() => door.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))).not.toThrow();
    expect(log.lines).toMatchObject([{ event: 'door_failed' }]);
  });
});
