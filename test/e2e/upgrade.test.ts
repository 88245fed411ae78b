/** One daemon follows another under load, by the built program: nothing is lost, nobody is turned away, and no refresh token is sent twice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../client/index.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { StatusReply } from '../../shared/schemas.ts';
import { callApi } from '../support/api.ts';
import { FaultShim, Held } from '../support/fault-shim.ts';
import { profileToml } from '../support/in-process.ts';
import { Ledger } from '../support/ledger.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Finished, Home } from './built-cli.ts';

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('not run: a daemon is handed over on Linux alone');
const MAIN = join(ROOT, 'dist/daemon/main.js');
const PASSPHRASE = 'upgraded-passphrase-EXAMPLE';

let home: Home;
let issuer: EmbeddedIssuer;
let shim: FaultShim;
let crowds: Load[] = [];

const socket = (): string => join(home.base, 'run/valetkey/socket');
const at = (path: string): string => join(home.base, path);
const status = async (): Promise<StatusReply> => (await callApi(socket(), 'GET', '/v1/status')).body as StatusReply;
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');

/** As `valetkey service install` does. */
function record(program: string, more: Readonly<Record<string, unknown>> = {}): void {
  writeFileSync(at('state/valetkey/service.json'), `${JSON.stringify({ v: 1, supervisor: 'systemd', node: realpathSync(process.execPath), flags: ['--max-semi-space-size=1'], program, version: '0.1.0', ...more })}\n`, { mode: 0o600 });
}

