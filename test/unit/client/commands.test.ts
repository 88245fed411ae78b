import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import { grant, NOW, profile, run, status } from './fake-world.ts';
import { privateDirectory } from './stand-in.ts';

const added = { profile, server: { token_endpoint: 'https://login.example.com/token', device_authorization_endpoint: null }, warnings: ['no S256 listed'], written: '/c/config.toml' };

describe('profiles', () => {
  const api = { profiles: () => ({ profiles: [profile, { ...profile, name: 'home', signed_in: false }] }) };

  it('are a table, names only with --quiet, a document with --json', async () => {
    expect((await run(['profiles'], { api })).stdout).toBe([
      'PROFILE  ISSUER                     SCOPES       SIGNED IN',
      'work     https://login.example.com  openid read  yes',
      'home     https://login.example.com  openid read  no',
      '',
    ].join('\n'));
    expect((await run(['profiles', '--quiet'], { api })).stdout).toBe('work\nhome\n');
    expect(JSON.parse((await run(['profiles', '--json'], { api })).stdout)).toEqual(api.profiles());
  });

  it('none is said on standard error', async () => {
    const { stdout, stderr } = await run(['profiles'], { api: { profiles: () => ({ profiles: [] }) } });
    expect(stdout).toBe('');
    expect(stderr).toContain('valetkey profile add');
  });

  it('show prints one; an unknown one lists what there is', async () => {
    expect((await run(['profile', 'show', 'work'], { api })).stdout).toContain('Redirect URI  http://127.0.0.1:{port}/callback');
    const { exit, stderr } = await run(['profile', 'show', 'nope'], { api });
    expect(exit).toBe(8);
    expect(stderr).toContain('there are: work, home');
  });

  it('default writes the file of this directory, over an old one and through no link', async () => {
    const base = privateDirectory();
    const target = join(base, 'target');
    writeFileSync(target, 'untouched');
    symlinkSync(target, join(base, '.valetkey.toml'));
    const { exit, stderr } = await run(['profile', 'default', 'home'], { api, base });
    expect(exit).toBe(0);
    expect(readFileSync(join(base, '.valetkey.toml'), 'utf8')).toBe('v = 1\nprofile = "home"\n');
    expect(readFileSync(target, 'utf8')).toBe('untouched');
    expect(stderr).toContain('home now');
    expect((await run(['profile', 'default', 'nope'], { api, base })).exit).toBe(8);
    expect((await run(['profile', 'default', '--help'])).stdout).toContain('two terminals would race');
  });

  it('remove asks the daemon', async () => {
    const { calls, exit } = await run(['profile', 'remove', 'work'], { api: { removeProfile: () => ({ ok: true }) } });
    expect({ exit, calls }).toEqual({ exit: 0, calls: [['removeProfile', 'work']] });
  });
});

