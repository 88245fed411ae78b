/** What a real sshd makes of callers, sockets and browsers. The far side of each connection is this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { createCallers } from '../../daemon/callers/callers.ts';
import type { Callers } from '../../daemon/core/ports.ts';
import { isSocketAnswered } from '../../daemon/platform/forwarded-socket.ts';
import { chooseFlow } from '../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../daemon/policy/chooser.ts';
import { callApi } from '../support/api.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { Processes } from '../support/processes.ts';
import { freePort, outputOf, SSHD_IS_MISSING, startSshd } from '../support/sshd.ts';
import type { Sshd } from '../support/sshd.ts';

const CURL_IS_MISSING = spawnSync('curl', ['--version']).status === 0 ? null : 'there is no curl here';
const OBSTACLE = SSHD_IS_MISSING ?? CURL_IS_MISSING;
if (OBSTACLE !== null) console.log(`skipped: what a real sshd makes of callers; ${OBSTACLE}`);
const uid = process.getuid?.() ?? -1;

let issuer: HostileIssuer;
let vk: InProcess;
let processes: Processes;
let sshd: Sshd;
let forwardedSocket: string;

const DESKTOP = 'Active=yes\nRemote=no\nType=wayland\nClass=user\n';

beforeAll(async () => {
  if (OBSTACLE !== null) return;
  processes = new Processes();
  issuer = await startHostileIssuer();
  // This machine's desktop is open, as logind tells; the daemon is started from it.
  const kernel = createCallers({ loginctl: async (args) => (args[0] === 'show-user' ? '1\n' : args[1] === '1' ? DESKTOP : null), ownCli: [] });
  let isSetUp = false;
  const callers: Callers = { ...kernel, attest: (peer, pin) => kernel.attest(peer, pin), session: async (caller) => (isSetUp ? kernel.session(caller) : vk.facts) };
  forwardedSocket = join(processes.dir, 'run', 'forwarded');
  mkdirSync(join(processes.dir, 'run'), { mode: 0o700 });
  vk = await startInProcess({
    config: `[device]\nissuers = ["${issuer.url}"]\n${profileToml('work', issuer.url)}${profileToml('held', issuer.url)}`,
    edges: { callers, isBrokerForwarded: () => isSocketAnswered(forwardedSocket, uid) },
  });
  expect((await vk.signIn('held', 'ada')).end.body).toMatchObject({ state: 'complete' });
  isSetUp = true;
  sshd = await startSshd(processes);
}, 60_000);
afterAll(async () => {
  await vk?.stop();
  await processes?.end();
  await issuer?.close();
});
let heard = 0;
beforeEach(() => { heard = issuer?.log.length ?? 0; });
/** What the issuer was asked in this test, by whoever. */
const asked = () => issuer.log.slice(heard).map(({ endpoint }) => endpoint);

const curl = (socket: string, path: string, body?: object): string =>
  `curl -s --unix-socket '${socket}' ${body === undefined ? '' : `-H 'content-type: application/json' -d '${JSON.stringify(body)}'`} http://localhost${path}`;
// oxlint-disable-next-line no-explicit-any -- a test reads whatever it expects of a reply
const said = async (options: readonly string[], command: string): Promise<any> => JSON.parse((await outputOf(await sshd.run(options, command))).trim());
const decided = () => vk.audit.events.filter(({ event }) => event === 'login_decided');

