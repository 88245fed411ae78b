/** What a person sees who signs in over SSH, and what `login --explain` says. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reachableSockets } from '../../../client/own-socket.ts';
import { sshLine } from '../../../client/ssh-tunnel.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import type { LoginExplanation } from '../../../shared/explain-schemas.ts';
import type { LoginView } from '../../../shared/schemas.ts';
import { complete, login, NOW, run } from './fake-world.ts';

const { username } = userInfo();
const SSH_ENV = { SSH_CONNECTION: '198.51.100.4 50000 203.0.113.7 22' };
const waiting: LoginView = { ...login, reason: 'start_awaited', tunnel: { port: 4711, until: NOW + 120, otherwise: 'device' } };

describe('a sign-in over SSH', () => {
  it('[FC-12] shows the exact ssh -L line and the link, and opens no browser here', async () => {
    const { stderr, opened, exit } = await run(['login', 'work'], { env: SSH_ENV, api: { startLogin: () => waiting, login: () => complete } });
    expect({ exit, opened }).toEqual({ exit: 0, opened: [] });
    expect(stderr.replaceAll(username, 'ada')).toMatchInlineSnapshot(`
      "
      This is an SSH session: the browser is on another machine. There, run
        ssh -N -L 4711:127.0.0.1:4711 ada@203.0.113.7
      (or with the name that you call this machine by), leave it running, and
      open this link in the browser, once:
        http://127.0.0.1:4711/start/NONCE

      "
    `);
  });

  it.each([
    ['203.0.113.7 22', `ssh -N -L 4711:127.0.0.1:4711 ada@203.0.113.7`],
    ['203.0.113.7 2222', `ssh -N -L 4711:127.0.0.1:4711 -p 2222 ada@203.0.113.7`],
    ['2001:db8::7 22', `ssh -N -L 4711:127.0.0.1:4711 ada@2001:db8::7`],
    ['$(touch /tmp/x) 22', `ssh -N -L 4711:127.0.0.1:4711 ada@HOST`],
    ['203.0.113.7 22;id', `ssh -N -L 4711:127.0.0.1:4711 ada@203.0.113.7`],
  ])('names the machine as sshd did, and repeats nothing that is no address: %s', (there, line) => {
    expect(sshLine(4711, { SSH_CONNECTION: `198.51.100.4 50000 ${there}` }, 'ada')).toBe(line);
    expect(sshLine(4711, {}, 'ada')).toBe('ssh -N -L 4711:127.0.0.1:4711 ada@HOST');
  });

  it('goes on with the device flow where no browser came, once', async () => {
    const failed: LoginView = { ...waiting, state: 'failed', error: { code: 'consent_required', title: 't', detail: 'd', hint: 'h', reason: 'ssh_no_forward' } };
    let starts = 0;
    const startLogin = (): LoginView => {
      starts += 1;
      if (starts === 1) return waiting;
      throw new ValetkeyError({ type: 't', title: 't', status: 403, detail: 'd', code: 'consent_required', retryable: false, hint: 'h' });
    };
    const { stderr, calls, exit } = await run(['login', 'work'], { env: SSH_ENV, api: { startLogin, login: () => failed } });
    expect(stderr).toContain('No browser followed the link. The device flow is left.');
    expect(calls.filter(([name]) => name === 'startLogin')).toHaveLength(2);
    expect(exit).toBe(5);
  });

  it('ends where nothing is left', async () => {
    const failed: LoginView = { ...waiting, state: 'failed', error: { code: 'flow_refused', title: 't', detail: 'd', hint: 'h', reason: 'device_denied_tenant' } };
    const { exit, calls } = await run(['login', 'work'], { env: SSH_ENV, api: { startLogin: () => waiting, login: () => failed } });
    expect({ exit, calls: calls.length }).toEqual({ exit: 5, calls: 2 });
  });
});

describe('the socket of another machine\'s broker', () => {
  const uid = process.getuid?.() ?? 0;
  let base: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'valetkey-sockets-'));
    mkdirSync(join(base, 'run'), { mode: 0o700 });
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const paths = () => ({ lockFile: join(base, 'lock'), socket: join(base, 'run/socket'), forwardedSocket: join(base, 'run/forwarded') });

  it('[FC-12] comes first in a session of ssh and in a container, where it is there', () => {
    const { socket, forwardedSocket } = paths();
    expect(reachableSockets(paths(), uid, SSH_ENV)).toEqual([socket]);
    writeFileSync(forwardedSocket, '');
    chmodSync(forwardedSocket, 0o600);
    for (const env of [SSH_ENV, { SSH_TTY: '/dev/pts/1' }, { container: 'podman' }, { REMOTE_CONTAINERS: 'true' }]) expect(reachableSockets(paths(), uid, env)).toEqual([forwardedSocket, socket]);
    // Who sits at this machine is not led away by somebody's ssh -R.
    for (const env of [{}, { SSH_TTY: '' }]) expect(reachableSockets(paths(), uid, env)).toEqual([socket]);
  });
});

const told: LoginExplanation = {
  profile: 'work', issuer: 'https://login.example.com', caller: 'valetkey (pid 7)', outcome: 'refuse', rule: '16c', reason: 'device_denied_tenant', waits_s: null,
  failed_probes: ['ssh_no_forward'], hint: 'Sign in where a browser is, or name a browser command in the profile; or list the issuer under [device] issuers',
  policy_rule: 'shipped/login-session',
  input: {
    facts: { automation: null, remote: true, container: false, wsl: null, vdi: false, sharedHost: true, gui: 'inactive', browser: 'graphical', tty: true, serviceSession: false, ide: false, forwarded: false },
    preference: 'device', risk: 'normal', policy: { deviceAllowed: false }, probes: { forwardedBroker: false, hostBroker: false },
  },
  changes: [
    { field: 'preference', to: 'auto', outcome: 'pkce_ssh_forward', rule: '13', reason: 'start_awaited', waits_s: 120 },
    { field: 'policy.issuerAllowed', to: false, outcome: 'refuse', rule: '4', reason: 'tenant_not_allowed', waits_s: null },
    { field: 'policy.deviceAllowed', to: true, outcome: 'device', rule: '16g', reason: 'caller_session_remote', waits_s: null },
    { field: 'facts.new', to: true, outcome: 'device', rule: '99', reason: 'new', waits_s: null },
  ],
};

describe('valetkey login --explain', () => {
  const api = { explainLogin: () => told };

  it('shows the facts, the rule and what would change it, within 80 columns, and starts nothing', async () => {
    const { stdout, calls, exit } = await run(['login', 'work', '--explain', '--device'], { terminal: true, api });
    expect(exit).toBe(0);
    expect(calls).toEqual([['explainLogin', { profile: 'work', flow: 'device' }]]);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toMatchInlineSnapshot(`
      "Profile  work, at login.example.com
      Sign-in  refused
      Because  rule 16c, device_denied_tenant
      Policy   rule shipped/login-session
      Next     Sign in where a browser is, or name a browser command in the profile;
               or list the issuer under [device] issuers

      What is seen of this session
        Desktop      there, but not that of this session
        Browser      graphical
        Terminal     yes
        Place        over SSH, others use this machine
        Automation   no
        Asked for    the device flow
        Tier         normal
        Device flow  not allowed for this issuer

      What would change it
        In a browser that comes through ssh -L (PKCE), if one comes within 120 s
          without --device, and flow = "auto" in the profile
        By a code that is typed elsewhere (device flow)
          with the issuer under [device] issuers
          if facts.new were true
        Refused
          if a rule of policy denied the issuer (tenant_not_allowed)
      "
    `);
  });

  it('is one document in JSON', async () => {
    const { stdout } = await run(['login', 'work', '--explain', '--json'], { api });
    expect(JSON.parse(stdout)).toEqual(told);
  });
});
