/**
 * kill -9 of the daemon while about a thousand requests a second come in: by the library, which starts the next daemon,
 * and raw, by HTTP and by the line dialect, by connections that are kept and by new ones. What was on the wire may be cut
 * off; the library says so by a code, or asks again where nothing was read; and soon everybody is answered again.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { keyringObstacle, startKeyring } from '../support/keyring.ts';
import type { Keyring } from '../support/keyring.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const obstacle = keyringObstacle();
if (obstacle !== null) console.warn(`not run: the daemon killed under load: ${obstacle}`);

const KILLS = 10;
const LIBRARY = 5;
const RAW = 3;
/** Of each program between two requests: about a thousand a second of all together. */
const PAUSE_MS = 2;

type Told = { readonly ok: number; readonly failed: Readonly<Record<string, number>>; readonly longestMs: number; readonly silentMs: number };

/** One program that asks in a loop, and says at SIGTERM what it saw. */
const ASKING = `
import { connect as connectSocket } from 'node:net';
import { request, Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
const [, , root, socket, kind] = process.argv;
const { connect } = await import(root + '/dist/client/index.js');
const told = { ok: 0, failed: {}, longestMs: 0, silentMs: 0 };
const agent = new Agent({ keepAlive: true });
const client = connect();
const http = (agent) => new Promise((resolve, reject) => {
  const body = '{"profile":"work"}';
  const sent = request({ socketPath: socket, method: 'POST', path: '/v1/token', agent, headers: { 'content-type': 'application/json', 'content-length': body.length } }, (answer) => {
    let text = '';
    answer.on('data', (chunk) => { text += chunk; }).on('end', () => resolve(answer.statusCode === 200 ? 'ok' : JSON.parse(text).code)).on('error', reject);
  });
  sent.on('error', reject).end(body);
});
const line = () => new Promise((resolve, reject) => {
  let text = '';
  const connection = connectSocket(socket);
  connection.on('data', (chunk) => { text += chunk; if (text.includes('\\n')) { const { status, data } = JSON.parse(text); resolve(status === 200 ? 'ok' : data.code); connection.destroy(); } });
  connection.on('error', reject).on('close', () => reject(Object.assign(new Error(), { code: 'closed' })));
  connection.write('{"type":"token","id":1,"data":{"profile":"work"}}\\n');
});
const asks = { library: async () => (await client.getToken('work')).access_token.length > 20 ? 'ok' : 'none', http: () => http(false), kept: () => http(agent), line };
let isOver = false;
process.on('SIGTERM', () => { isOver = true; });
process.stdout.write('ready\\n');
let lastOk = performance.now();
while (!isOver) {
  const before = performance.now();
  const outcome = await asks[kind]().catch((error) => error.code ?? String(error));
  const now = performance.now();
  told.longestMs = Math.max(told.longestMs, now - before);
  if (outcome === 'ok') { told.ok += 1; told.silentMs = Math.max(told.silentMs, now - lastOk); lastOk = now; }
  else told.failed[outcome] = (told.failed[outcome] ?? 0) + 1;
  await sleep(${PAUSE_MS} * (outcome === 'ok' ? 1 : 3));
}
client.close();
agent.destroy();
process.stdout.write(JSON.stringify(told) + '\\n');
`;

