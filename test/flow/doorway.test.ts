import { existsSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { callApi } from '../support/api.ts';
import { startInProcess } from '../support/in-process.ts';

it.concurrent.each([['the socket', (path: string) => path], ['its whole directory', dirname]])('%s is made anew when something removed it, as private as before', async (_name, what) => {
  const vk = await startInProcess({ config: '' });
  try {
    rmSync(what(vk.socket), { recursive: true });
    await expect(callApi(vk.socket, 'GET', '/v1/status')).rejects.toThrow();
    await expect.poll(async () => callApi(vk.socket, 'GET', '/v1/status').then((r) => r.status, () => 0), { interval: 200 }).toBe(200);
    expect(statSync(vk.socket).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(vk.socket)).mode & 0o777).toBe(0o700);
  } finally {
    await vk.stop();
  }
});

it('a socket that somebody else put there is left alone', async () => {
  const vk = await startInProcess({ config: '' });
  const foreign = createServer((socket) => socket.end('foreign'));
  try {
    rmSync(vk.socket);
    await new Promise<void>((resolve) => foreign.listen(vk.socket, resolve));
    await expect.poll(() => vk.log.lines.some((l) => l.event === 'socket_taken')).toBe(true);
    await vk.daemon.stop('the test is over');
    expect(existsSync(vk.socket)).toBe(true);
  } finally {
    foreign.close();
    await vk.stop();
  }
});