/** A program in the place of the next daemon. */
function stub(text: string): string {
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
function load(each: number): Load {
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

describe.skipIf(!isLinux)('an upgrade', () => {
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

  it('[IP-04] under load waits for a refresh on the wire and a sign-in, and then nobody is turned away', async () => {
    const ledger = new Ledger(issuer);
    const before = await status();
    const crowd = load(4);
    const held = new Held();
    shim.next('token', { kind: 'hold', held });
    const refreshed = callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true });
    await held.arrived;
    const login = home.atTerminal(['login', 'late']);
    await expect.poll(async () => (await status()).logins.length).toBe(1);
    const upgraded = home.valetkey(['daemon', 'upgrade', '--json']);
    await expect.poll(async () => (await status()).upgrade?.state).toBe('waiting');
    await sleep(300);
    expect((await status()).pid).toBe(before.pid);
    held.release();
    expect((await refreshed).status).toBe(200);
    await sleep(11_000); // a wire that is only busy is waited for for ten seconds, and a person for longer
    expect(await status()).toMatchObject({ pid: before.pid, upgrade: { state: 'waiting' } });
    writeFileSync(at('agreed'), '');
    expect(await login).toMatchObject({ exit: 0, stdout: expect.stringContaining('Signed in as') as string });
    const done = await upgraded;
    expect(done).toMatchObject({ exit: 0 });
    const after = await status();
    expect(JSON.parse(done.stdout)).toMatchObject({ how: 'take_over', program: MAIN, from: { pid: before.pid }, to: { pid: after.pid } });
    expect(after).toMatchObject({ vault: { backend: 'passphrase', state: 'open' }, upgrade: null, started_by: before.started_by });
    expect(after.grants.map(({ profile, state }) => [profile, state])).toEqual([['late', 'active'], ['work', 'active']]);
    await expect.poll(() => isAlive(before.pid)).toBe(false);
    const again = await callApi(socket(), 'POST', '/v1/token', { profile: 'late', force: true });
    expect(again.status).toBe(200);
    await crowd.end();
    console.log(`upgrade under load: ${JSON.stringify(crowd.count)}`);
    expect(crowd.errors).toEqual([]);
    expect(Math.min(crowd.count.kept, crowd.count.once, crowd.count.line)).toBeGreaterThan(50);
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 120_000);

  it('may follow another, again and again, while each asks for a new token', async () => {
    const ledger = new Ledger(issuer);
    const crowd = load(4);
    const pids = new Set<number>([(await status()).pid]);
    const answers: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const forced = Array.from({ length: 3 }, () => callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true }).then((reply) => answers.push(reply.status)));
      const upgraded = await home.valetkey(['daemon', 'upgrade', '--json']);
      expect(upgraded, upgraded.stderr).toMatchObject({ exit: 0 });
      pids.add((await status()).pid);
      await Promise.all(forced);
    }
    await crowd.end();
    console.log(`five upgrades under load: ${JSON.stringify(crowd.count)}`);
    expect(crowd.errors).toEqual([]);
    expect(answers).toEqual(Array.from({ length: 15 }, () => 200));
    expect(pids.size).toBe(6);
    await expect.poll(() => [...pids].filter(isAlive).length).toBe(1);
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
    // Whoever looks at the lock finds the one that lives.
    const lock = at('state/valetkey/lock');
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: (await status()).pid });
  }, 120_000);

  it.each([
    ['ends at once', 'process.exit(3);', 'exit status 3'],
    ['cannot read its own text', '}', 'exit status 1'],
    ['ends when its turn has come', 'talk.write("prepared\\n"); talk.on("data", () => process.exit(4));', 'exit status 4'],
    ['is killed when its turn has come', 'talk.write("prepared\\n"); talk.on("data", () => process.kill(process.pid, "SIGKILL"));', 'SIGKILL'],
    ['says why not', 'talk.write("prepared\\n"); talk.on("data", () => talk.write("the vault is of another build\\n"));', 'the vault is of another build'],
    ['says nothing for ten seconds when its turn has come', 'talk.write("prepared\\n"); talk.on("data", () => undefined); setInterval(() => 0, 1000);', 'it said nothing for 10 s'],
  ])('by a program that %s leaves the old one as it was, which says why', async (_, text, why) => {
    record(stub(text));
    const before = await status();
    const crowd = load(2);
    const { exit, stderr } = await home.valetkey(['daemon', 'upgrade']);
    expect({ exit, stderr }).toEqual({ exit: 9, stderr: expect.stringContaining(why) as string });
    const after = await status();
    expect(after).toMatchObject({ pid: before.pid, vault: { state: 'open' } });
    expect((await callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true })).status).toBe(200);
    await crowd.end();
    expect(crowd.errors).toEqual([]);
    // Nothing of it holds the lock, the socket or the key any more.
    if (existsSync(at('next.pid'))) expect(isAlive(Number(readFileSync(at('next.pid'), 'utf8')))).toBe(false);
    // And it can be done right afterwards.
    record(MAIN);
    expect(await home.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 0 });
  }, 120_000);

  it('by a program that somebody else could have changed, or with a flag that loads code, is refused', async () => {
    const before = await status();
    const program = stub('');
    chmodSync(program, 0o666);
    for (const [what, why] of [[() => record(program), 'others could change what runs'], [() => record(MAIN, { flags: ['--require=/tmp/x.cjs'] }), '--require'], [() => record(at('gone.cjs')), 'is not there']] as const) {
      what();
      expect(await home.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 9, stderr: expect.stringContaining(why) as string });
    }
    chmodSync(at('state/valetkey/service.json'), 0o666);
    expect(await home.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 9, stderr: expect.stringContaining('service.json') as string });
    expect((await status()).pid).toBe(before.pid);
  });

  it('without a recorded program ends at such a moment, and no request through the library or the CLI fails', async () => {
    rmSync(at('state/valetkey/service.json'));
    const before = await status();
    const script = at('asks.mjs');
    // It may start a daemon, as programs do: by the environment of this home, and not by a socket that it names.
    writeFileSync(script, `import { connect } from ${JSON.stringify(join(ROOT, 'dist/client/index.js'))};
      const errors = []; let asked = 0; let isOver = false;
      process.stdin.on('data', () => undefined).on('end', () => { isOver = true; });
      const ask = async (client) => { while (!isOver) { await client.status().catch((error) => errors.push(String(error))); asked += 1; } };
      const clients = [1, 2, 3, 4].map(() => connect());
      await Promise.all(clients.flatMap((client) => [ask(client), ask(client)]));
      for (const client of clients) client.close();
      process.stdout.write(JSON.stringify({ errors, asked }));`);
    const program = spawn(process.execPath, [script], { env: { ...home.env }, stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    program.stdout.setEncoding('utf8').on('data', (text: string) => { said += text; });
    const runs: Promise<Finished>[] = [];
    const upgraded = home.valetkey(['daemon', 'upgrade', '--json']);
    while (runs.length < 12) {
      runs.push(home.valetkey(['profiles', '--json']));
      await sleep(60);
    }
    expect(await upgraded).toMatchObject({ exit: 0, stdout: expect.stringContaining('"how": "exit"') as string });
    for (const { exit, stderr } of await Promise.all(runs)) expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    const gone = once(program, 'close');
    program.stdin.end();
    await gone;
    const { errors, asked } = JSON.parse(said) as { errors: readonly string[]; asked: number };
    console.log(`without a record: ${asked} requests of the library`);
    expect(errors).toEqual([]);
    expect(asked).toBeGreaterThan(50);
    expect((await status()).pid).not.toBe(before.pid);
  }, 60_000);

  it('and any other end is waited for by who asks meanwhile: until the refresh on the wire is saved, and the next daemon starts', async () => {
    const ledger = new Ledger(issuer);
    const before = await status();
    const held = new Held();
    shim.next('token', { kind: 'hold', held });
    const refreshed = callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true });
    await held.arrived;
    const stopped = home.valetkey(['daemon', 'stop']);
    await expect.poll(() => existsSync(socket())).toBe(false);
    const asked = home.valetkey(['profiles', '--json']);
    await sleep(6_000); // longer than a start is waited for
    held.release();
    expect((await refreshed).status).toBe(200);
    expect(await stopped).toMatchObject({ exit: 0 });
    expect(await asked).toMatchObject({ exit: 0, stderr: '' });
    expect((await status()).pid).not.toBe(before.pid);
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 60_000);

  it('is refused where it would lose something: a vault in memory, or a lock that only this daemon knows of', async () => {
    expect(await home.valetkey(['lock'])).toMatchObject({ exit: 0 });
    expect(await home.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 4, stderr: expect.stringContaining('the next daemon would not know') as string });
    expect(await home.valetkey(['unlock', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: 0 });
    const other = makeHome();
    try {
      mkdirSync(join(other.base, 'config/valetkey'), { mode: 0o700 });
      writeFileSync(join(other.base, 'config/valetkey/config.toml'), `[vault]\nbackend = "memory"\n${profileToml('work', issuer.url, `browser = ${JSON.stringify([process.execPath, BROWSER, '{url}', '--login', 'ada'])}`)}`, { mode: 0o600 });
      expect((await other.atTerminal(['login', 'work'])).stdout).toContain('Signed in as');
      expect(await other.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 9, stderr: expect.stringContaining('1 sign-in would end') as string });
      expect(await other.valetkey(['token', 'work'])).toMatchObject({ exit: 0 });
    } finally {
      await other.leave();
    }
  }, 60_000);

  it('leaves one working daemon, or none and a start that works, whenever old or new is killed', async () => {
    const ledger = new Ledger(issuer);
    for (let round = 0; round < 16; round += 1) {
      const before = await status();
      const victim = round % 2 === 0 ? 'old' : 'new';
      const { body } = await callApi(socket(), 'POST', '/v1/upgrade');
      const { pid } = body as { pid: number };
      await sleep(Math.floor(round / 2) * 25);
      try {
        process.kill(victim === 'old' ? before.pid : pid, 'SIGKILL');
      } catch { /* it has ended by itself */ }
      // The client starts one where there is none.
      const shown = await home.valetkey(['daemon', 'start', '--json']);
      expect(shown, `round ${round}: ${shown.stderr}`).toMatchObject({ exit: 0 });
      const locked = (await status()).vault.state === 'locked';
      if (locked) expect(await home.valetkey(['unlock', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: 0 });
      const { body: reply, status: code } = await callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true });
      expect(code, `round ${round}: ${JSON.stringify(reply)}`).toBe(200);
      const now = (await status()).pid;
      await expect.poll(() => [before.pid, pid, now].filter((each, i, all) => all.indexOf(each) === i && isAlive(each)), { message: `round ${round}` }).toEqual([now]);
      expect(JSON.parse(readFileSync(at('state/valetkey/lock'), 'utf8'))).toMatchObject({ pid: now });
    }
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
  }, 180_000);
});