describe('profile add', () => {
  it('sends what the flags say, and prints what to register, and the warnings', async () => {
    const { calls, stdout, stderr } = await run([
      'profile', 'add', 'work', '--issuer', 'https://login.example.com', '--client-id', 'cli', '--tenant', 't', '--scope', 'openid', '--scope', 'read', '--resource', 'https://api.example.com',
      '--flow', 'pkce', '--browser', 'firefox', '--browser', '--private-window', '--ca-file', '/ca.pem', '--proxy', 'http://proxy:3128', '--redirect-port', '8400', '--redirect-port', '8401',
      '--allow-loopback-http', '--client-secret-stdin', '--dry-run', '--preset', 'oidc',
    ], { stdin: 'shh-EXAMPLE\n', api: { addProfile: () => added } });
    expect(calls).toEqual([['addProfile', {
      name: 'work', client_secret: 'shh-EXAMPLE', dry_run: true,
      profile: {
        client_id: 'cli', preset: 'oidc', issuer: 'https://login.example.com', tenant: 't', scopes: ['openid', 'read'], resource: 'https://api.example.com', flow: 'pkce',
        browser: ['firefox', '--private-window'], ca_file: '/ca.pem', proxy: 'http://proxy:3128', redirect_ports: [8400, 8401], allow_loopback_http: true,
      },
    }]]);
    expect(stdout).toContain('Register at the issuer, to the letter ({port} stands for any port):\n  http://127.0.0.1:{port}/callback\n');
    expect(stderr).toContain('warning: no S256 listed');
    expect(stdout + stderr).not.toContain('shh');
  });

  it('prints the exact line for a proxy and a CA of this shell, without the proxy\'s password', async () => {
    const env = { HTTPS_PROXY: 'http://me:pw-EXAMPLE@proxy:3128', NODE_EXTRA_CA_CERTS: '/etc/corp "1".pem' };
    const { stderr } = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c'], { env, api: { addProfile: () => added } });
    expect(stderr).toContain('proxy = "http://USER:PASSWORD@proxy:3128"');
    expect(stderr).toContain('ca_file = "/etc/corp \\"1\\".pem"');
    expect(stderr).not.toContain('pw-EXAMPLE');
    const given = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--proxy', 'http://p', '--ca-file', '/c'], { env, api: { addProfile: () => added } });
    expect(given.stderr).not.toContain('daemon ignores');
  });

  it.each([
    [['--client-id', 'c']], [['--issuer', 'https://x']], [['--issuer', 'https://x', '--client-id', 'c', '--flow', 'magic']],
    [['--issuer', 'https://x', '--client-id', 'c', '--redirect-port', '80x']], [['--issuer', 'https://x', '--client-id', 'c', '--client-secret', 's']],
  ])('refuses %j as usage', async (flags) => {
    const { exit, calls } = await run(['profile', 'add', 'work', ...flags], {});
    expect({ exit, calls }).toEqual({ exit: 2, calls: [] });
  });
});

describe('grants', () => {
  const parked = { ...grant, profile: 'old', state: 'login_required' as const, reason: 'expired', subject: null, tokens: [] };
  const api = { grants: () => ({ grants: [grant, parked, { ...grant, profile: 'bare', refreshable: false, tokens: [{ scope: '', resource: null, expires_at: NOW - 120 }] }] }) };

  it('are a table with what is left', async () => {
    expect((await run(['grants'], { api })).stdout).toBe([
      'PROFILE  SIGNED IN AS          STATE                     TOKEN              SINCE',
      'work     ada@example.com (u1)  active                    for 30 min         2 h ago',
      'old      (not named)           login required (expired)  none cached        2 h ago',
      'bare     ada@example.com (u1)  active, no refresh token  expired 2 min ago  2 h ago',
      '',
    ].join('\n'));
  });

  it('one of them is shown with its claims', async () => {
    const { stdout } = await run(['grants', 'work'], { api });
    expect(stdout).toContain('Claim amr     ["pwd","otp"]');
    expect(stdout).toContain('Token         for 30 min, read, for https://api.example.com');
    expect((await run(['grants', 'none'], { api })).exit).toBe(3);
  });

  it('what came from outside is cleaned at the terminal, and escaped in JSON', async () => {
    const evil = { ...grant, subject: { sub: 's', name: null, email: 'a\u001b[2J\u202eb\nc\u009b31m' } };
    const { stdout } = await run(['grants'], { api: { grants: () => ({ grants: [evil] }) } });
    expect(stdout.split('\n')).toHaveLength(3);
    const { stdout: json } = await run(['grants', '--json'], { api: { grants: () => ({ grants: [evil] }) } });
    // oxlint-disable-next-line no-control-regex -- that there are none is the point
    for (const text of [stdout, json]) expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(json)).toEqual({ grants: [evil] });
  });
});

describe('status', () => {
  it('shows the daemon, the vault, the grants, and the warnings on standard error', async () => {
    const { stdout, stderr } = await run(['status'], { api: { status: () => ({ ...status, locked: true, pending_revocations: 2, warnings: ['the token of work lives 90 min'] }) } });
    expect(stdout).toMatchInlineSnapshot(`
      "Daemon         0.1.0, protocol 1, pid 4242, started 10 min ago by valetkey token
      Socket         /r/socket
      State          /s
      Configuration  /c/config.toml, 1 profile, read 10 min ago
      Vault          keychain, open
      Locked         by valetkey lock; nothing is handed out. Run: valetkey unlock
      Revocations    2 tokens still to be sent to their issuers

      PROFILE  SIGNED IN AS          STATE   TOKEN       SINCE
      work     ada@example.com (u1)  active  for 30 min  2 h ago
      "
    `);
    expect(stderr).toBe('warning: the token of work lives 90 min\n');
  });
});