describe.skipIf(OBSTACLE !== null)('a socket that ssh forwards', () => {
  it.for([
    ['to the far machine: ssh -R', '-R', 'ssh'],
    ['from the far machine: ssh -L', '-L', 'sshd'],
  ] as const)('[IP-12] is a class of its own, whose every request a person is asked about: %s', async ([, how, peer]) => {
    const there = join(processes.dir, `there${how}`);
    const ssh = await sshd.forward([how, `${there}:${vk.socket}`]);
    expect(existsSync(there)).toBe(true);
    const seen = await callApi(there, 'GET', '/v1/whoami');
    expect(seen.body).toMatchObject({ forwarded: true, uid, executable: expect.stringMatching(new RegExp(`/${peer}(-session)?$`)) });
    // The control: the same question on the socket itself is this program's own.
    expect((await vk.api('GET', '/v1/whoami')).body).toMatchObject({ forwarded: false, pid: process.pid });
    for (const wait_s of [0, 0]) {
      expect((await callApi(there, 'POST', '/v1/token', { profile: 'held', wait_s })).body).toMatchObject({ code: 'approval_required', reason: 'shipped/forwarded-each' });
    }
    const explained = await callApi(there, 'POST', '/v1/policy/explain', { profile: 'held' });
    expect(explained.body).toMatchObject({ decision: 'confirm', ask: 'each', outcome: 'approval_required' });
    // Nor does it get a sign-in of its own.
    expect((await callApi(there, 'POST', '/v1/logins', { profile: 'work' })).body).toMatchObject({ code: 'flow_refused', reason: 'caller_elsewhere' });
    expect(asked()).toEqual([]);
    ssh.kill();
  });

  it('may not end, open or erase the broker, change its profiles, or answer the questions that it makes', async () => {
    const there = join(processes.dir, 'approver');
    const ssh = await sshd.forward(['-R', `${there}:${vk.socket}`]);
    await callApi(there, 'POST', '/v1/token', { profile: 'held', wait_s: 0 });
    const { pending } = (await vk.api('GET', '/v1/approvals')).body;
    expect(pending.length).toBeGreaterThan(0);
    expect((await callApi(there, 'POST', `/v1/approvals/${pending[0].id}`, { allow: true })).body).toMatchObject({ code: 'approval_refused' });
    for (const [method, path, body] of [['POST', '/v1/shutdown'], ['POST', '/v1/upgrade'], ['POST', '/v1/purge'], ['POST', '/v1/reload'], ['POST', '/v1/unlock', {}], ['DELETE', '/v1/profiles/work'], ['DELETE', `/v1/approvals/${pending[0].id}`]] as const) {
      expect((await callApi(there, method, path, body)).body).toMatchObject({ code: 'policy_denied', reason: 'from-here-only' });
    }
    expect((await vk.api('GET', '/v1/profiles')).body.profiles).toHaveLength(2);
    ssh.kill();
  });
});

