import { describe, expect, it } from 'vitest';
import { isAutomation } from '../../../client/cli.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { TokenReply } from '../../../shared/schemas.ts';
import { complete, login, NOW, profile, run } from './fake-world.ts';

const token: TokenReply = {
  profile: 'work', access_token: 'at-EXAMPLE', token_type: 'bearer', expires_at: NOW + 600, scope: 'read', resource: null, source: 'cache', granted_beyond: [], rule: 'shipped/login-session',
};
const loginRequired = () => { throw ValetkeyError.local('login_required', 'no grant', { reason: 'never_signed_in' }); };

describe('valetkey token', () => {
  it('[TK-01] prints the token, a newline and nothing else, on either stream', async () => {
    const { stdout, stderr, exit } = await run(['token', 'work'], { api: { token: () => token } });
    expect({ stdout, stderr, exit }).toEqual({ stdout: 'at-EXAMPLE\n', stderr: '', exit: 0 });
  });

  it('warns on standard error at a terminal, and still prints', async () => {
    const { stdout, stderr } = await run(['token', 'work'], { api: { token: () => token }, terminal: true });
    expect(stdout).toBe('at-EXAMPLE\n');
    expect(stderr).toMatch(/^warning: A token is now on your screen/);
    expect(stderr).not.toContain('at-EXAMPLE');
  });

  it('sends what the flags say', async () => {
    const { calls } = await run(['token', 'work', '--scope', 'a', '--scope', 'b c', '--resource', 'https://x/', '--min-ttl', '90', '--force'], { api: { token: () => token } });
    expect(calls).toEqual([['token', { profile: 'work', scopes: ['a', 'b', 'c'], resource: 'https://x/', min_ttl_s: 90, force: true, interaction: 'never' }]]);
  });

  it.each([
    ['header', 'Authorization: Bearer at-EXAMPLE\n'],
    ['env', `export VALETKEY_TOKEN='at-EXAMPLE'\nexport VALETKEY_TOKEN_EXPIRES_AT=${NOW + 600}\n`],
    ['raw', 'at-EXAMPLE\n'],
  ])('--format %s', async (format, expected) => {
    expect((await run(['token', 'work', '--format', format], { api: { token: () => token } })).stdout).toBe(expected);
  });

  it.each([['--format', 'json'], ['--json']])('%s prints the whole reply', async (...flags) => {
    expect(JSON.parse((await run(['token', 'work', ...flags], { api: { token: () => token } })).stdout)).toEqual(token);
  });

  it('quotes a token for the shell', async () => {
    const { stdout } = await run(['token', 'work', '--format', 'env'], { api: { token: () => ({ ...token, access_token: 'a\'; touch x; \'' }) } });
    expect(stdout.split('\n')[0]).toBe('export VALETKEY_TOKEN=\'a\'\\\'\'; touch x; \'\\\'\'\'');
  });

  it.each(['a\nSet-Cookie: x', 'a\u001b[2J', 'ü', ''])('refuses to print a token that is none: %j', async (access_token) => {
    const { stdout, exit } = await run(['token', 'work', '--format', 'header'], { api: { token: () => ({ ...token, access_token }) } });
    expect({ stdout, exit }).toEqual({ stdout: '', exit: 7 });
  });

  it.each([
    ['--min-ttl', '1.5'], ['--min-ttl', '-1'], ['--format', 'xml'], ['--scope', 'a"b'],
  ])('refuses %s %s without asking the daemon', async (flag, value) => {
    const { exit, calls } = await run(['token', 'work', flag, value], {});
    expect({ exit, calls }).toEqual({ exit: 2, calls: [] });
  });
});

