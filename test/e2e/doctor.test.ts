/**
 * The doctor on a machine where everything is real: the built CLI, its daemon, an issuer, a person at a terminal. One
 * thing is broken at a time, and the doctor has to name that thing, with its command, and nothing else besides.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../client/doctor/finding.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { collectCanaries, searchBytes } from '../support/canaries.ts';
import { keyringObstacle, startKeyring } from '../support/keyring.ts';
import type { Keyring } from '../support/keyring.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/loopback-tls.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('valetkey doctor', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let baseline: readonly Finding[];
  const servers: Server[] = [];
  const path = (...names: readonly string[]): string => join(home.base, ...names);
  const config = (): string => path('config/valetkey/config.toml');

  async function doctor(...flags: readonly string[]): Promise<{ readonly findings: readonly Finding[]; readonly exit: number | null }> {
    const { stdout, exit } = await home.atTerminal(['doctor', '--json', ...flags]);
    return { findings: (JSON.parse(stdout.slice(stdout.indexOf('{'), stdout.lastIndexOf('}') + 1)) as { findings: readonly Finding[] }).findings, exit };
  }

  /** What is wrong now and was not wrong before. */
  async function broken(): Promise<readonly Pick<Finding, 'id' | 'command'>[]> {
    const { findings } = await doctor();
    return findings.filter(({ level, id, what }) => level !== 'ok' && !baseline.some((each) => each.id === id && each.what === what)).map(({ id, command }) => ({ id, command }));
  }

  async function listening(server: Server): Promise<string> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Metadata of an issuer that is all right but for what the test changes. */
  const metadata = (change: (url: string) => object = () => ({}), headers: Readonly<Record<string, string>> = {}): RequestListener => (request, response) => {
    const url = `http://${request.headers.host}`;
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ issuer: url, authorization_endpoint: `${url}/a`, token_endpoint: `${url}/t`, code_challenge_methods_supported: ['S256'], ...change(url) }));
  };

  /** With one more profile in the configuration, for as long as `use` takes. */
  async function withProfile(toml: string, use: () => Promise<void>): Promise<void> {
    const before = readFileSync(config(), 'utf8');
    appendFileSync(config(), `\n[profiles.other]\nclient_id = "x"\nbrowser = ["true"]\n${toml}\n`);
    try {
      expect((await home.valetkey(['daemon', 'reload'])).stderr).not.toContain('error');
      await use();
    } finally {
      writeFileSync(config(), before);
      await home.valetkey(['daemon', 'reload']);
    }
  }

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer();
    mkdirSync(path('config/valetkey'), { mode: 0o700 });
    writeFileSync(config(), '[vault]\nbackend = "memory"\n', { mode: 0o600 });
    const add = ['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word])];
    const { profile } = JSON.parse((await home.valetkey([...add, '--dry-run', '--json'])).stdout) as { profile: { redirect_uris: readonly string[] } };
    issuer.registerClient({ id: 'cli', redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
    expect((await home.valetkey(add)).exit).toBe(0);
    expect((await home.atTerminal(['login', 'work'])).stdout).toContain('Signed in as');
    baseline = (await doctor()).findings.filter(({ level }) => level !== 'ok');
  }, 60_000);
  afterAll(async () => {
    await home?.leave();
    await issuer?.close();
    for (const server of servers) server.close();
  });

  it('finds nothing but what this machine is: root, no launcher, and whatever lies in its home', () => {
    const here = ['daemon_warning', 'launcher', 'ptrace', 'plain_text_tokens', 'core_dumps'];
    expect(baseline.filter(({ id, level }) => !here.includes(id) || level === 'error')).toEqual([]);
  });

  const set = (act: () => void, undo: () => void) => async (use: () => Promise<void>): Promise<void> => {
    act();
    try {
      await use();
    } finally {
      undo();
    }
  };

  /** Written anew for as long as `use` takes; the daemon is not told. */
  const withConfig = (change: (text: string) => string) => async (use: () => Promise<void>): Promise<void> => {
    const before = readFileSync(config(), 'utf8');
    writeFileSync(config(), change(before));
    await use().finally(() => writeFileSync(config(), before));
  };

  it('takes no file that was only touched for one that was changed', async () => {
    utimesSync(config(), new Date(), new Date(Date.now() + 60_000));
    expect(await broken()).toEqual([]);
    utimesSync(config(), new Date(0), new Date(0));
  });

  it.each<readonly [string, (use: () => Promise<void>) => Promise<void>, () => Pick<Finding, 'id' | 'command'>]>([
    ['a runtime directory that others may enter', set(() => chmodSync(path('run/valetkey'), 0o755), () => chmodSync(path('run/valetkey'), 0o700)), () => ({ id: 'runtime_directory', command: `chmod 0700 ${path('run/valetkey')}` })],
    ['a socket that others may use', set(() => chmodSync(path('run/valetkey/socket'), 0o666), () => chmodSync(path('run/valetkey/socket'), 0o600)), () => ({ id: 'socket', command: `chmod 0600 ${path('run/valetkey/socket')}` })],
    ['a state directory that others may read', set(() => chmodSync(path('state/valetkey'), 0o750), () => chmodSync(path('state/valetkey'), 0o700)), () => ({ id: 'state_directory', command: `chmod 0700 ${path('state/valetkey')}` })],
    ['a configuration that others may write', set(() => chmodSync(config(), 0o666), () => chmodSync(config(), 0o600)), () => ({ id: 'config_file', command: `chmod 0644 ${config()}` })],
    ['a configuration that was changed since', withConfig((text) => `${text}\n[limits]\nburst = 77\n`), () => ({ id: 'config', command: 'valetkey daemon reload' })],
    ['a configuration that was broken under the daemon', withConfig((text) => `${text}\n[nonsense\n`), () => ({ id: 'config', command: `"\${EDITOR:-vi}" ${config()}` })],
    ['a policy that was broken under the daemon', set(() => writeFileSync(path('config/valetkey/policy.toml'), 'v = [\n', { mode: 0o600 }), () => rmSync(path('config/valetkey/policy.toml'))), () => ({ id: 'policy', command: 'valetkey policy check' })],
    ['hooks that were broken under the daemon', set(() => writeFileSync(path('config/valetkey/hooks.toml'), 'v = [\n', { mode: 0o600 }), () => rmSync(path('config/valetkey/hooks.toml'))), () => ({ id: 'hooks', command: `"\${EDITOR:-vi}" ${path('config/valetkey/hooks.toml')}` })],
    ['a service whose record names a Node that has moved', set(() => writeFileSync(path('state/valetkey/service.json'), JSON.stringify({ v: 1, node: '/opt/gone/bin/node', program: process.execPath })), () => rmSync(path('state/valetkey/service.json'))), () => ({ id: 'unit_file', command: 'valetkey service install' })],
    ['a state that Syncthing copies', set(() => mkdirSync(path('state/.stfolder')), () => rmSync(path('state/.stfolder'), { recursive: true })), () => ({ id: 'synced_folder', command: 'export XDG_STATE_HOME=$HOME/.local/state' })],
    ['a configuration in a dotfile repository', set(() => mkdirSync(path('config/.git')), () => rmSync(path('config/.git'), { recursive: true })), () => ({ id: 'synced_folder', command: `echo /valetkey/ >> ${path('config/.gitignore')}` })],
    ['a unit whose Node is gone', set(() => {
      mkdirSync(path('config/systemd/user'), { recursive: true });
      writeFileSync(path('config/systemd/user/valetkeyd.service'), '[Service]\nExecStart=/opt/gone/bin/node /opt/gone/valetkeyd.cjs\n');
    }, () => rmSync(path('config/systemd'), { recursive: true })), () => ({ id: 'unit_file', command: `mv ${path('config/systemd/user/valetkeyd.service')} ${path('config/systemd/user/valetkeyd.service')}.mine && valetkey service install` })],
  ])('%s', async (_, breaking, expected) => {
    await breaking(async () => expect(await broken()).toEqual([expected()]));
    expect(await broken()).toEqual([]);
  });

  it('an issuer that hangs: that one alone, the others are looked at meanwhile', async () => {
    const held = createTcpServer((socket) => socket.on('error', () => undefined));
    const url = `http://${await listening(held)}`;
    await withProfile(`issuer = "${url}"\nallow_loopback_http = true`, async () => {
      const { findings, exit } = await doctor();
      expect(findings.filter(({ id }) => id.startsWith('issuer')).map(({ id, level }) => `${id} ${level}`).toSorted()).toEqual(['issuer ok', 'issuer_timeout error']);
      expect(exit).toBe(8);
    });
  }, 60_000);

  it.each<readonly [string, () => Promise<string>, Finding['id'], RegExp]>([
    ['refuses connections', async () => {
      const server = createTcpServer();
      const at = await listening(server);
      await new Promise((resolve) => server.close(resolve));
      return `issuer = "http://${at}"\nallow_loopback_http = true`;
    }, 'issuer_unreachable', /^curl -sv --max-time 10 /],
    ['answers 503', async () => `issuer = "http://${await listening(createServer((_, response) => response.writeHead(503).end()))}"\nallow_loopback_http = true`, 'issuer_unreachable', /^curl -sv /],
    ['names another issuer', async () => `issuer = "http://${await listening(createServer(metadata(() => ({ issuer: 'https://other.example.com' }))))}"\nallow_loopback_http = true`, 'issuer_metadata', /^curl -s http:.*openid-configuration$/],
    ['has a certificate that nobody signed', async () => `issuer = "https://${await listening(createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, metadata()))}"`, 'issuer_ca', /^openssl s_client -connect 127\.0\.0\.1:\d+ /],
    ['is behind a proxy that does not pass on', async () => `issuer = "https://issuer.example"\nproxy = "http://${await listening(createServer().on('connect', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')))}"`, 'issuer_proxy', /^curl -sv --max-time 10 --proxy http:/],
    ['has a clock of its own', async () => `issuer = "http://${await listening(createServer(metadata(undefined, { date: new Date(Date.now() + 400_000).toUTCString() })))}"\nallow_loopback_http = true`, 'clock', /^(sudo timedatectl set-ntp true|curl -sI )/],
  ])('an issuer that %s', async (_, start, id, command) => {
    const toml = await start();
    await withProfile(toml, async () => expect(await broken()).toEqual([{ id, command: expect.stringMatching(command) as string }]));
  }, 60_000);

  it('the line to accept stands with the finding, where the shell knows a CA that the profile does not', async () => {
    const toml = `issuer = "https://${await listening(createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, metadata()))}"`;
    await withProfile(toml, async () => {
      const { stdout } = await home.atTerminal(['doctor', '--json'], { env: { NODE_EXTRA_CA_CERTS: '/etc/corporate.pem' } });
      expect(stdout).toContain('Write into [profiles.other]:\\nca_file = \\"/etc/corporate.pem\\"');
    });
  }, 60_000);

  it('a vault that is locked, and nothing that follows from it', async () => {
    expect((await home.valetkey(['lock'])).exit).toBe(0);
    expect(await broken()).toEqual([{ id: 'vault', command: 'valetkey unlock' }]);
    expect((await home.valetkey(['unlock'])).exit).toBe(0);
  });

  it('a bundle holds nothing of what the issuer minted, and no name of the person', async () => {
    expect((await home.atTerminal(['token', 'work', '--force'])).exit).toBe(0);
    const file = path('report.json');
    const { findings } = await doctor('--bundle', file);
    const text = readFileSync(file, 'utf8');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(findings.length).toBeGreaterThan(20);
    expect(text).toContain('"issuer"');
    expect(issuer.minted.filter(({ kind }) => kind === 'refresh_token').length).toBeGreaterThan(0);
    const canaries = collectCanaries(issuer.minted);
    expect(searchBytes(file, text, canaries)).toEqual([]);
    // The search does find what is there.
    expect(searchBytes(file, text + (issuer.minted.at(-1)?.value ?? ''), canaries)).not.toEqual([]);
    expect(text).not.toMatch(/\bada\b|ada@/);
  }, 40_000);

  it('is shown to a person within 80 columns', async () => {
    const { stdout } = await home.atTerminal(['doctor']);
    const lines = stdout.split(/\r?\n/).filter((line) => !line.includes('\u001b[K') && !/^ +Run /.test(line) && !/\S{40,}/.test(line));
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toMatch(/(?:^|\u001b\[K)Files\r?$/m);
  });

  it('works with no daemon, which it starts', async () => {
    expect((await home.valetkey(['daemon', 'stop'])).exit).toBe(0);
    const { findings, exit } = await doctor();
    expect({ exit, daemon: findings.find(({ id }) => id === 'daemon') }).toMatchObject({ exit: 0, daemon: { level: 'ok', what: expect.stringContaining('started by valetkey doctor') as string } });
  });

  it('works with a policy that is broken', async () => {
    writeFileSync(path('config/valetkey/policy.toml'), 'v = 1\nnonsense = true\n', { mode: 0o600 });
    await home.valetkey(['daemon', 'stop']);
    try {
      expect(await broken()).toEqual([{ id: 'policy', command: 'valetkey policy check' }]);
    } finally {
      rmSync(path('config/valetkey/policy.toml'));
      await home.valetkey(['daemon', 'stop']);
    }
  });

  it('works with a configuration that is broken, which no daemon starts with', async () => {
    const before = readFileSync(config(), 'utf8');
    writeFileSync(config(), `${before}\n[nonsense\n`);
    const { findings, exit } = await doctor().finally(() => writeFileSync(config(), before));
    expect({ exit, found: findings.filter(({ level }) => level === 'error').map(({ id, command }) => ({ id, command })) }).toEqual({ exit: 8, found: [{ id: 'config', command: `"\${EDITOR:-vi}" ${config()}` }] });
    expect(findings.find(({ id }) => id === 'config')?.what).toMatch(/config\.toml:\d+/);
  });
});

