/** Whether a daemon speaks the line dialect is asked of the socket, not of its version. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { postToken, speaksLines, TOKEN_LINE } from '../../../bench/asking.ts';

const directory = mkdtempSync(join(tmpdir(), 'vk-asking-'));
const path = join(directory, 'socket');
let server: Server | null = null;

function serve(answer: (text: string, socket: Socket) => void): Promise<void> {
  server = createServer((socket) => void socket.setEncoding('utf8').on('data', (text: string) => answer(text, socket)));
  return new Promise((resolve) => server?.listen(path, resolve));
}

afterEach(() => new Promise((resolve) => {
  if (server === null) resolve(null);
  else server.close(resolve);
}));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('what is spoken on a socket', () => {
  it('is the line dialect where a line with a token comes back, in pieces too', async () => {
    let asked = '';
    await serve((text, socket) => {
      asked += text;
      socket.write('{"type":"token","id":1,"status":200,"data":{"access_');
      setImmediate(() => socket.write('token":"x"}}\n'));
    });
    expect(await speaksLines(path)).toBe(true);
    expect(asked).toBe(`${TOKEN_LINE}\n`);
  });

  it.each([
    ['an HTTP answer', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a line without a token', '{"type":"token","id":1,"status":404}\n'],
    ['nothing but the end', ''],
  ])('is another one where %s comes back', async (_what, reply) => {
    await serve((_text, socket) => void socket.end(reply));
    expect(await speaksLines(path)).toBe(false);
  });

  it('is nothing where nobody listens', async () => {
    server = null;
    expect(await speaksLines(join(directory, 'nobody'))).toBe(false);
  });

  it('is asked by HTTP with status, body and time, and with a limit', async () => {
    const body = '{"code":"issuer_unreachable"}';
    await serve((text, socket) => {
      if (text.includes('"slow"')) return;
      socket.end(`HTTP/1.1 503 Unavailable\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
    expect(await postToken(path, { profile: 'work' }, 5_000)).toMatchObject({ status: 503, body: { code: 'issuer_unreachable' }, ms: expect.any(Number) as number });
    await expect(postToken(path, { profile: 'slow' }, 50)).rejects.toThrow('no answer in 0.05 s');
  });
});
