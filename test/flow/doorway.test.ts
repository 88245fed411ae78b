import { existsSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { createListeners } from '../../daemon/platform/listeners.ts';
import { loadNative } from '../../daemon/platform/native.ts';
import { callApi } from '../support/api.ts';
import { startInProcess } from '../support/in-process.ts';

/** As Node makes it, and as a descriptor of our own, which can be left to another daemon. */
const MAKERS = [['Node\'s', () => null], ['our own', () => createListeners(loadNative())]] as const;
const CASES = MAKERS.flatMap(([maker, listeners]) => ([['the socket', (path: string) => path], ['its whole directory', dirname]] as const).map(([name, what]) => [name, maker, what, listeners] as const));

it.concurrent.each(CASES)('%s, %s, is made anew when something removed it, as private as before', async (_name, _maker, what, listeners) => {
  const vk = await startInProcess({ config: '', edges: { listeners: listeners() } });
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

it.each(MAKERS)('a socket that somebody else put in the place of %s is left alone', async (_, listeners) => {
  const vk = await startInProcess({ config: '', edges: { listeners: listeners() } });
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
