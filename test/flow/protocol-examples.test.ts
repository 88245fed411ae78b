/**
 * Runs every curl command of docs/protocol.md, in its order, through sh against a daemon and an issuer of
 * this process, and compares status and shape of what came with what the document says.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { someOrigin } from '../support/builders.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { workloadToml } from '../support/workload-rig.ts';
import { blocksOf, readDocument } from '../unit/docs/markdown.ts';

const TEXT = readDocument('docs/protocol.md');
const EXAMPLES = [...TEXT.matchAll(/^```sh\n(curl [^]*?)```\n\n`(\d{3})`\n\n```(?:json|text)\n([^]*?)```$/gm)]
  .map(([, command = '', status = '', reply = '']) => ({ command, status: Number(status), reply }));

/** What is not compared by its type alone. */
const STABLE: readonly string[] = ['code', 'status', 'reason', 'state', 'flow', 'event', 'source', 'backend', 'outcome', 'token', 'ok', 'owned', 'profile', 'title'];

let issuer: EmbeddedIssuer;
let vk: InProcess;
let home: string;
let loginId = '';

beforeAll(async () => {
  issuer = await startIssuer();
  vk = await startInProcess({
    config: profileToml('work', issuer.url) + workloadToml('backup', issuer.url),
    edges: {
      facts: {
        pid: process.pid, startedAtMs: Date.now(), startedBy: 'valetkey login', socket: '/run/user/1000/valetkey/socket', stateDir: '/home/ann/.local/state/valetkey',
        warnings: [], environment: { XDG_RUNTIME_DIR: '/run/user/1000', XDG_STATE_HOME: null, XDG_CONFIG_HOME: null, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus' },
      },
    },
  });
  // Who runs the tests has a terminal or not, and a unit or not: the document shows a person at a terminal.
  vk.caller = { terminal: { device: 34_816, foreground: true }, origin: someOrigin({ digest: 'a'.repeat(64) }) };
  home = await mkdtemp(join(tmpdir(), 'vk-curl-'));
  await symlink(dirname(vk.socket), join(home, 'valetkey'));
  // So that the commands stay as a reader would type them.
  await writeFile(join(home, '.curlrc'), 'write-out = "\\n%{http_code}"\n');
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
  await rm(home, { recursive: true, force: true });
});

function run(command: string): Promise<{ status: number; text: string }> {
  const child = spawn('sh', ['-c', command], {
    env: { PATH: process.env['PATH'] ?? '', CURL_HOME: home, XDG_RUNTIME_DIR: home, ID: loginId }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      const [, text = '', status = ''] = /^([^]*)\n(\d{3})$/.exec(out) ?? [];
      if (status === '') reject(new Error(`curl said: ${err}${out}`));
      else resolve({ status: Number(status), text });
    });
  });
}

/** Types in place of values, but for the words that the document promises. */
function shapeOf(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map((item) => shapeOf(item));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shapeOf(item, name)]));
  const isPath = typeof value === 'string' && value.includes('/');
  return value === null || (STABLE.includes(key) && !isPath) ? value : typeof value;
}

/** Does what a person, or another process, does while or after the command runs. */
async function around(command: string): Promise<{ status: number; text: string }> {
  let isOver = false;
  const running = run(command.replaceAll('http://127.0.0.1:9000', issuer.url)).finally(() => { isOver = true; });
  // Until curl leaves: nobody knows how long it takes to connect.
  while (command.includes('/v1/events') && !isOver) {
    await vk.api('POST', '/v1/lock');
    await vk.api('POST', '/v1/unlock', {});
    await sleep(100);
  }
  const reply = await running;
  const started = /"start_url":"([^"]+)"/.exec(reply.text)?.[1];
  if (started !== undefined) {
    loginId = /"id":"([^"]+)"/.exec(reply.text)?.[1] ?? '';
    await followLogin(started, { login: 'ada' });
  }
  return reply;
}

describe('docs/protocol.md', () => {
  it('states a reply for every curl command', () => {
    expect(EXAMPLES.length).toBe(blocksOf(TEXT).filter(({ language, text }) => language === 'sh' && text.startsWith('curl')).length);
    expect(EXAMPLES.length).toBeGreaterThan(12);
  });

  it.each(EXAMPLES.map(({ command, status, reply }) => [command.split('\n').at(-2)?.trim() ?? command, command, status, reply] as const))('%s', async (_, command, status, stated) => {
    const reply = await around(command);
    expect(reply.status).toBe(status);
    expect(stated.trim()).not.toBe('');
    if (stated.startsWith('{')) expect(shapeOf(JSON.parse(reply.text))).toEqual(shapeOf(JSON.parse(stated)));
    else for (const line of stated.trim().split('\n').filter((each) => each !== '' && !each.startsWith('data:'))) expect(reply.text).toContain(line);
    const [, data] = /^data: (.*)$/m.exec(stated) ?? [];
    if (data !== undefined) expect(shapeOf(JSON.parse(/^data: (.*"locked".*)$/m.exec(reply.text)?.[1] ?? '{}'))).toEqual(shapeOf(JSON.parse(data)));
  });
});
