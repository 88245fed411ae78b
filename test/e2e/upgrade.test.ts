/** One daemon follows another under load, by the built program: nothing is lost, nobody is turned away, and no refresh token is sent twice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { callApi } from '../support/api.ts';
import { Held } from '../support/fault-shim.ts';
import { profileToml } from '../support/in-process.ts';
import { Ledger } from '../support/ledger.ts';
import { BROWSER, makeHome, ROOT } from './built-cli.ts';
import type { Finished } from './built-cli.ts';
import { at, home, isAlive, issuer, load, MAIN, PASSPHRASE, record, shim, socket, status, stub, useUpgradeStage } from './upgrade-stage.ts';

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('not run: a daemon is handed over on Linux alone');

/** What a stream of events says, until it ends. */
function hear(): string[] {
  const said: string[] = [];
  get({ socketPath: socket(), path: '/v1/events', headers: { host: 'valetkey' } }, (reply) => {
    reply.setEncoding('utf8').on('data', (text: string) => said.push(text)).on('error', () => said.push('cut off')).on('close', () => said.push('over'));
  });
  return said;
}

describe.skipIf(!isLinux)('an upgrade', () => {
  useUpgradeStage();

  it('[IP-04] under load waits for a refresh on the wire and a sign-in, and then nobody is turned away', async () => {
    const ledger = new Ledger(issuer);
    const before = await status();
    const heard = hear();
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
    await sleep(300); // how long each is waited for stands in test/unit/daemon/upgrades.test.ts
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
    await expect.poll(() => heard.at(-1)).toBe('over');
    expect(heard.join('')).toMatch(/event: stopping\ndata: [^\n]*"detail":"upgrade"/);
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
    for (let round = 0; round < 3; round += 1) {
      const forced = Array.from({ length: 3 }, () => callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true }).then((reply) => answers.push(reply.status)));
      const upgraded = await home.valetkey(['daemon', 'upgrade', '--json']);
      expect(upgraded, upgraded.stderr).toMatchObject({ exit: 0 });
      pids.add((await status()).pid);
      await Promise.all(forced);
    }
    await crowd.end();
    console.log(`three upgrades under load: ${JSON.stringify(crowd.count)}`);
    expect(crowd.errors).toEqual([]);
    expect(answers).toEqual(Array.from({ length: 9 }, () => 200));
    expect(pids.size).toBe(4);
    await expect.poll(() => [...pids].filter(isAlive).length).toBe(1);
    expect([ledger.reuses(), ledger.alarms()]).toEqual([0, 0]);
    // Whoever looks at the lock finds the one that lives.
    const lock = at('state/valetkey/lock');
    expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: (await status()).pid });
  }, 120_000);

  it('by a program that does not take over leaves the old one as it was, which says why', async () => {
    const before = await status();
    const crowd = load(2);
    const whenItsTurn = (act: string): string => `talk.write("prepared\\n"); talk.on("data", () => ${act});`;
    for (const [text, why] of [
      ['process.exit(3);', 'exit status 3'],
      ['}', 'exit status 1'],
      [whenItsTurn('process.exit(4)'), 'exit status 4'],
      [whenItsTurn('process.kill(process.pid, "SIGKILL")'), 'SIGKILL'],
      [whenItsTurn('talk.write("the vault is of another build\\n")'), 'the vault is of another build'],
      [`${whenItsTurn('undefined')} setInterval(() => 0, 1000);`, 'it said nothing for 10 s'],
    ] as const) {
      record(stub(text));
      const { exit, stderr } = await home.valetkey(['daemon', 'upgrade']);
      expect({ exit, stderr }).toEqual({ exit: 9, stderr: expect.stringContaining(why) as string });
      expect(await status(), why).toMatchObject({ pid: before.pid, vault: { state: 'open' } });
      expect((await callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true })).status, why).toBe(200);
      // Nothing of it holds the lock, the socket or the key any more.
      if (existsSync(at('next.pid'))) expect(isAlive(Number(readFileSync(at('next.pid'), 'utf8'))), why).toBe(false);
      rmSync(at('next.pid'), { force: true });
    }
    // And it can be done right afterwards.
    record(MAIN);
    expect(await home.valetkey(['daemon', 'upgrade'])).toMatchObject({ exit: 0 });
    await crowd.end();
    expect(crowd.errors).toEqual([]);
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
});
