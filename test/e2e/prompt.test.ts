/**
 * `status --prompt` of the launcher, the Node entry and the whole CLI: all three say the same and end with the same
 * status, start nothing, and wait for nobody.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeHome } from './built-cli.ts';
import type { Home } from './built-cli.ts';
import { HANDED_OVER, buildPrograms, launcherRoom, runProgram } from './token-programs.ts';
import type { Ended, Program } from './token-programs.ts';

const room = launcherRoom();
let programs: readonly Program[] = [];
let home: Home;
let answer: ((line: string) => string | null) | null = null;
let asked: string[] = [];
const servers: Server[] = [];

/** A daemon's place, and in it whatever answers. */
async function listenAsDaemon(): Promise<void> {
  mkdirSync(join(home.base, 'run/valetkey'), { mode: 0o700 });
  const socket = join(home.base, 'run/valetkey/socket');
  const server = createServer((connection) => {
    connection.on('error', () => undefined);
    connection.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      asked.push(text);
      // The whole CLI speaks HTTP.
      if (!text.startsWith('{')) {
        const reply = answer?.('') ?? null;
        if (reply !== null) connection.end(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nvaletkey-protocol: 1\r\ncontent-length: ${reply.length}\r\n\r\n${reply}`);
        return;
      }
      const data = answer?.(text) ?? null;
      if (data !== null) connection.write(`{"type":"prompt","id":1,"status":200,"protocol":1,"build":"0.1.0","data":${data}}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  chmodSync(socket, 0o600);
  servers.push(server);
}

beforeAll(() => {
  programs = buildPrograms(room);
  home = makeHome();
}, 60_000);
afterAll(() => {
  for (const server of servers) server.close();
  room.remove();
});

async function everybody(...args: readonly string[]): Promise<readonly (Ended & { readonly name: string })[]> {
  const ended: (Ended & { readonly name: string })[] = [];
  for (const { name, argv } of programs) ended.push({ name, ...await runProgram([...argv, ...args], home.env) });
  return ended;
}

describe('status --prompt', () => {
  it('says nothing where no daemon runs, and starts none', async () => {
    for (const { name, ...ended } of await everybody('status', '--prompt')) expect({ name, ...ended }).toEqual({ name, exit: 9, stdout: '', stderr: '' });
    expect(readdirSync(join(home.base, 'run'))).toEqual([]);
    expect(existsSync(join(home.base, 'state/valetkey'))).toBe(false);
  }, 40_000);

  it.each([
    ['{"text":"work:7h home:login +2","state":"login_required"}', 'work:7h home:login +2\n', 3],
    ['{"text":"work:ok","state":"signed_in"}', 'work:ok\n', 0],
    ['{"text":"locked","state":"locked"}', 'locked\n', 4],
    ['{"text":"","state":"nothing"}', '', 0],
    ['{"more":[1,{"a":null}],"text":"work:42m","state":"signed_in"}', 'work:42m\n', 0],
  ])('%s', async (data, stdout, exit) => {
    if (servers.length === 0) await listenAsDaemon();
    answer = () => data;
    for (const { name, ...ended } of await everybody('status', '--prompt')) expect({ name, ...ended }).toEqual({ name, exit, stdout, stderr: '' });
  }, 40_000);

  it('asks for one profile in the same words', async () => {
    answer = () => '{"text":"work:ok","state":"signed_in"}';
    asked = [];
    await everybody('status', '--prompt', 'work');
    expect(new Set(asked.filter((text) => text.startsWith('{')))).toEqual(new Set(['{"type":"prompt","id":1,"protocol":1,"data":{"profile":"work"}}\n']));
    expect(asked.length).toBe(programs.length);
  }, 40_000);

  it.each(['{"text":"$(reboot)","state":"signed_in"}', '{"text":"a`b`","state":"signed_in"}', '{"text":"%F{red}","state":"signed_in"}', '{"text":"a\\u001b[2J","state":"signed_in"}', '{"text":"a","state":"odd"}', '{"text":"a"}'])('prints nothing that a shell would take for its own, or does not know: %s', async (data) => {
    answer = (line) => (line === '' ? '{"text":"","state":"nothing"}' : data);
    // Neither the launcher nor the entry prints it: both leave it to the whole CLI, which asks anew.
    for (const { name, stdout } of await everybody('status', '--prompt')) expect({ name, stdout: stdout.startsWith(HANDED_OVER) ? '' : stdout }).toEqual({ name, stdout: '' });
  }, 40_000);

  it('waits for nobody: a daemon that hangs says nothing', async () => {
    answer = () => null;
    for (const { name, argv, handsOver } of programs) {
      if (handsOver === null) continue; // it is only run by hand
      expect({ name, ...await runProgram([...argv, 'status', '--prompt'], home.env) }).toEqual({ name, exit: 9, stdout: '', stderr: '' });
    }
  }, 40_000);

  it('connects to the socket of the daemon and to nothing else', async () => {
    const strace = spawnSync('strace', ['-V']).status === 0;
    const launcher = programs.find(({ name }) => name === 'the launcher');
    if (!strace || launcher === undefined) return console.warn('not run: strace or a C compiler is missing');
    answer = () => '{"text":"work:ok","state":"signed_in"}';
    const { stderr } = await runProgram(['strace', '-f', '-e', 'trace=connect,execve,fork,clone,vfork', ...launcher.argv, 'status', '--prompt'], home.env);
    const calls = stderr.split('\n').filter((line) => /^(connect|execve|fork|clone|vfork)\(/.test(line));
    expect(calls.map((line) => /^\w+/.exec(line)?.[0])).toEqual(['execve', 'connect']);
    expect(calls[1]).toContain(join(home.base, 'run/valetkey/socket'));
  });
});