describe('a token that needs a person', () => {
  it.each([
    ['without a terminal', {}],
    ['in CI', { terminal: true, env: { CI: 'true' } }],
  ])('%s it starts no login', async (_, world) => {
    const { exit, stdout, stderr, calls } = await run(['token', 'work'], { ...world, api: { token: loginRequired } });
    expect({ exit, stdout, calls: calls.map(([name]) => name) }).toEqual({ exit: 3, stdout: '', calls: ['token'] });
    expect(stderr).toBe('error: A person has to sign in (login_required)\n  no grant\n  Reason: never_signed_in\n  Run: valetkey login PROFILE\n');
  });

  it('with --json the problem document is on standard error', async () => {
    const { stdout, stderr } = await run(['token', 'work', '--json'], { api: { token: loginRequired } });
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toMatchObject({ code: 'login_required', reason: 'never_signed_in', status: 401 });
  });

  it('a problem document in a log holds neither the one-time link nor a user code', async () => {
    const device = { user_code: 'ABCD-EXAMPLE', verification_uri: 'https://x', verification_uri_complete: null, verification_host: 'x' };
    const problem = { type: 't', title: 't', status: 401, detail: 'd', code: 'login_required', retryable: false, hint: 'h', login: { ...login, device } };
    const { stderr } = await run(['token', 'work', '--json'], { api: { token: () => { throw new ValetkeyError(problem); } } });
    expect(stderr).toContain(login.id);
    expect(stderr).not.toMatch(/NONCE|ABCD/);
  });

  it.each([['at a terminal', [], true], ['with --interactive', ['--interactive'], false]] as const)('%s it signs in and asks again, without --force', async (_, flags, terminal) => {
    let signedIn = false;
    const { exit, stdout, calls, opened } = await run(['token', 'work', '--force', ...flags], {
      terminal,
      api: { token: () => (signedIn ? token : loginRequired()), startLogin: () => login, login: () => { signedIn = true; return complete; } },
    });
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'at-EXAMPLE\n' });
    expect(calls.map(([name]) => name)).toEqual(['token', 'startLogin', 'login', 'token']);
    expect(calls[3]?.[1]).toEqual({ profile: 'work', interaction: 'never' });
    expect(opened).toHaveLength(1);
  });

  it.each([
    ['of a daemon that names none', undefined, {}], ['where there was none', null, { newer_than: null }], ['with the last one that it was told of', login.id, { newer_than: login.id }],
  ])('asks for a sign-in %s', async (_, newest, sent) => {
    const required = () => { throw new ValetkeyError({ type: 't', title: 't', status: 401, detail: 'd', code: 'login_required', retryable: false, hint: 'h', newest_login: newest }); };
    const { calls } = await run(['token', 'work', '--interactive'], { api: { token: required, startLogin: () => login, login: () => complete } });
    expect(calls.find(([name]) => name === 'startLogin')?.[1]).toEqual({ profile: 'work', ...sent });
  });

  it('does not wait for a sign-in that another process is through with by then', async () => {
    let asked = 0;
    const { exit, stdout, stderr, calls, opened } = await run(['token', 'work', '--interactive'], {
      api: { token: () => ((asked += 1) > 1 ? token : loginRequired()), startLogin: () => ({ ...complete, owned: false }) },
    });
    expect({ exit, stdout, opened }).toEqual({ exit: 0, stdout: 'at-EXAMPLE\n', opened: [] });
    expect(stderr).not.toContain('Another process');
    expect(calls.map(([name]) => name)).toEqual(['token', 'startLogin', 'token']);
  });

  it('--no-interactive starts none at a terminal', async () => {
    expect((await run(['token', 'work', '--no-interactive'], { terminal: true, api: { token: loginRequired } })).exit).toBe(3);
  });

  it('signs in for nothing else', async () => {
    const { exit, calls } = await run(['token', 'work', '--interactive'], { api: { token: () => { throw ValetkeyError.local('vault_locked', 'x'); } } });
    expect({ exit, calls: calls.length }).toEqual({ exit: 4, calls: 1 });
  });
});