describe.skipIf(obstacle !== null)('kill -9 of the daemon under load', () => {
  let keyring: Keyring;
  let issuer: EmbeddedIssuer;
  let home: Home;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    needBuild();
    keyring = await startKeyring();
    issuer = await startIssuer({ clients: [{ id: 'valetkey', redirectPaths: ['/callback'] }] });
    home = makeHome();
    env = { ...home.env, DBUS_SESSION_BUS_ADDRESS: keyring.env['DBUS_SESSION_BUS_ADDRESS'] ?? '' };
    mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
    writeFileSync(join(home.base, 'config/valetkey/config.toml'), `[limits]\nrequests_per_second = 10000\nburst = 100000\n${profileToml('work', issuer.url, `browser = ${JSON.stringify([process.execPath, BROWSER, '{url}', '--login', 'ada'])}`)}`, { mode: 0o600 });
    writeFileSync(join(home.base, 'asking.mjs'), ASKING);
    expect((await home.atTerminal(['login', 'work'], { env })).stdout).toContain('Signed in as');
  }, 60_000);
  afterAll(async () => {
    await home?.leave();
    await issuer?.close();
    await keyring?.stop();
  });

  const pid = (): number | null => {
    const text = readFileSync(join(home.base, 'state/valetkey/lock'), 'utf8');
    return text === '' ? null : (JSON.parse(text) as { pid: number }).pid;
  };

  function ask(kind: string): { readonly child: ChildProcess; end(): Promise<Told> } {
    const child = spawn(process.execPath, [join(home.base, 'asking.mjs'), ROOT, join(home.base, 'run/valetkey/socket'), kind], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    return {
      child,
      async end() {
        const closed = once(child, 'close');
        child.kill('SIGTERM');
        await closed;
        return JSON.parse(text.trim().split('\n').at(-1) ?? '') as Told;
      },
    };
  }

  it('costs the requests on the wire, and nobody a sign-in; everybody is answered again', async () => {
    const kinds = ['http', 'kept', 'line'].flatMap((kind) => Array.from({ length: RAW }, () => kind)).concat(Array.from({ length: LIBRARY }, () => 'library'));
    const crowd = kinds.map((kind) => ({ kind, ...ask(kind) }));
    await Promise.all(crowd.map(({ child }) => once(child.stdout ?? child, 'data')));
    const started = performance.now();
    const killed: number[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      await sleep(700);
      await expect.poll(pid).not.toBeNull(); // it is written anew at a start
      const now = pid() ?? 0;
      process.kill(now, 'SIGKILL');
      killed.push(now);
      await expect.poll(async () => (await home.valetkey(['daemon', 'status', '--json'], { env })).exit).toBe(0);
      await expect.poll(pid).not.toBe(now);
    }
    await sleep(700);
    const spentS = (performance.now() - started) / 1000;
    const told = await Promise.all(crowd.map(async ({ kind, end }) => ({ kind, ...await end() })));
    const sum = (of: readonly Told[]) => ({
      ok: of.reduce((all, { ok }) => all + ok, 0), failed: of.flatMap(({ failed }) => Object.entries(failed)).reduce<Record<string, number>>((all, [code, count]) => ({ ...all, [code]: (all[code] ?? 0) + count }), {}),
      longestMs: Math.round(Math.max(...of.map(({ longestMs }) => longestMs))), silentMs: Math.round(Math.max(...of.map(({ silentMs }) => silentMs))),
    });
    const by = Object.fromEntries([...new Set(kinds)].map((kind) => [kind, sum(told.filter((each) => each.kind === kind))]));
    console.info(`killed ${killed.length} times in ${spentS.toFixed(1)} s, ${Math.round(told.reduce((all, { ok }) => all + ok, 0) / spentS)} answers a second`, JSON.stringify(by, null, 1));
    expect(new Set(killed).size).toBe(KILLS);
    for (const { ok } of told) expect(ok).toBeGreaterThan(KILLS);
    // What was lost is told by what it was, and never as a sign-in that is needed, or a mistake of the daemon's.
    expect(Object.keys(by['library']?.failed ?? {}).filter((code) => !['daemon_unreachable', 'vault_unavailable'].includes(code))).toEqual([]);
    for (const kind of ['http', 'kept', 'line']) expect(Object.keys(by[kind]?.failed ?? {}).filter((code) => !['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'closed', 'vault_unavailable'].includes(code))).toEqual([]);
    expect((await home.valetkey(['token', 'work', '--no-interactive'], { env })).exit).toBe(0);
  }, 180_000);
});
