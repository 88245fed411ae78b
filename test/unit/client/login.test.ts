import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { ConsentChallenge, LoginView } from '../../../shared/schemas.ts';
import { complete, login, NOW, run, status } from './fake-world.ts';

describe('valetkey login in the browser', () => {
  it('opens the link, follows the login, and says who signed in', async () => {
    const { exit, stdout, opened, calls } = await run(['login', 'work', '--login-hint', 'ada@example.com', '--scope', 'read'], {
      api: { startLogin: () => ({ ...login, browser: ['firefox', '{url}'] }), login: () => complete },
    });
    expect(exit).toBe(0);
    expect(stdout).toBe('Signed in as ada@example.com (u1) at login.example.com, profile work\n');
    expect(opened).toEqual([{ url: 'http://127.0.0.1:4711/start/NONCE', command: ['firefox', '{url}'] }]);
    expect(calls).toEqual([['startLogin', { profile: 'work', login_hint: 'ada@example.com', scopes: ['read'] }], ['login', login.id, 25], ['status']]);
  });

  it('prints the link with --no-browser, even with --json and --quiet', async () => {
    for (const flags of [[], ['--json'], ['--quiet']]) {
      const { stderr, opened } = await run(['login', 'work', '--no-browser', ...flags], { api: { startLogin: () => login, login: () => complete } });
      expect(stderr).toContain('http://127.0.0.1:4711/start/NONCE');
      expect(opened).toEqual([]);
    }
  });

  it('prints the link when the browser does not open', async () => {
    const { stderr, exit } = await run(['login', 'work'], { opening: { kind: 'failed', why: 'spawn x ENOENT' }, api: { startLogin: () => login, login: async () => { await setImmediate(); return complete; } } });
    expect(exit).toBe(0);
    expect(stderr).toContain('http://127.0.0.1:4711/start/NONCE');
    expect(stderr).toContain('ENOENT');
  });

  it('the result in JSON holds no link', async () => {
    const { stdout } = await run(['login', 'work', '--json'], { api: { startLogin: () => login, login: () => complete } });
    expect(JSON.parse(stdout)).toMatchObject({ state: 'complete', profile: 'work', subject: { sub: 'u1' } });
    expect(stdout).not.toContain('NONCE');
  });

  it.each(['https://evil.example/', 'javascript:alert(1)', 'file:///etc/passwd', 'http://127.0.0.1.evil.example:1/', 'http://localhost:1/', 'http://user@127.0.0.1:1/', 'http://127.0.0.1/'])('[LB-09] neither opens nor prints %s, and cancels the login', async (start_url) => {
    const { exit, opened, stderr, calls } = await run(['login', 'work'], { api: { startLogin: () => ({ ...login, start_url }), cancelLogin: () => ({ ok: true }) } });
    expect({ exit, opened }).toEqual({ exit: 5, opened: [] });
    expect(stderr).not.toContain(start_url);
    expect(calls.map(([name]) => name)).toEqual(['startLogin', 'cancelLogin']);
  });

  it('joins a login of another process: nothing is opened, and it is not cancelled', async () => {
    const { start_url: _, ...joined } = { ...login, owned: false };
    const controller = new AbortController();
    const { exit, opened, stderr, calls } = await run(['login', 'work'], {
      signal: controller.signal, terminal: true,
      api: { startLogin: () => joined, login: () => { controller.abort(); throw controller.signal.reason; } },
    });
    expect({ exit, opened }).toEqual({ exit: 130, opened: [] });
    expect(stderr).toContain('Another process (valetkey (pid 7)) has started this sign-in');
    expect(stderr).toContain('Ctrl-C leaves it as it is; to end it, run: valetkey logout work');
    expect(calls.map(([name]) => name)).toEqual(['startLogin', 'login']);
  });

  it.each([{}, { terminal: true, env: { CI: 'true' } }])('waits for no login of another process where no person is: %j', async (world) => {
    const { start_url: _, ...joined } = { ...login, owned: false };
    const { exit, stderr, calls } = await run(['login', 'work', '--json'], { ...world, api: { startLogin: () => joined } });
    expect({ exit, calls: calls.map(([name]) => name) }).toEqual({ exit: 3, calls: ['startLogin'] });
    expect(JSON.parse(stderr)).toMatchObject({ code: 'login_required', login: { id: login.id }, hint: expect.stringContaining('valetkey logout work') as string });
  });

  it('ends with its daemon: nothing is cancelled at another one', async () => {
    const { exit, stderr, calls } = await run(['login', 'work'], { api: { startLogin: () => login, login: () => { throw ValetkeyError.local('daemon_unreachable', 'gone'); } } });
    expect({ exit, calls: calls.map(([name]) => name) }).toEqual({ exit: 9, calls: ['startLogin', 'login'] });
    expect(stderr).toContain('the daemon ended, and the sign-in with it\n  Run: valetkey login work');
  });

  it('warns of what the daemon says of the new grant, and of no other', async () => {
    const api = { startLogin: () => login, login: () => complete, status: () => ({ ...status, warnings: ['work: the disk refuses the newest refresh token', 'other: x', 'y'] }) };
    const { exit, stderr } = await run(['login', 'work'], { api });
    expect({ exit, stderr: stderr.split('\n').filter((line) => line.startsWith('warning')) }).toEqual({ exit: 0, stderr: ['warning: work: the disk refuses the newest refresh token'] });
    expect(JSON.parse((await run(['login', 'work', '--json'], { api })).stdout)).toMatchObject({ warnings: ['work: the disk refuses the newest refresh token'] });
    expect((await run(['login', 'work'], { api: { ...api, status: () => { throw ValetkeyError.local('deadline_exceeded', 'x'); } } })).exit).toBe(0);
  });

  it('Ctrl-C cancels the login that it started, and exits 130', async () => {
    const controller = new AbortController();
    const { exit, calls, stderr } = await run(['login', 'work'], {
      signal: controller.signal,
      api: { startLogin: () => login, login: () => { controller.abort(); throw controller.signal.reason; }, cancelLogin: () => ({ ok: true }) },
    });
    expect(exit).toBe(130);
    expect(calls.at(-1)).toEqual(['cancelLogin', login.id]);
    expect(stderr).toContain('(cancelled)');
  });

  it('ends with the exit status of what the login failed with', async () => {
    const error = { code: 'access_denied', title: 'The sign-in was refused at the issuer', detail: 'said the issuer', hint: 'h' };
    const { exit, stderr } = await run(['login', 'work'], { api: { startLogin: () => login, login: () => ({ ...login, state: 'failed', error }) } });
    expect(exit).toBe(5);
    expect(stderr).toContain('said the issuer');
    const failed = async (code: string) => JSON.parse((await run(['login', 'work', '--json'], { api: { startLogin: () => login, login: () => ({ ...login, state: 'failed', error: { ...error, code } }) } })).stderr) as unknown;
    expect(await failed('access_denied')).toMatchObject({ status: 403, retryable: false });
    expect(await failed('issuer_unreachable')).toMatchObject({ status: 503, retryable: true });
    expect(await failed('of_a_newer_daemon')).toMatchObject({ code: 'of_a_newer_daemon', status: 500, retryable: false });
  });

  it.each([['y', true], ['yes', true], ['', false], ['n', false], ['yup', false]])('[LB-11] another account is kept only after "%s": %s', async (typed, accept) => {
    const asked: LoginView = { ...login, state: 'confirm_subject', subject: { sub: 'u2', name: 'Bob\u001b[2J\nEve', email: null }, previous_subject: complete.subject };
    const { calls, shown, questions } = await run(['login', 'work'], { person: [typed], api: { startLogin: () => login, login: () => asked, confirmLogin: () => complete } });
    expect(calls.find(([name]) => name === 'confirmLogin')).toEqual(['confirmLogin', login.id, accept]);
    expect(questions[0]?.question).toContain('[y/N]');
    expect(shown.join('\n')).toContain('ada@example.com (u1)');
  });

  it('[LB-11] does not keep another account where nobody can be asked', async () => {
    const { exit, calls } = await run(['login', 'work'], { api: { startLogin: () => login, login: () => ({ ...login, state: 'confirm_subject' }), cancelLogin: () => ({ ok: true }) } });
    expect(exit).toBe(5);
    expect(calls.map(([name]) => name)).not.toContain('confirmLogin');
  });
});