describe('[SU-01] valetkey token --challenge', () => {
  const GOLD = 'Bearer error="insufficient_user_authentication", acr_values="gold"';
  const strong: TokenReply = { ...token, access_token: 'strong-EXAMPLE', acr: 'gold', auth_time: NOW - 12 };
  const required = () => { throw ValetkeyError.local('login_required', 'not strong enough', { reason: 'acr' }); };
  const unmet = { ...login, state: 'failed' as const, error: { code: 'stepup_unmet', title: 't', detail: 'd', hint: 'h' } };

  it('passes it on, and says what was reached', async () => {
    const { stdout, stderr, calls } = await run(['token', 'work', '--challenge', GOLD], { api: { token: () => strong } });
    expect(calls).toEqual([['token', { profile: 'work', challenge: GOLD, interaction: 'never' }]]);
    expect({ stdout, stderr }).toEqual({ stdout: 'strong-EXAMPLE\n', stderr: 'The sign-in behind it is of class gold, proved 12 s ago\n' });
    expect(JSON.parse((await run(['token', 'work', '--challenge', GOLD, '--json'], { api: { token: () => strong } })).stdout)).toMatchObject({ acr: 'gold', auth_time: NOW - 12 });
  });

  it('lets a person sign in for it, and prints that token', async () => {
    let isIn = false;
    const { stdout, calls, opened } = await run(['token', 'work', '--challenge', GOLD, '--force'], {
      terminal: true, api: { token: () => (isIn ? strong : required()), startLogin: () => login, login: () => { isIn = true; return complete; } },
    });
    expect(stdout).toBe('strong-EXAMPLE\n');
    expect(opened).toHaveLength(1);
    expect(calls.map(([name, body]) => [name, body])).toMatchObject([
      ['token', { force: true }], ['startLogin', { profile: 'work', challenge: GOLD }], ['login', {}], ['token', { profile: 'work', challenge: GOLD, interaction: 'never' }],
    ]);
    expect(calls.at(-1)?.[1]).not.toHaveProperty('force');
  });

  it('stops at two sign-ins where the issuer never meets it', async () => {
    const { exit, stdout, stderr, calls } = await run(['token', 'work', '--challenge', GOLD], { terminal: true, api: { token: required, startLogin: () => login, login: () => unmet } });
    expect({ exit, stdout, logins: calls.filter(([name]) => name === 'startLogin').length }).toEqual({ exit: 5, stdout: '', logins: 2 });
    expect(stderr).toContain('(stepup_unmet)');
  });

  it('stops at two as well where sign-ins succeed and the token does not come', async () => {
    const { exit, calls } = await run(['token', 'work', '--challenge', GOLD], { terminal: true, api: { token: required, startLogin: () => login, login: () => complete } });
    expect({ exit, logins: calls.filter(([name]) => name === 'startLogin').length }).toEqual({ exit: 3, logins: 2 });
  });

  it('starts none without a terminal', async () => {
    expect(await run(['token', 'work', '--challenge', GOLD], { api: { token: required } })).toMatchObject({ exit: 3, opened: [] });
  });
});

it('--json with a format that is not JSON is refused', async () => {
  for (const format of ['raw', 'header', 'env']) expect(await run(['token', 'work', '--json', '--format', format])).toMatchObject({ exit: 2, calls: [], stdout: '' });
  expect((await run(['token', 'work', '--json', '--format', 'json'], { api: { token: () => token } })).exit).toBe(0);
});

it('--why says on standard error which rule chose', async () => {
  const { stdout, stderr } = await run(['token', '--why'], { api: { token: () => token, profiles: () => ({ profiles: [profile] }) } });
  expect(stdout).toBe('at-EXAMPLE\n');
  expect(stderr).toBe('Profile work: it is the only one\n');
  expect((await run(['token', '--why'], { env: { VALETKEY_PROFILE: 'work' }, api: { token: () => token } })).stderr).toBe('Profile work: VALETKEY_PROFILE names it\n');
});

it.each([[{}, false], [{ CI: '' }, false], [{ CI: 'false' }, false], [{ CI: '1' }, true], [{ GITHUB_ACTIONS: 'true' }, true], [{ JENKINS_URL: 'http://x' }, true]])('automation of %j: %s', (env, expected) => {
  expect(isAutomation(env)).toBe(expected);
});