describe('logout', () => {
  const reply = { profile: 'work', revoked: [{ token: 'refresh_token' as const, outcome: 'revoked' as const, until: null }, { token: 'access_token' as const, outcome: 'unsupported' as const, until: NOW + 1_800 }] };

  it('says what the issuer did with each token', async () => {
    const { stdout, stderr } = await run(['logout', 'work'], { api: { logout: () => reply } });
    expect(stdout).toBe('Signed out of work.\n');
    expect(stderr).toBe('The refresh token was revoked.\nwarning: The issuer cannot revoke the access token. It may live on for 30 min.\n');
  });

  it('--all takes each grant in turn', async () => {
    const { calls, stdout } = await run(['logout', '--all', '--json'], { api: { grants: () => ({ grants: [grant, { ...grant, profile: 'b' }] }), logout: (name) => ({ ...reply, profile: name }) } });
    expect(calls).toEqual([['grants'], ['logout', 'work'], ['logout', 'b']]);
    expect(JSON.parse(stdout)).toMatchObject({ logouts: [{ profile: 'work' }, { profile: 'b' }] });
    expect((await run(['logout', 'work', '--all'], {})).exit).toBe(2);
  });
});

describe('lock and unlock', () => {
  const vault = { backend: 'passphrase' as const, state: 'open' as const, detail: '' };
  const api = { status: () => ({ ...status, vault: { ...vault, state: 'locked' as const } }), unlock: () => vault, lock: () => ({ ...vault, state: 'locked' as const }) };

  it('asks for the passphrase without showing it, only where the vault has one', async () => {
    const { calls, questions, stdout, stderr } = await run(['unlock'], { person: ['pw-EXAMPLE'], api });
    expect(questions).toEqual([{ question: 'Passphrase of the vault:', hidden: true }]);
    expect(calls.at(-1)).toEqual(['unlock', { passphrase: 'pw-EXAMPLE' }]);
    expect(stdout + stderr).not.toContain('pw-EXAMPLE');
    const keychain = await run(['unlock'], { api: { ...api, status: () => status } });
    expect(keychain.calls.at(-1)).toEqual(['unlock', {}]);
  });

  it('--create asks twice, and creates nothing when the two differ', async () => {
    expect((await run(['unlock', '--create'], { person: ['a', 'a'], api })).calls).toEqual([['unlock', { passphrase: 'a', create: true }]]);
    expect(await run(['unlock', '--create'], { person: ['a', 'b'], api })).toMatchObject({ exit: 2, calls: [] });
  });

  it('--passphrase-stdin reads one line', async () => {
    expect((await run(['unlock', '--passphrase-stdin'], { stdin: ' a b \n', api })).calls).toEqual([['unlock', { passphrase: ' a b ' }]]);
    expect((await run(['unlock', '--passphrase-stdin'], { stdin: '\n', api })).exit).toBe(2);
  });

  it('says where nobody can be asked', async () => {
    expect(await run(['unlock'], { api })).toMatchObject({ exit: 4 });
    expect(await run(['unlock'], { person: [], api })).toMatchObject({ exit: 130 });
  });

  it('lock locks', async () => {
    expect(JSON.parse((await run(['lock', '--json'], { api })).stdout)).toMatchObject({ state: 'locked' });
  });
});

describe('daemon', () => {
  const unreachable = () => { throw ValetkeyError.local('daemon_unreachable', 'no daemon'); };

  it('start may start it; stop, reload and status never do', async () => {
    expect(await run(['daemon', 'start'], { api: { status: () => status } })).toMatchObject({ mayStart: [true], exit: 0, stderr: 'The daemon was started, pid 4242.\n' });
    expect(await run(['daemon', 'status'], { api: { status: unreachable } })).toMatchObject({ mayStart: [false], exit: 9 });
    expect(await run(['daemon', 'reload'], { api: { reload: () => ({ file: '/c', profiles: 2, changed: ['work'] }) } })).toMatchObject({ mayStart: [false], exit: 0 });
    expect(await run(['daemon', 'stop'], { api: { shutdown: unreachable } })).toMatchObject({ mayStart: [false], exit: 0, stderr: 'The daemon does not run.\n' });
  });

  it('stop waits until it no longer answers', async () => {
    const answers = [() => status, () => { throw ValetkeyError.local('shutting_down', 'x'); }, unreachable];
    const { stderr, calls } = await run(['daemon', 'stop'], { api: { shutdown: () => ({ ok: true }), status: () => (answers.shift() ?? unreachable)() } });
    expect(stderr).toBe('The daemon has stopped.\n');
    expect(calls).toHaveLength(4);
  });
});