const challenge: ConsentChallenge = {
  id: 'BBBBBBBBBBBBBBBBBBBBBB', code: '7342', expires_at: NOW + 60, issuer_host: 'login.example.com', client_id: 'cli', scopes: ['openid', 'read'],
  machine: 'laptop', caller: 'valetkey (pid 7)',
};
const { start_url: _start, ...withoutLink } = login;
const deviceLogin: LoginView = {
  ...withoutLink, flow: 'device_code', reason: 'caller_session_remote',
  device: { user_code: 'WDJB-EXAMPLE', verification_uri: 'https://login.example.com/device', verification_uri_complete: 'https://login.example.com/device?user_code=WDJB-EXAMPLE', verification_host: 'login.example.com' },
};
const consentRequired = () => {
  throw new ValetkeyError({ type: 't', title: 'A person has to confirm at a terminal', status: 403, detail: 'd', code: 'consent_required', retryable: false, hint: 'h', challenge });
};

describe('valetkey login by device code', () => {
  const api = (view: LoginView) => ({
    startLogin: (request: { consent?: { challenge: string; code: string } | undefined }) => (request.consent === undefined ? consentRequired() : view),
    login: () => ({ ...complete, flow: 'device_code' as const }),
  });

  it('[DG-05] shows host, code, expiry, asking tool, scopes, machine and the warning', async () => {
    const { shown, exit, calls, stdout, stderr } = await run(['login', 'work', '--device'], { person: ['7342'], api: api(deviceLogin) });
    expect(exit).toBe(0);
    expect(calls[1]).toEqual(['startLogin', { profile: 'work', flow: 'device', consent: { challenge: challenge.id, code: '7342' } }]);
    expect(shown.filter((line) => !/[█▀▄]/.test(line)).join('\n')).toMatchInlineSnapshot(`
      "
      A sign-in by device code was asked for.
        Issuer    login.example.com
        Client    cli
        Scopes    openid read
        Machine   laptop
        Asked by  valetkey (pid 7)
      Stop if you did not start this. Never read this code to anyone.
      To go on, type 7342 within 60 s; anything else stops.

      Open this page in a browser: https://login.example.com/device
      and check that its host is:  login.example.com
      Then enter this code:        WDJB-EXAMPLE

      Or scan this, and compare the code before you agree:

        Scopes    openid read
        Machine   laptop
        Asked by  valetkey (pid 7)
        Expires   in 5 min
      Stop if you did not start this. Never read this code to anyone.
      "
    `);
    expect(shown.some((line) => /[█▀▄]{5}/.test(line))).toBe(true);
    // Streams may be logs (DG-09).
    expect(stdout + stderr).not.toContain('WDJB');
  });

  it.each(['', 'no', '7341', undefined])('starts nothing after "%s"', async (typed) => {
    const { exit, calls } = await run(['login', 'work', '--device'], { person: typed === undefined ? [] : [typed], api: api(deviceLogin) });
    expect({ exit, calls: calls.length }).toEqual({ exit: 5, calls: 1 });
  });

  it('starts nothing where nobody can be asked', async () => {
    const { exit, calls } = await run(['login', 'work', '--device'], { api: api(deviceLogin) });
    expect({ exit, calls: calls.length }).toEqual({ exit: 5, calls: 1 });
  });

  it('[DG-07] opens nothing, whatever the daemon sends with it', async () => {
    const { opened } = await run(['login', 'work', '--device'], { person: ['7342'], api: api({ ...deviceLogin, browser: ['firefox'] }) });
    expect(opened).toEqual([]);
    // Positive control: the same spy sees the browser of the other flow.
    expect((await run(['login', 'work'], { api: { startLogin: () => login, login: () => complete } })).opened).toHaveLength(1);
  });
});