describe.skipIf(OBSTACLE !== null)('a sign-in over ssh', () => {
  const configure = async (toml: string): Promise<void> => {
    await vk.config(toml);
    await vk.api('POST', '/v1/reload');
  };
  beforeEach(() => configure(`[device]\nissuers = ["${issuer.url}"]\n${profileToml('work', issuer.url)}`));

  it('[FC-04] opens nothing on the desktop that the daemon was started from', async () => {
    const before = decided().length;
    const reply = await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work', flow: 'device' }));
    expect(reply).toMatchObject({ code: 'consent_required' });
    expect(reply).not.toHaveProperty('start_url');
    const refused = await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work', flow: 'device', scopes: ['openid', 'x'], browser: 'manual' }));
    expect(refused).not.toHaveProperty('start_url');
    await configure(profileToml('work', issuer.url));
    expect(await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work', flow: 'device' }))).toMatchObject({ code: 'flow_refused', reason: 'device_denied_tenant' });
    expect(decided().slice(before)).toMatchObject([{ facts: { failed_probes: expect.arrayContaining(['caller_session_remote', 'ssh_no_forward']) as string[], input: { facts: { remote: true, tty: true, gui: 'inactive' } } } }]);
    expect(asked().filter((endpoint) => endpoint === 'device' || endpoint === 'par')).toEqual([]);
  });

  it('without a terminal is refused: nobody is there', async () => {
    expect(await said([], curl(vk.socket, '/v1/logins', { profile: 'work' }))).toMatchObject({ code: 'flow_refused', reason: 'human_flow_in_automation' });
  });

  it('[FC-12] names the issuer to no browser but one that came through ssh -L', async () => {
    const before = decided().length;
    const login = await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work' }));
    expect(login).toMatchObject({ flow: 'authorization_code', reason: 'start_awaited', tunnel: { otherwise: 'device' } });
    expect(decided().length).toBe(before); // not decided yet
    const port = Number(new URL(login.start_url).port);
    expect(login.tunnel.port).toBe(port);

    const near = await tunnelTo(port);
    expect((await through(near, login.start_url.replace(/[^/]+$/, 'wrong'))).status).toBe(404);
    expect(decided().length).toBe(before);
    expect(asked()).not.toContain('authorization');

    const hit = await through(near, login.start_url);
    expect(hit).toMatchObject({ status: 302, location: expect.stringContaining(issuer.url) });
    expect(decided().slice(before)).toMatchObject([{ facts: { outcome: 'pkce_ssh_forward', reason: 'ssh_forward_proved', rule: '13', input: { probes: { startHit: true, bind: true } } } }]);
    const view = (await vk.api('GET', `/v1/logins/${login.id}`)).body;
    expect(view).toMatchObject({ state: 'pending', reason: 'ssh_forward_proved' });
    await vk.api('DELETE', `/v1/logins/${login.id}`);
    expect(decided().length).toBe(before + 1);
  });

  it('[FC-12] ends in a grant where the whole conversation goes through the tunnel', async () => {
    const login = await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work' }));
    const port = Number(new URL(login.start_url).port);
    const near = await tunnelTo(port);
    const start = await through(near, login.start_url);
    const visit = await followLogin(start.location, { login: 'alice', stopBefore: (url) => Number(url.port) === port });
    const back = await through(near, visit.finalUrl, start.cookie);
    expect(back.status).toBe(303);
    expect((await through(near, back.location, start.cookie)).text).toContain('alice');
    expect((await vk.api('GET', `/v1/logins/${login.id}?wait_s=10`)).body).toMatchObject({ state: 'complete', reason: 'ssh_forward_proved', subject: { sub: 'alice' } });
    expect(vk.audit.events.findLast(({ event }) => event === 'login_finished')?.facts).toMatchObject({ flow: 'authorization_code', reason: 'ssh_forward_proved' });
  });

  it('[FC-12] prefers a broker that ssh forwarded, and asks no issuer', async () => {
    const ssh = await sshd.forward(['-R', `${forwardedSocket}:${vk.socket}`]);
    const before = decided().length;
    expect(await said(['-tt'], curl(vk.socket, '/v1/logins', { profile: 'work' }))).toMatchObject({ code: 'flow_refused', reason: 'forwarded_broker' });
    expect(asked()).toEqual([]);
    for (const { facts } of decided().slice(before)) expect(chooseFlow(facts['input'] as ChooserInput).outcome).toBe('forward_broker');
    ssh.kill();
    await expect.poll(() => isSocketAnswered(forwardedSocket, uid)).toBe(false);
  });
});

/** `ssh -L`, from another port than that of the listener, since both machines are one. */
async function tunnelTo(port: number): Promise<number> {
  const near = await freePort();
  await sshd.forward(['-L', `${near}:127.0.0.1:${port}`]);
  return near;
}

type Answer = { readonly status: number; readonly location: string; readonly cookie: string; readonly text: string };

/** A visit of the browser's machine, whose port is that of the tunnel. */
function through(near: number, url: string, cookie = ''): Promise<Answer> {
  const { host, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const visit = request({ host: '127.0.0.1', port: near, path: `${pathname}${search}`, agent: false, headers: { host, ...(cookie === '' ? {} : { cookie }) } }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => { text += String(chunk); });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, location: answer.headers.location ?? '', cookie: (answer.headers['set-cookie'] ?? []).map((each) => each.split(';')[0]).join('; '), text }));
    });
    visit.on('error', reject);
    visit.end();
  });
}