describe('purge', () => {
  function home(): string {
    const base = privateDirectory();
    for (const part of ['r', 's', 'c']) mkdirSync(join(base, part, 'valetkey'), { recursive: true, mode: 0o700 });
    writeFileSync(join(base, 's/valetkey/x'), '');
    writeFileSync(join(base, 's/other'), '');
    return base;
  }
  const api = { purge: () => ({ ok: true as const }), shutdown: () => { throw ValetkeyError.local('daemon_unreachable', 'x'); } };

  it('lists what goes, asks, and removes just that', async () => {
    const base = home();
    const { exit, shown, calls } = await run(['purge'], { base, person: ['purge'], api });
    expect(exit).toBe(0);
    expect(shown.slice(1)).toEqual(['r', 's', 'c'].map((part) => `  ${base}/${part}/valetkey`));
    expect(calls.map(([name]) => name)).toEqual(['purge', 'shutdown']);
    expect(['r', 's', 'c'].map((part) => existsSync(join(base, part, 'valetkey')))).toEqual([false, false, false]);
    expect(existsSync(join(base, 's/other'))).toBe(true);
  });

  it.each([[['y'], 130], [[''], 130], [undefined, 5]] as const)('removes nothing after %j', async (person, exit) => {
    const base = home();
    expect(await run(['purge'], { base, api, ...(person === undefined ? {} : { person }) })).toMatchObject({ exit, calls: [] });
    expect(existsSync(join(base, 's/valetkey/x'))).toBe(true);
  });

  it('removes nothing where the daemon could not revoke', async () => {
    const base = home();
    expect((await run(['purge', '--yes'], { base, api: { purge: () => { throw ValetkeyError.local('vault_unavailable', 'x'); } } })).exit).toBe(4);
    expect(existsSync(join(base, 's/valetkey/x'))).toBe(true);
  });
});

describe('doctor', () => {
  it('finds what is wrong, says why and how to mend it, and exits by errors only', async () => {
    const base = privateDirectory();
    mkdirSync(join(base, 'r/valetkey'), { recursive: true });
    chmodSync(join(base, 'r/valetkey'), 0o755);
    const { stdout, exit } = await run(['doctor', '--json'], { base, env: { HTTPS_PROXY: 'http://p' }, api: { status: () => ({ ...status, version: '0.0.9', started_at: NOW + 900, warnings: ['old'], vault: { backend: 'memory', state: 'open', detail: '' } }) } });
    const { findings } = JSON.parse(stdout) as { findings: { check: string; level: string; command: string | null }[] };
    const level = Object.fromEntries(findings.map((finding) => [finding.check, finding.level]));
    expect(level).toMatchObject({ runtime_directory: 'error', socket: 'ok', daemon: 'warning', daemon_warning: 'warning', vault: 'warning', clock: 'warning', environment: 'warning', synced_folder: 'ok', socket_path: 'ok' });
    expect(findings.find(({ check }) => check === 'runtime_directory')?.command).toBe(`chmod 0700 ${base}/r/valetkey`);
    expect(exit).toBe(8);
  });

  it('a daemon that does not start is the finding', async () => {
    const { stdout, exit } = await run(['doctor', '--quiet'], { base: privateDirectory(), api: { status: () => { throw ValetkeyError.local('config_invalid', 'config.toml:3:1: unknown key'); } } });
    expect(exit).toBe(8);
    expect(stdout).toContain('error    daemon: config.toml:3:1: unknown key (config_invalid)');
    expect(stdout).toContain('Run: ');
  });

  it('exits 0 where there are warnings only', async () => {
    const { exit, stderr } = await run(['doctor'], { base: privateDirectory(), api: { status: () => status } });
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^0 errors, /);
  });
});
