import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { environmentAdvice } from '../../../client/environment-advice.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { ProfileAddRequest } from '../../../shared/profile-schemas.ts';
import type { PurgeReply } from '../../../shared/schemas.ts';
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
    // Completion asks at each press of a key.
    expect((await run(['profiles', '--quiet'], { api })).calls).toEqual([['profiles']]);
  });

  it.each([{ vault: { backend: 'passphrase' as const, state: 'locked' as const, detail: 'The vault has no passphrase yet. Run: valetkey unlock --create' } }, { locked: true }])('while the vault is closed nobody says "no": %j', async (closed) => {
    const locked = { profiles: () => ({ profiles: [{ ...profile, signed_in: false }] }), status: () => ({ ...status, grants: [], ...closed }) };
    const { stdout, stderr } = await run(['profiles'], { api: locked });
    expect(stdout).toMatch(/ -\n$/);
    expect(stderr).toContain('Run: valetkey unlock');
    expect(JSON.parse((await run(['profiles', '--json'], { api: locked })).stdout)).toMatchObject({ profiles: [{ signed_in: null }] });
    expect((await run(['profile', 'show', 'work'], { api: locked })).stdout).toContain('not known while the vault is locked');
    const shown = await run(['status'], { api: locked });
    expect(shown.stdout).not.toContain('Nobody is signed in');
    expect(shown.stdout).toContain('it is not known who is signed in');
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
    expect((await run(['profile', 'show', 'nope'], { api: { profiles: () => ({ profiles: [] }) } })).stderr).toContain('there is no profile nope, nor any other');
  });

  it('show says whether the client is confidential', async () => {
    expect((await run(['profile', 'show', 'work'], { api })).stdout).toContain('Confidential  no, a public client');
    const secret = { profiles: () => ({ profiles: [{ ...profile, confidential: true }] }) };
    expect((await run(['profile', 'show', 'work'], { api: secret })).stdout).toContain('Confidential  yes, with a client secret');
  });

  it('that somebody else named and that does not exist: says who named it', async () => {
    const base = privateDirectory();
    writeFileSync(join(base, '.valetkey.toml'), 'v = 1\nprofile = "gone"\n');
    const unknown = () => { throw ValetkeyError.local('unknown_profile', 'there is no profile of this name'); };
    for (const [verb, method] of [['token', 'token'], ['logout', 'logout'], ['login', 'startLogin']] as const) {
      const { exit, stderr } = await run([verb], { base, api: { [method]: unknown } });
      expect({ verb, exit }).toEqual({ verb, exit: 8 });
      expect(stderr).toContain(`there is no profile gone, but ${base}/.valetkey.toml names it`);
    }
    expect((await run(['profile', 'show'], { api, env: { VALETKEY_PROFILE: 'gone' } })).stderr).toContain('but VALETKEY_PROFILE names it');
    expect((await run(['token', 'gone'], { api: { token: unknown } })).stderr).toContain('there is no profile of this name');
  });

  it('a directory that is gone is asked for only where it counts', async () => {
    const cwd = () => { throw ValetkeyError.local('no_profile', 'the working directory is gone'); };
    expect(await run(['profile', 'show', 'work'], { api, cwd })).toMatchObject({ exit: 0 });
    expect(await run(['profile', 'show'], { api, cwd })).toMatchObject({ exit: 2, stderr: expect.stringContaining('the working directory is gone') as string });
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

  it('remove of one that is signed in shows what the daemon says and what to do', async () => {
    const refuse = () => { throw ValetkeyError.local('bad_request', 'profile work is signed in', { hint: 'Run: valetkey logout work, then the command again' }); };
    expect(await run(['profile', 'remove', 'work'], { api: { removeProfile: refuse } })).toMatchObject({
      exit: 2, stderr: 'error: The request does not fit the protocol (bad_request)\n  profile work is signed in\n  Run: valetkey logout work, then the command again\n',
    });
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
      '--allow-loopback-http', '--client-secret-stdin', '--client-auth', 'post', '--dry-run', '--preset', 'oidc', '--redirect-path', '/cb', '--pkce', 'asserted', '--extra-scopes', 'allow', '--default-expires-in', '300',
      '--authorization-endpoint', 'https://x/a', '--token-endpoint', 'https://x/t', '--revocation-endpoint', 'https://x/r', '--device-authorization-endpoint', 'https://x/d',
    ], { stdin: 'shh-EXAMPLE\n', api: { addProfile: () => added } });
    expect(calls).toEqual([['addProfile', {
      name: 'work', client_secret: 'shh-EXAMPLE', dry_run: true,
      profile: {
        client_id: 'cli', preset: 'oidc', issuer: 'https://login.example.com', tenant: 't', scopes: ['openid', 'read'], resource: 'https://api.example.com', flow: 'pkce',
        browser: ['firefox', '--private-window'], ca_file: '/ca.pem', proxy: 'http://proxy:3128', redirect_ports: [8400, 8401], allow_loopback_http: true,
        client_auth: 'client_secret_post', redirect_path: '/cb', pkce: 'asserted', extra_scopes: 'allow', default_expires_in_s: 300,
        authorization_endpoint: 'https://x/a', token_endpoint: 'https://x/t', revocation_endpoint: 'https://x/r', device_authorization_endpoint: 'https://x/d',
      },
    }]]);
    expect(stdout).toContain('Register at the issuer, to the letter ({port} stands for any port):\n  http://127.0.0.1:{port}/callback\n');
    expect(stderr).toContain('warning: no S256 listed');
    expect(stdout + stderr).not.toContain('shh');
  });

  it.each([[false, 'client_secret_basic'], [true, undefined]])('a secret for a preset that knows how to send one (%s) is sent by %s', async (confidential, client_auth) => {
    const { calls } = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--client-secret-stdin'], {
      stdin: 'shh-EXAMPLE', api: { addProfile: () => ({ ...added, profile: { ...profile, confidential } }) },
    });
    expect(calls.map(([, request]) => request)).toMatchObject([{ dry_run: true, client_secret: 'shh-EXAMPLE' }, { client_secret: 'shh-EXAMPLE' }]);
    const [, sent] = calls.map(([, request]) => request as ProfileAddRequest);
    expect({ dryRun: sent?.dry_run, clientAuth: sent?.profile.client_auth }).toEqual({ dryRun: undefined, clientAuth: client_auth });
  });

  it.each([
    ['config_invalid', '"pkce" must be "asserted" where endpoints are written out', '--pkce asserted'],
    ['config_invalid', '"redirect_ports" is too long', 'another --redirect-port'],
    ['config_invalid', '"token_endpoint" is missing', 'Run it again with --token-endpoint'],
    ['config_invalid', '"issuer" uses http on this machine; set allow_loopback_http = true if that is meant', '--allow-loopback-http'],
    ['config_invalid', '/c/config.toml:3:1: "scops" in [profiles.old] is no key', 'Mend the line that is named, then run the command again'],
    ['as_no_s256', 'x', '--pkce asserted'], ['as_metadata_invalid', 'x', '--issuer'], ['issuer_unreachable', 'x', '--proxy and --ca-file'],
  ] as const)('%s, %s: the hint says %s', async (code, detail, words) => {
    const { stderr } = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c'], { api: { addProfile: () => { throw ValetkeyError.local(code, detail); } } });
    expect(stderr).toContain(`(${code})\n  ${detail}\n`);
    expect(stderr.trim().split('\n').at(-1)).toContain(words);
  });

  it('a dry run does not claim that anything is written', async () => {
    const { stdout, stderr } = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c', '--dry-run'], { api: { addProfile: () => ({ ...added, written: null }) } });
    expect(stdout).not.toMatch(/Written/);
    expect(stderr).toContain('This was a dry run. Nothing was written. To add the profile, run it again without --dry-run.');
  });

  it('prints the exact line for a proxy and a CA of this shell, without the proxy\'s password', async () => {
    const env = { HTTPS_PROXY: 'http://me:pw-EXAMPLE@proxy:3128', NODE_EXTRA_CA_CERTS: '/etc/corp "1".pem' };
    const { stderr } = await run(['profile', 'add', 'work', '--issuer', 'https://x', '--client-id', 'c'], { env, api: { addProfile: () => added } });
    expect(stderr).toContain('proxy = "http://proxy:3128". A proxy that asks for a password is not supported');
    expect(stderr).not.toContain('me:');
    expect(stderr).toContain('ca_file = "/etc/corp \\"1\\".pem"');
    expect(stderr).not.toContain('pw-EXAMPLE');
    for (const [url, bare] of [['http://u:p/w@x-EXAMPLE@proxy:1', 'http://proxy:1'], ['u:pw-EXAMPLE@proxy:1', 'proxy:1'], ['http://proxy:1', 'http://proxy:1']] as const) {
      expect(environmentAdvice({ HTTPS_PROXY: url })).toMatchObject([{ line: `proxy = "${bare}"`, caveat: expect.stringMatching(url === bare ? /^$/ : /not supported/) as string }]);
    }
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

describe('whoami', () => {
  const link = { pid: 4700, name: 'bash', executable: '/usr/bin/bash', script: null };
  const seen = {
    pid: 4711, uid: 4711, executable: '/usr/bin/node', script: '/opt/valetkey/valetkey.cjs', program: { executable: '/usr/bin/node', script: `/opt/${'deep/'.repeat(20)}tool\u001b[31m.js` },
    digest: 'a'.repeat(64), class: 'agent' as const, class_reason: 'Claude Code stands above it', agent: 'Claude Code', terminal: { name: 'pts/3', foreground: false },
    session_leader: 4700, unit: null, orphan: false, container: true, remote: false, forwarded: false,
    lineage: [link, { ...link, pid: 4600, name: 'sh\u202e', executable: null }, { ...link, pid: 1, name: 'systemd' }],
  };

  it('shows what the daemon sees in eighty columns, the first of the machine on top', async () => {
    const { stdout } = await run(['whoami'], { api: { whoami: () => seen } });
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(stdout).toMatchInlineSnapshot(`
      "Program      …ep/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/tool [31m.js
      Runs under   /usr/bin/node
      SHA-256      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      Class        agent
      Because      Claude Code stands above it
      Agent        Claude Code
      User         4711
      Terminal     pts/3, in the background
      Unit         none
      Left behind  no
      Container    yes
      Remote       no
      Forwarded    no

      Started by, the first of the machine on top:
        1 /usr/bin/bash
        └ 4600 sh
          └ 4700 /usr/bin/bash
            └ 4711 /opt/valetkey/valetkey.cjs
      "
    `);
    expect(JSON.parse((await run(['whoami', '--json'], { api: { whoami: () => seen } })).stdout)).toEqual(seen);
  });
});

describe('status', () => {
  it('[TK-10] shows the earlier of the two ends that an issuer may name', async () => {
    const ending = { ...grant, refresh_token_expires_at: NOW + 7_200, authorization_expires_at: NOW + 864_000 };
    expect((await run(['status'], { api: { status: () => ({ ...status, standings: [], grants: [ending] }) } })).stdout).toContain('active for 2 h, longer if it is used');
    const idle = (await run(['grants', 'work'], { api: { grants: () => ({ grants: [ending] }) } })).stdout;
    expect(idle).toMatch(/Ends +for 2 h, unless it is used before/);
    const last = (await run(['grants', 'work'], { api: { grants: () => ({ grants: [{ ...ending, authorization_expires_at: NOW + 3_600 }] }) } })).stdout;
    expect(last).toMatch(/Ends +for 60 min\n/);
  });

  it('[SU-03] shows the end of the session apart from that of the token, and what would put it off', async () => {
    const ending = { ...grant, session_ends_at: NOW + 86_400, idle_ends_at: NOW + 1_200 };
    const [, row] = (await run(['status'], { api: { status: () => ({ ...status, standings: [], grants: [ending] }) } })).stdout.split('PROFILE');
    expect(row).toMatch(/^work .*active for 20 min, longer if it is used +for 30 min$/m);
    const facts = async (over: object): Promise<string> => (await run(['grants', 'work'], { api: { grants: () => ({ grants: [{ ...ending, ...over }] }) } })).stdout;
    expect(await facts({})).toMatch(/Ends +for 20 min, unless a person takes part before/);
    expect(await facts({ idle_ends_at: null })).toMatch(/Ends +for 24 h\n/);
    const { session_ends_at: _session, idle_ends_at: _idle, ...earlier } = ending;
    expect((await run(['grants', 'work'], { api: { grants: () => ({ grants: [earlier as typeof ending] }) } })).stdout).not.toContain('Ends'); // of a daemon of an earlier build
  });

  it('says first of every profile whether somebody is signed in and until when, and then what the daemon is', async () => {
    const standings = [
      { profile: 'work', state: 'signed_in' as const, reason: null, session_ends_at: NOW + 25_200, idle_ends_at: null, token_ends_at: NOW + 1_800 },
      { profile: 'idle', state: 'signed_in' as const, reason: null, session_ends_at: NOW + 25_200, idle_ends_at: NOW + 1_200, token_ends_at: NOW - 60 },
      { profile: 'home', state: 'login_required' as const, reason: 'never_signed_in', session_ends_at: null, idle_ends_at: null, token_ends_at: null },
      { profile: 'old', state: 'login_required' as const, reason: 'revoked_or_reused', session_ends_at: null, idle_ends_at: null, token_ends_at: null },
    ];
    const { stdout, stderr } = await run(['status'], { api: { status: () => ({ ...status, standings, pending_revocations: 2, warnings: ['the token of work lives 90 min'] }) } });
    expect(stdout).toMatchInlineSnapshot(`
      "PROFILE  SIGNED IN AS          SIGN-IN                                       TOKEN
      work     ada@example.com (u1)  active for 7 h                                for 30 min
      idle     -                     active for 20 min, longer if it is used       renewed at the next use
      home     -                     none: valetkey login home                     -
      old      -                     over (revoked_or_reused): valetkey login old  -

      Daemon         0.1.0, protocol 1, pid 4242, started 10 min ago by valetkey token
      Socket         /r/socket
      State          /s
      Configuration  /c/config.toml, 1 profile, read 10 min ago
      Vault          keychain, open
      Revocations    2 tokens still to be sent to their issuers
      "
    `);
    expect(stderr).toBe('warning: the token of work lives 90 min\n');
  });

  it('says in place of the profiles that all is locked, or that there is none', async () => {
    expect((await run(['status'], { api: { status: () => ({ ...status, locked: true }) } })).stdout).toMatch(/^Locked by valetkey lock.*Run: valetkey unlock\n\nDaemon /);
    expect((await run(['status'], { api: { status: () => ({ ...status, standings: [], grants: [] }) } })).stdout).toMatch(/^There is no profile yet\./);
  });
});

describe('status --prompt', () => {
  it.each([
    [['--prompt'], [{}], { text: 'work:7h home:login', state: 'login_required' as const }, 'work:7h home:login\n', 3],
    [['--prompt', 'work'], [{ profile: 'work' }], { text: 'work:7h', state: 'signed_in' as const }, 'work:7h\n', 0],
    [['--prompt'], [{}], { text: '', state: 'nothing' as const }, '', 0],
    [['--prompt'], [{}], { text: 'locked', state: 'locked' as const }, 'locked\n', 4],
  ])('%j', async (flags, _asked, reply, stdout, exit) => {
    expect(await run(['status', ...flags], { api: { prompt: () => reply } })).toMatchObject({ stdout, stderr: '', exit, mayStart: [false] });
  });

  it('says nothing where no daemon runs, and starts none', async () => {
    expect(await run(['status', '--prompt'], { api: { prompt: () => { throw ValetkeyError.local('daemon_unreachable', 'x'); } } })).toMatchObject({ stdout: '', stderr: '', exit: 9, mayStart: [false] });
  });

  it('says what is wrong with a name', async () => {
    expect(await run(['status', '--prompt', 'WORK'])).toMatchObject({ stdout: '', exit: 2 });
    expect(await run(['status', '--prompt', 'nope'], { api: { prompt: () => { throw ValetkeyError.local('unknown_profile', 'there is no profile nope'); } } })).toMatchObject({ stdout: '', exit: 8 });
  });
});

describe('logout', () => {
  const reply = { profile: 'work', revoked: [{ token: 'refresh_token' as const, outcome: 'revoked' as const, until: null }, { token: 'access_token' as const, outcome: 'unsupported' as const, until: NOW + 1_800 }] };

  it('says what the issuer did with each token', async () => {
    const { stdout, stderr } = await run(['logout', 'work'], { api: { logout: () => reply } });
    expect(stdout).toBe('Signed out of work.\n');
    expect(stderr).toBe('The refresh token was revoked.\nwarning: The issuer cannot revoke the access token. It may live on for 30 min.\n');
  });

  it('of what nobody signed in to says so', async () => {
    expect((await run(['logout', 'work'], { api: { logout: () => ({ profile: 'work', revoked: [] }) } })).stdout).toBe('Nobody was signed in with work.\n');
  });

  it('--all takes each grant in turn', async () => {
    const { calls, stdout } = await run(['logout', '--all', '--json'], { api: { grants: () => ({ grants: [grant, { ...grant, profile: 'b' }] }), logout: (name) => ({ ...reply, profile: name }) } });
    expect(calls).toEqual([['grants'], ['logout', 'work'], ['logout', 'b']]);
    expect(JSON.parse(stdout)).toMatchObject({ logouts: [{ profile: 'work' }, { profile: 'b' }] });
    expect((await run(['logout', 'work', '--all'], {})).exit).toBe(2);
  });
});

describe('logout --browser', () => {
  const reply = { profile: 'work', revoked: [{ token: 'refresh_token' as const, outcome: 'revoked' as const, until: null }] };
  const link = { profile: 'work', issuer_host: 'login.example.com', start_url: 'http://127.0.0.1:4711/start/NONCE', browser: null, expires_at: NOW + 300 };

  it('asks for the link while somebody is signed in, signs out, and opens the browser', async () => {
    const { calls, opened, stderr, stdout } = await run(['logout', 'work', '--browser', '--return'], { api: { logout: () => reply, endSession: () => link } });
    expect(calls).toEqual([['endSession', 'work', { returns: true }], ['logout', 'work']]);
    expect(opened).toEqual([{ url: link.start_url, command: null }]);
    expect(stdout).toBe('Signed out of work.\n');
    expect(stderr).toContain('Finish in the browser: login.example.com asks there whether to sign out.');
    const json = await run(['logout', 'work', '--browser', '--json'], { api: { logout: () => reply, endSession: () => link } });
    expect(JSON.parse(json.stdout)).toEqual({ ...reply, end_session: { issuer_host: 'login.example.com', opened: true } });
  });

  it('signs out here also where the issuer has no such place, and says that', async () => {
    const none = (): never => { throw ValetkeyError.local('issuer_refused', 'https://x names no place where its browser session ends'); };
    const { exit, calls, stdout, stderr } = await run(['logout', 'work', '--browser'], { api: { logout: () => reply, endSession: none } });
    expect([exit, calls.map(([name]) => name), stdout]).toEqual([7, ['endSession', 'logout'], 'Signed out of work.\n']);
    expect(stderr).toContain('names no place where its browser session ends');
  });

  it('is of one profile, and --return goes with it', async () => {
    expect((await run(['logout', '--all', '--browser'])).exit).toBe(2);
    expect((await run(['logout', 'work', '--return'])).exit).toBe(2);
  });
});

describe('panic', () => {
  const dead = { token: 'refresh_token' as const, outcome: 'revoked' as const, until: null };
  const grantEnd = { profile: 'work', issuer: 'https://login.example.com', revoked: [dead] };
  const done = { locked_out_since: NOW, grants: [grantEnd], workloads: [], not_reached: null, not_durable: null, logins_ended: 1, took_ms: 420 };

  it('asks nothing, and says what was ended and how to come back', async () => {
    const { exit, calls, questions, stdout, stderr } = await run(['panic'], { api: { panic: () => done } });
    expect([exit, calls, questions]).toEqual([0, [['panic']], []]);
    expect(stdout).toBe('Ended 1 grant and 1 sign-in in 0.4 s. No token is handed out until you come back: valetkey login PROFILE, or valetkey unlock.\n');
    expect(stderr).toBe('work at https://login.example.com: The refresh token was revoked.\n');
    expect(JSON.parse((await run(['panic', '--json'], { api: { panic: () => done } })).stdout)).toEqual(done);
  });

  it('reads the answer of a daemon of before, which says nothing of workloads', async () => {
    const { workloads: _none, ...before } = done;
    expect((await run(['panic'], { api: { panic: () => before as typeof done } })).exit).toBe(0);
  });

  it.each([
    ['a token that lives on', { grants: [{ ...grantEnd, revoked: [dead, { token: 'access_token' as const, outcome: 'pending' as const, until: NOW + 600 }] }] }, 7, 'work at https://login.example.com: The access token will be revoked as soon as the issuer can be reached. It may live on for 10 min.'],
    ['a workload\'s token that lives on', { workloads: [{ profile: 'nightly', issuer: 'https://login.example.com', revoked: [{ token: 'access_token' as const, outcome: 'unsupported' as const, until: NOW + 600 }] }] }, 7, 'workload nightly at https://login.example.com: The issuer cannot revoke the access token. It may live on for 10 min.'],
    ['a vault that does not open', { grants: [], not_reached: 'vault_unavailable' }, 4, 'The vault could not be used (vault_unavailable)'],
    ['a disk that refuses', { not_durable: 'vault_unwritable' }, 4, 'the block ends with the daemon. Free space, then run: valetkey panic'],
  ])('tells of %s, by the exit status as well', async (_what, over, status, words) => {
    for (const argv of [['panic'], ['panic', '--json']]) expect((await run(argv, { api: { panic: () => ({ ...done, ...over }) } })).exit).toBe(status);
    expect((await run(['panic'], { api: { panic: () => ({ ...done, ...over }) } })).stderr).toContain(words);
  });

  it('is what status tells of, until somebody comes back', async () => {
    const { stdout } = await run(['status'], { api: { status: () => ({ ...status, grants: [], locked_out_since: NOW - 120, screen: 'locked' as const }) } });
    expect(stdout).toMatch(/Locked out +by valetkey panic, 2 min ago; nothing is handed out\./);
    expect(stdout).toMatch(/Screen +locked; policy lets no token out/);
    expect(stdout).toContain('Everything was ended by valetkey panic. Run: valetkey login PROFILE');
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
    expect(await run(['daemon', 'stop'], { api: { status: unreachable, shutdown: unreachable } })).toMatchObject({ mayStart: [false], exit: 0, stderr: 'The daemon does not run.\n' });
  });

  it('stop waits until it no longer answers', async () => {
    const answers = [() => status, () => status, () => { throw ValetkeyError.local('shutting_down', 'x'); }, unreachable];
    const { stderr, calls } = await run(['daemon', 'stop'], { api: { shutdown: () => ({ ok: true }), status: () => (answers.shift() ?? unreachable)() } });
    expect(stderr).toBe('The daemon has stopped.\n');
    expect(calls).toHaveLength(5);
  });

  it('stop tells which sign-ins end with a daemon that keeps them in memory', async () => {
    const answers = [() => ({ ...status, vault: { backend: 'memory' as const, state: 'open' as const, detail: '' } })];
    const { stderr } = await run(['daemon', 'stop'], { api: { shutdown: () => ({ ok: true }), status: () => (answers.shift() ?? unreachable)() } });
    expect(stderr).toMatch(/^warning: .*1 sign-in will end with the daemon.*: work\n/);
    const sealed = [() => status];
    expect((await run(['daemon', 'stop'], { api: { shutdown: () => ({ ok: true }), status: () => (sealed.shift() ?? unreachable)() } })).stderr).toBe('The daemon has stopped.\n');
  });

  it.skipIf(process.platform !== 'linux')('stop ends a daemon that lost its socket, and no other program whose pid stands in the record', async () => {
    const base = privateDirectory();
    mkdirSync(join(base, 's/valetkey'), { recursive: true, mode: 0o700 });
    const outcomes = [];
    mkdirSync(join(base, 'daemon'));
    for (const script of ['daemon/main.js', 'daemon/valetkeyd.cjs', 'other.js']) writeFileSync(join(base, script), 'setInterval(() => {}, 1000)');
    // The second is only given a file of the daemon's name.
    for (const words of [[join(base, 'daemon/main.js')], [join(base, 'daemon/valetkeyd.cjs')], [join(base, 'other.js'), '/x/daemon/main.js']]) {
      const child = spawn(process.execPath, words, { stdio: 'ignore' });
      const ended = once(child, 'exit');
      await once(child, 'spawn');
      writeFileSync(join(base, 's/valetkey/lock'), JSON.stringify({ v: 1, pid: child.pid, socket: `${base}/r/valetkey/socket`, version: '0.1.0' }), { mode: 0o600 });
      const { exit, stderr } = await run(['daemon', 'stop'], { base, api: { status: unreachable, shutdown: unreachable } });
      child.kill('SIGKILL');
      const [, signal] = await ended as [number | null, string | null];
      outcomes.push({ exit, stderr, endedBy: signal });
    }
    const ended = { exit: 0, stderr: 'The daemon has stopped.\n', endedBy: 'SIGTERM' };
    expect(outcomes).toEqual([ended, ended, { exit: 0, stderr: 'The daemon does not run.\n', endedBy: 'SIGKILL' }]);
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
  const gone = () => { throw ValetkeyError.local('daemon_unreachable', 'x'); };
  const api = { purge: () => ({ grants: [] as PurgeReply['grants'], workloads: [] as PurgeReply['workloads'], not_revoked: null }), shutdown: gone };

  it('lists what goes, asks, and removes just that', async () => {
    const base = home();
    const { exit, shown, calls } = await run(['purge'], { base, person: ['purge'], api });
    expect(exit).toBe(0);
    expect(shown.slice(1)).toEqual(['r', 's', 'c'].map((part) => `  ${base}/${part}/valetkey`));
    expect(calls.map(([name]) => name)).toEqual(['purge', 'shutdown']);
    expect(['r', 's', 'c'].map((part) => existsSync(join(base, part, 'valetkey')))).toEqual([false, false, false]);
    expect(existsSync(join(base, 's/other'))).toBe(true);
  });

  it('tells what became of each token at its issuer', async () => {
    const grants: PurgeReply['grants'] = [{ profile: 'work', revoked: [
      { token: 'refresh_token', outcome: 'revoked', until: null }, { token: 'access_token', outcome: 'failed', until: NOW + 1_800 }] }];
    const workloads: PurgeReply['workloads'] = [{ profile: 'nightly', issuer: 'https://i.example', revoked: [{ token: 'access_token', outcome: 'failed', until: NOW + 300 }] }];
    const base = home();
    const { stderr } = await run(['purge', '--yes'], { base, api: { ...api, purge: () => ({ grants, workloads, not_revoked: null }) } });
    expect(stderr).toContain('workload nightly: The access token could not be revoked. It may live on for 5 min.');
    expect(stderr).toContain('work: The refresh token was revoked.\nwarning: work: The access token could not be revoked. It may live on for 30 min.\n');
    expect(JSON.parse((await run(['purge', '--yes', '--json'], { base: home(), api: { ...api, purge: () => ({ grants, workloads, not_revoked: null }) } })).stdout)).toMatchObject({ grants, workloads });
    expect((await run(['purge', '--yes'], { base: home(), api })).stderr).not.toContain('warning');
  });

  it.each(['config_invalid', 'daemon_unreachable', 'daemon_start_failed'] as const)('removes all the same where no daemon can start (%s), and says that nothing was revoked', async (code) => {
    const ensureDaemon = () => { throw ValetkeyError.local(code, 'config.toml:3:1: unknown key'); };
    const base = home();
    const { exit, stderr, calls } = await run(['purge', '--yes'], { base, api: { shutdown: gone }, ensureDaemon });
    expect({ exit, calls: calls.map(([name]) => name) }).toEqual({ exit: 0, calls: ['shutdown'] });
    expect(existsSync(join(base, 's/valetkey'))).toBe(false);
    expect(stderr).toContain('config.toml:3:1: unknown key');
    expect(stderr).toContain('no token was revoked at its issuer');
    const json = await run(['purge', '--yes', '--json'], { base: home(), api: { shutdown: gone }, ensureDaemon });
    expect(JSON.parse(json.stdout)).toMatchObject({ grants: null, not_revoked: { code } });
  });

  it('removes nothing where the path is somebody else\'s', async () => {
    const base = home();
    const ensureDaemon = () => { throw ValetkeyError.local('server_untrusted', 'x'); };
    expect(await run(['purge', '--yes'], { base, api: { shutdown: gone }, ensureDaemon })).toMatchObject({ exit: 9 });
    expect(existsSync(join(base, 's/valetkey/x'))).toBe(true);
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
