/** The bundle of the daemon as it ships, in a place where there is no package but the native ones. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callApi } from '../support/api.ts';
import { faultCodeIn, labelsIn, readTree } from '../support/fault-build.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { keyringObstacle, startKeyring } from '../support/keyring.ts';
import { LineClient } from '../support/line-client.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const NATIVE = ['@koromix', '@napi-rs'];
let place: string;
let home: Home;
let issuer: HostileIssuer;
let daemon: ChildProcess | null = null;

beforeAll(() => {
  needBuild();
  place = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-bundle-')));
  // First: the build runs the daemon.
  for (const name of NATIVE) cpSync(join(ROOT, 'node_modules', name), join(place, 'node_modules', name), { recursive: true });
  execFileSync(process.execPath, [join(ROOT, 'scripts/build-daemon.mjs'), join(place, 'dist/daemon')]);
}, 60_000);
afterAll(() => rmSync(place, { recursive: true }));
beforeEach(async () => {
  home = makeHome();
  issuer = await startHostileIssuer({ lifetimes: { accessTokenS: 61 } });
});
afterEach(async () => {
  daemon?.kill('SIGKILL');
  daemon = null;
  await home.leave();
  await issuer.close();
});

const socket = (): string => join(home.base, 'run/valetkey/socket');

async function start(backend: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const config = join(home.base, 'config/valetkey');
  mkdirSync(config, { mode: 0o700 });
  const browser = `browser = ["${process.execPath}", "${BROWSER}", "--login", "alice", "{url}"]`;
  writeFileSync(join(config, 'config.toml'), `[vault]\nbackend = "${backend}"\n${profileToml('work', issuer.url, browser)}`, { mode: 0o600 });
  daemon = spawn(process.execPath, [join(place, 'dist/daemon/valetkeyd.cjs')], { env: { ...home.env, ...env }, cwd: '/', stdio: 'ignore' });
  await expect.poll(() => existsSync(socket())).toBe(true);
}

async function signInAndStop(): Promise<void> {
  const { exit, stdout } = await home.atTerminal(['login', 'work']);
  expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringContaining('Signed in as') as string });
  const cached = (await callApi(socket(), 'POST', '/v1/token', { profile: 'work' })).body;
  const refreshed = (await callApi(socket(), 'POST', '/v1/token', { profile: 'work', force: true })).body;
  expect(refreshed['source']).toBe('refresh');
  expect(refreshed['access_token']).not.toBe(cached['access_token']);
  expect((await callApi(socket(), 'GET', '/v1/openapi.json')).status).toBe(200);
  expect((await callApi(socket(), 'POST', '/v1/shutdown')).status).toBe(200);
  if (daemon?.exitCode === null) await once(daemon, 'exit');
  expect(daemon?.exitCode).toBe(0);
  expect(existsSync(socket())).toBe(false);
}

describe('the bundled daemon', () => {
  it('serves lines and HTTP, signs in into a vault under a passphrase, refreshes and stops', async () => {
    await start('passphrase');
    const line = new LineClient(socket());
    expect(await line.ask({ type: 'status', id: 1 }).wait(1)).toMatchObject([{ id: 1, status: 200 }]);
    line.leave();
    const unlocked = await home.valetkey(['unlock', '--create', '--passphrase-stdin'], { stdin: 'bundle-passphrase-EXAMPLE\n' });
    expect(unlocked).toMatchObject({ exit: 0 });
    await signInAndStop();
    expect(readdirSync(join(home.base, 'state/valetkey/grants'))).toEqual(['work.jwe']);
  }, 60_000);

  const obstacle = keyringObstacle();
  if (obstacle !== null) console.warn(`the bundle is not tested with a keychain: ${obstacle}`);
  it.skipIf(obstacle !== null)('asks a real keychain in a process of its own', async () => {
    const keyring = await startKeyring();
    try {
      await start('keychain', { DBUS_SESSION_BUS_ADDRESS: keyring.env['DBUS_SESSION_BUS_ADDRESS'] ?? '' });
      await signInAndStop();
      expect(JSON.parse(readFileSync(join(home.base, 'state/valetkey/vault.json'), 'utf8'))).toMatchObject({ keyedBy: { backend: 'keychain' } });
    } finally {
      await keyring.stop();
    }
  }, 60_000);

  it('[PH-02] listens for SIGUSR1 before anything else is loaded', () => {
    const text = readFileSync(join(place, 'dist/daemon/valetkeyd.cjs'), 'utf8');
    expect(text).toMatch(/^#!.*\n"use strict";process\.on\(`SIGUSR1`,\(\)=>void 0\)/);
    // What runs after the claim is not required at the top.
    expect(text.match(/valetkeyd-run\.cjs/g)).toHaveLength(1);
    expect(text).toMatch(/=>\s*requireCompiled\(require,module,"valetkeyd-run\.cjs",/);
  });

  it('names by a digest what was compiled ahead, and does without it where that is other bytes', async () => {
    const compiled = join(place, 'dist/daemon/valetkeyd-run.cjs.v8');
    const bytes = readFileSync(compiled);
    const digest = createHash('sha256').update(readFileSync(join(place, 'dist/daemon/valetkeyd-run.cjs'))).update(bytes).digest('hex');
    expect(readFileSync(join(place, 'dist/daemon/valetkeyd.cjs'), 'utf8')).toContain(`"${process.version} ${process.platform} ${process.arch}":"${digest}"`);
    writeFileSync(compiled, bytes.subarray(0, bytes.length / 2));
    try {
      await start('passphrase');
      const line = new LineClient(socket());
      expect(await line.ask({ type: 'status', id: 1 }).wait(1)).toMatchObject([{ id: 1, status: 200 }]);
      line.leave();
    } finally {
      writeFileSync(compiled, bytes);
    }
  });

  it('goes on by its own files where an installation puts others in their place while it runs', async () => {
    const folder = join(place, 'dist/daemon');
    const later = readdirSync(folder).filter((name) => /^valetkeyd-.*\.cjs$/.test(name));
    expect(later.length).toBeGreaterThan(4);
    const own = new Map(later.map((name) => [name, readFileSync(join(folder, name))]));
    await start('passphrase');
    try {
      // As dpkg and npm do: a new file under the old name, or none.
      for (const [i, name] of later.entries()) {
        rmSync(join(folder, name));
        if (i % 2 === 0) writeFileSync(join(folder, name), 'throw new Error("this is of another build");\n');
      }
      expect(await home.valetkey(['unlock', '--create', '--passphrase-stdin'], { stdin: 'bundle-passphrase-EXAMPLE\n' })).toMatchObject({ exit: 0 });
      await signInAndStop();
    } finally {
      for (const [name, bytes] of own) writeFileSync(join(folder, name), bytes);
    }
  }, 60_000);

  it('has no fault points', () => {
    const bundle = readTree(join(place, 'dist/daemon'), /\.cjs$/);
    expect(bundle.size).toBeGreaterThan(4);
    expect(faultCodeIn(bundle, labelsIn(readTree(join(ROOT, 'daemon'), /\.ts$/)))).toEqual([]);
  });

  it("names none of Node's fetch classes, which load the rest of it, and leaves out what packages need for options that are not used", () => {
    const QUOTED = /`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;
    const FREE = /(?<![.\w$])(?:Headers|Request|Response|FormData)\b(?!\s*:)/;
    // fastify has a Request of its own, and no other.
    const named = [...readTree(join(place, 'dist/daemon'), /(?<!-http)\.cjs$/)].filter(([, text]) => FREE.test(text.replace(QUOTED, '``')));
    expect(named.map(([name]) => name)).toEqual([]);
    expect(FREE.test('return new Response(null)')).toBe(true);
    for (const [, text] of readTree(join(place, 'dist/daemon'), /\.cjs$/)) expect(text).not.toMatch(/node:http2|worker_threads|new Worker/);
  });

  it('comes with the licence of each package in it', () => {
    const licences = readFileSync(join(place, 'dist/daemon/THIRD-PARTY-LICENSES'), 'utf8');
    for (const name of ['fastify', 'jose', 'oauth4webapi', 'openid-client', 'smol-toml', 'valibot']) {
      const { version, license } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as { version: string; license: string };
      expect(licences).toContain(`\n${name} ${version} (${license})\n`);
    }
    expect(licences.match(/Permission is hereby granted|Redistribution and use/g)?.length).toBeGreaterThan(20);
  });

  it('has no package that the bill of materials lacks', async () => {
    const { billOfMaterials } = await import(join(ROOT, 'scripts/sbom.mjs')) as { billOfMaterials(epoch: number): { components: readonly { name: string; version: string }[] } };
    const told = billOfMaterials(0).components.map(({ name, version }) => `${name} ${version}`);
    const bundled = [...readFileSync(join(place, 'dist/daemon/THIRD-PARTY-LICENSES'), 'utf8').matchAll(/^([@a-z][^ ]* \d+\.\d+\S*) \(.*\)$/gm)].map(([, name = '']) => name);
    expect(bundled.length).toBeGreaterThan(20);
    expect(bundled.filter((name) => !told.includes(name))).toEqual([]);
  });
});