describe('[AU-08] privileged access at the terminal', () => {
  const asks = (request: { readonly claimed?: { readonly reason?: string | undefined } | undefined }) => {
    if (request.claimed?.reason === undefined) throw ValetkeyError.local('reason_required', 'admin:all of profile work is privileged: say why it is needed');
    return login;
  };

  it('takes the reason from the flag, or asks the person for it', async () => {
    for (const [flags, person] of [[['--reason', ' ticket 4711 '], undefined], [[], ['ticket 4711']]] as const) {
      const { exit, calls } = await run(['login', 'work', '--scope', 'admin:all', ...flags], { terminal: true, ...(person === undefined ? {} : { person }), api: { startLogin: asks, login: () => complete } });
      expect(exit).toBe(0);
      expect(calls.findLast(([name]) => name === 'startLogin')).toEqual(['startLogin', { profile: 'work', scopes: ['admin:all'], claimed: { reason: 'ticket 4711' } }]);
    }
  });

  it.each([[{ terminal: true, person: [' '] }], [{ terminal: true }], [{ person: ['never asked'] }]])('says what is missing where nobody gives one: %j', async (world) => {
    const { exit, stderr } = await run(['login', 'work', '--scope', 'admin:all'], { ...world, api: { startLogin: asks } });
    expect(exit).toBe(5);
    expect(stderr).toContain('(reason_required)');
  });

  it('refuses an empty reason without asking the daemon', async () => {
    for (const verb of ['login', 'token']) expect(await run([verb, 'work', '--reason', ' '], {})).toMatchObject({ exit: 2, calls: [] });
  });

  it('is had by token in one command', async () => {
    let isSignedIn = false;
    const { exit, stdout, calls } = await run(['token', 'work', '--scope', 'admin:all', '--reason', 'ticket 4711', '--interactive'], {
      terminal: true,
      api: {
        token: () => {
          if (!isSignedIn) throw ValetkeyError.local('login_required', 'privileged', { reason: 'privileged' });
          return { profile: 'work', access_token: 'at-EXAMPLE', token_type: 'bearer', expires_at: NOW + 300, scope: 'admin:all', resource: null, source: 'cache', granted_beyond: [], rule: 'shipped/privileged-each' };
        },
        startLogin: asks,
        login: () => { isSignedIn = true; return complete; },
      },
    });
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: 'at-EXAMPLE\n' });
    expect(calls.find(([name]) => name === 'startLogin')?.[1]).toEqual({ profile: 'work', scopes: ['admin:all'], claimed: { reason: 'ticket 4711' } });
  });
});
