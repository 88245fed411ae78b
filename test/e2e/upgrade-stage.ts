/** The stage of an upgrade: the built daemon under a passphrase, with one sign-in, the record of a service, and programs that ask without a pause. */
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { connect } from '../../client/index.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { StatusReply } from '../../shared/schemas.ts';
import { callApi } from '../support/api.ts';
import { FaultShim } from '../support/fault-shim.ts';
import { profileToml } from '../support/in-process.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

export const MAIN = join(ROOT, 'dist/daemon/main.js');
export const PASSPHRASE = 'upgraded-passphrase-EXAMPLE';

export let home: Home;
export let issuer: EmbeddedIssuer;
export let shim: FaultShim;
let crowds: Load[] = [];

export const socket = (): string => join(home.base, 'run/valetkey/socket');
export const at = (path: string): string => join(home.base, path);
export const status = async (): Promise<StatusReply> => (await callApi(socket(), 'GET', '/v1/status')).body as StatusReply;
export const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');

/** As `valetkey service install` does. */
export function record(program: string, more: Readonly<Record<string, unknown>> = {}): void {
  writeFileSync(at('state/valetkey/service.json'), `${JSON.stringify({ v: 1, supervisor: 'systemd', node: realpathSync(process.execPath), flags: ['--max-semi-space-size=1'], program, version: '0.1.0', ...more })}\n`, { mode: 0o600 });
}

/** A program in the place of the next daemon. */
export function stub(text: string): string {
  const path = at('next.cjs');
  writeFileSync(path, `require('node:fs').writeFileSync(${JSON.stringify(at('next.pid'))}, String(process.pid));\nconst talk = new (require('node:net').Socket)({ fd: 3 });\n${text}`, { mode: 0o600 });
  return path;
}

/** A browser that waits for the person: until there is such a file. */
function patientBrowser(file: string): readonly string[] {
  const path = at('patient.mjs');
  writeFileSync(path, `import { existsSync } from 'node:fs';\nwhile (!existsSync(${JSON.stringify(file)})) await new Promise((resolve) => setTimeout(resolve, 20));\nawait import(${JSON.stringify(BROWSER)});\n`);
  return [process.execPath, path, '{url}', '--login', 'ada'];
}

type Load = { readonly errors: string[]; readonly count: { kept: number; once: number; line: number; longestMs: number }; end(): Promise<void> };

/** Programs that ask without a pause: by connections that they keep, and by new ones for each request. */
export function load(each: number): Load {
  const errors: string[] = [];
  const count = { kept: 0, once: 0, line: 0, longestMs: 0 };
  let isOver = false;
  const run = async (kind: 'kept' | 'once' | 'line', ask: () => Promise<string>): Promise<void> => {
    while (!isOver) {
      const before = performance.now();
      const outcome = await ask().catch((error: unknown) => String(error));
      count.longestMs = Math.max(count.longestMs, performance.now() - before);
      if (outcome !== 'ok') errors.push(`${kind}: ${outcome}`);
      isOver ||= errors.length > 50; // it has failed, and there may be nobody left to ask
      count[kind] += 1;
    }
  };
  const clients = Array.from({ length: each }, () => connect({ socket: socket() }));
  const runs = [
    ...clients.map((client) => run('kept', async () => ((await client.getToken('work')).access_token.length > 20 ? 'ok' : 'no token'))),
    ...Array.from({ length: each }, () => run('once', async () => {
      const { status: code, text } = await callApi(socket(), 'POST', '/v1/token', { profile: 'work' });
      return code === 200 ? 'ok' : text;
    })),
    ...Array.from({ length: each }, () => run('line', askByLine)),
  ];
  const crowd: Load = {
    errors, count,
    async end() {
      isOver = true;
      await Promise.all(runs);
      for (const client of clients) client.close();
    },
  };
  crowds.push(crowd);
  return crowd;
}

function askByLine(): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const connection = connectSocket(socket());
    connection.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes('\n')) return;
      resolve(text.includes('"status":200') ? 'ok' : text);
      connection.destroy();
    });
    connection.on('error', (error) => resolve(String(error)));
    connection.on('close', () => resolve('it was closed without an answer'));
    connection.write('{"type":"token","id":1,"data":{"profile":"work"}}\n');
  });
}

/** Before and after each test of this file. */
export function useUpgradeStage(): void {
  beforeAll(() => needBuild());
  beforeEach(async () => {
    home = makeHome();
    shim = await FaultShim.start();
    issuer = await startIssuer({ clients: [{ id: 'valetkey', redirectPaths: ['/callback'] }], publicOrigin: shim.origin });
    shim.upstream = issuer.origin;
    const quick = `browser = ${JSON.stringify([process.execPath, BROWSER, '{url}', '--login', 'ada'])}`;
    mkdirSync(at('config/valetkey'), { mode: 0o700 });
    writeFileSync(at('config/valetkey/config.toml'), [
      '[limits]\nrequests_per_second = 10000\nburst = 100000',
      profileToml('work', issuer.url, quick), profileToml('late', issuer.url, `browser = ${JSON.stringify(patientBrowser(at('agreed')))}`),
    ].join('\n'), { mode: 0o600 });
    expect(await home.valetkey(['unlock', '--create', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: 0 });
    expect((await home.atTerminal(['login', 'work'])).stdout).toContain('Signed in as');
    record(MAIN);
  });
  afterEach(async () => {
    for (const crowd of crowds) await crowd.end();
    crowds = [];
    await home.leave();
    await issuer.close();
    await shim.close();
  });
}