const keyringMissing = hasScript ? keyringObstacle() : 'no terminal';
if (keyringMissing !== null) console.warn(`not run: the doctor beside a keychain: ${keyringMissing}`);

describe.skipIf(keyringMissing !== null)('valetkey doctor beside a keychain', () => {
  const PING = 'busctl --user --timeout=2 call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.DBus.Peer Ping';
  let keyring: Keyring;
  let home: Home;
  beforeAll(async () => {
    needBuild();
    keyring = await startKeyring();
    home = makeHome();
  });
  afterAll(async () => {
    keyring?.thaw();
    await home?.leave();
    await keyring?.stop();
  });

  async function doctor(): Promise<readonly Pick<Finding, 'id' | 'level' | 'command'>[]> {
    const { stdout } = await home.valetkey(['doctor', '--json'], { env: { DBUS_SESSION_BUS_ADDRESS: keyring.env['DBUS_SESSION_BUS_ADDRESS'] ?? '' } });
    return (JSON.parse(stdout) as { findings: readonly Finding[] }).findings.filter(({ id }) => id === 'vault' || id === 'keychain').map(({ id, level, command }) => ({ id, level, command }));
  }
  const well = [{ id: 'vault', level: 'ok', command: null }, { id: 'keychain', level: 'ok', command: null }];

  it('says of a daemon that it has just started how the vault is now, and not how it was', async () => {
    expect(await doctor()).toEqual(well);
  });

  it('ends while the keychain hangs, under a daemon that has its key and under one that waits for it', async () => {
    keyring.freeze();
    expect(await doctor()).toEqual([{ id: 'vault', level: 'ok', command: null }, { id: 'keychain', level: 'error', command: PING }]);
    await home.valetkey(['daemon', 'stop']);
    expect(await doctor()).toEqual([{ id: 'vault', level: 'error', command: PING }, { id: 'keychain', level: 'ok', command: null }]);
    keyring.thaw();
  });

  it('names the command that opens a vault whose keychain answers again', async () => {
    expect(await doctor()).toEqual([{ id: 'vault', level: 'error', command: 'valetkey unlock' }, { id: 'keychain', level: 'ok', command: null }]);
    expect((await home.valetkey(['unlock'])).exit).toBe(0);
    expect(await doctor()).toEqual(well);
  });

  it('says of a keychain that is locked that it is', async () => {
    await home.valetkey(['daemon', 'stop']);
    keyring.lock();
    const [vault] = await doctor();
    expect(vault).toMatchObject({ id: 'vault', command: 'valetkey unlock' });
    expect(vault?.level).not.toBe('ok');
    await keyring.unlock();
    expect((await home.valetkey(['unlock'])).exit).toBe(0);
    expect(await doctor()).toEqual(well);
  });
});
