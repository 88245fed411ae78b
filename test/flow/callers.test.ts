/**
 * Who gets a token when a connection is not used by the program that opened it: attested when it connects, and
 * once more before the token leaves. Real processes, the daemon in this one.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { Callers } from '../../daemon/core/ports.ts';
import { createCallers } from '../../daemon/callers/callers.ts';
import { asPerson, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';
import { Processes } from '../support/processes.ts';
import type { Running } from '../support/processes.ts';

let issuer: EmbeddedIssuer;
let vk: InProcess;
let processes: Processes;
/** What the daemon is told of whether the caller is still the same; null: what is so. */
let same: (() => boolean) | null = null;

beforeAll(async () => {
  issuer = await startIssuer();
  const kernel = createCallers({ loginctl: async () => null, ownCli: [] });
  // A desktop, but for what stands above the caller, and whatever terminal the tests have.
  const session: Callers['session'] = async (caller) => ({ ...vk.facts, remote: (await kernel.session(caller)).remote, tty: false });
  const attest: Callers['attest'] = async (peer, pin) => {
    const caller = await kernel.attest(peer, pin);
    return caller === null ? null : asPerson(caller);
  };
  vk = await startInProcess({
    config: profileToml('work', issuer.url),
    edges: { callers: { ...kernel, attest, session, stillSame: (caller) => same?.() ?? kernel.stillSame(caller) } },
  });
  const { end } = await vk.signIn('work', 'ada');
  expect(end.body).toMatchObject({ state: 'complete' });
});
afterAll(async () => {
  await vk?.stop();
  await issuer?.close();
});
beforeEach(() => {
  processes = new Processes();
  same = null;
});
afterEach(async () => processes.end());

const PYTHON_IS_MISSING = spawnSync('python3', ['-c', 'import socket; socket.send_fds']).status === 0 ? null : 'python3 (3.9 or newer) is not here';

/** Asks in the line dialect, on the descriptor 3. */
const BY_LINE = `printf '%s\\n' '{"type":"token","id":2,"data":{"profile":"work"}}' >&3; head -n 1 <&3`;
const BODY = '{"profile":"work"}';
const BY_HTTP = `printf 'POST /v1/token HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\nContent-Length: ${BODY.length}\\r\\n\\r\\n%s' '${BODY}' >&3; cat <&3`;

/** Connects, is looked at, and then becomes, or starts, a shell that asks. */
const OPENER = `
import os, socket, sys
path, how, dialect, command = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.connect(path)
if dialect == 'line':
    s.sendall(b'{"type":"status","id":1}\\n')
    s.recv(65536)
else:
    s.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    s.recv(65536)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
if how == 'exec':
    os.execvp('sh', ['sh', '-c', command])
os.spawnvp(os.P_WAIT, 'sh', ['sh', '-c', command])
`;

/** Asks, gives the daemon time to take what it asked for, and becomes a program that keeps the connection. */
const TWICE = `
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode())
time.sleep(0.3)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.execvp('sleep', ['sleep', '1000'])
`;

/** Asks before the program that it was loaded into does anything. */
const LOADED = `
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
__attribute__((constructor)) static void ask(void) {
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  static const char frame[] = "{\\"type\\":\\"token\\",\\"id\\":1,\\"data\\":{\\"profile\\":\\"work\\"}}\\n";
  char answer[65536];
  strncpy(at.sun_path, getenv("VK"), sizeof at.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || write(fd, frame, sizeof frame - 1) < 0) _exit(1);
  ssize_t got = read(fd, answer, sizeof answer);
  if (got > 0 && write(1, answer, (size_t)got) < 0) _exit(1);
}
`;

/** Connects, passes the connection to a child by SCM_RIGHTS, and waits. The child asks, and once more when it has lost its parent. */
const PASSER = `
import os, socket, sys, time
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    ours.close()
    _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
    s = socket.socket(fileno=fds[0])
    print(os.getpid(), flush=True)
    opener = os.getppid()
    def ask():
        s.sendall(b'{"type":"token","id":2,"data":{"profile":"work"}}\\n')
        print(s.recv(65536).decode().strip(), flush=True)
    ask()
    while os.getppid() == opener: time.sleep(0.01)
    ask()
    os._exit(0)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"type":"status","id":1}\\n')
s.recv(65536)
socket.send_fds(ours, [b'x'], [s.fileno()])
os.wait()
`;

function httpRequest(method: string, path: string, body = '', last = ''): string {
  const type = body === '' ? '' : 'Content-Type: application/json\r\n';
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\n${last}${type}Content-Length: ${body.length}\r\n\r\n${body}`;
}

const tokenRequest = (ask: object, i: number, all: readonly object[]): string => httpRequest('POST', '/v1/token', JSON.stringify(ask), i === all.length - 1 ? 'Connection: close\r\n' : '');

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => { text += String(chunk); });
  await once(socket, 'close');
  return text;
}

const refused = { status: 403, data: { code: 'policy_denied', reason: 'caller-changed' } };
const events = (event: string) => vk.audit.events.filter((each) => each.event === event);

async function said(child: Running): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk) => { text += String(chunk); });
  await once(child, 'close');
  return text;
}

describe('a program that connects and then becomes another', () => {
  it.for([['line', BY_LINE], ['HTTP', BY_HTTP]] as const)('[IP-09] gets no token, and the audit says so: %s', async ([dialect, command], { skip }) => {
    if (PYTHON_IS_MISSING !== null) skip(PYTHON_IS_MISSING);
    const before = events('token_refused').length;
    const opener = await processes.start('python3', ['-c', OPENER, vk.socket, 'exec', dialect, command]);
    const text = await said(opener);
    expect(text).toContain('caller-changed');
    expect(text).not.toContain('access_token');
    expect(events('token_refused').slice(before)).toMatchObject([{ caller: { pid: opener.pid, executable: expect.stringContaining('python') as string }, facts: { rule: 'caller-changed' } }]);
  });

  it.for([['line', BY_LINE], ['HTTP', BY_HTTP]] as const)('gets one while it stays what it was, though a child uses its connection (control): %s', async ([dialect, command], { skip }) => {
    if (PYTHON_IS_MISSING !== null) skip(PYTHON_IS_MISSING);
    const opener = await processes.start('python3', ['-c', OPENER, vk.socket, 'stay', dialect, command]);
    expect(await said(opener)).toContain('access_token');
  });
});

describe('a program that asks twice at once, and becomes another before the first is answered', () => {
  it('[IP-09] gets neither, by HTTP', async ({ skip }) => {
    if (PYTHON_IS_MISSING !== null) skip(PYTHON_IS_MISSING);
    const { id } = (await vk.api('POST', '/v1/logins', { profile: 'work' })).body as { readonly id: string };
    const both = httpRequest('GET', `/v1/logins/${id}?wait_s=60`) + httpRequest('POST', '/v1/token', BODY);
    const opener = await processes.start('python3', ['-c', TWICE, vk.socket, both]);
    const text = said(opener);
    const image = () => readlinkSync(`/proc/${opener.pid}/exe`);
    await expect.poll(image).toBe(realpathSync('/bin/sleep'));
    await vk.api('DELETE', `/v1/logins/${id}`);
    await expect.poll(() => events('token_refused').at(-1)).toMatchObject({ caller: { pid: opener.pid }, facts: { rule: 'caller-changed' } });
    opener.kill('SIGKILL');
    expect(await text).toBe('');
  });
});

describe('a sign-in that is asked for over SSH', () => {
  it('[FC-04] opens nothing on the desktop that the daemon was started from', async ({ skip }) => {
    if (spawnSync('curl', ['--version']).status !== 0) skip('there is no curl here');
    const ask = `curl -s --unix-socket '${vk.socket}' -H 'content-type: application/json' -d '${BODY}' http://localhost/v1/logins; true`;
    const env = { PATH: process.env['PATH'] ?? '' };
    const remote = await said(await processes.start(processes.copy('/bin/sh', 'sshd'), ['-c', ask], { env }));
    expect(JSON.parse(remote)).not.toHaveProperty('start_url');
    expect(vk.audit.events.findLast(({ event }) => event === 'login_decided')).toMatchObject({ facts: { outcome: 'refuse', failed_probes: ['caller_session_remote', 'ssh_no_forward'], input: { facts: { remote: true, gui: 'active' } } } });
    const local = JSON.parse(await said(await processes.start('sh', ['-c', ask], { env }))) as { readonly start_url: string; readonly id: string };
    expect(local.start_url).toContain('http://127.0.0.1:'); // the control
    await vk.api('DELETE', `/v1/logins/${local.id}`);
  });
});

describe('a program in a namespace of its own', () => {
  it('[IP-12] gets no token without a person, at each request, and may not open the vault', async ({ skip }) => {
    if (spawnSync('curl', ['--version']).status !== 0) skip('there is no curl here');
    const unshare = ['unshare', ...(process.getuid?.() === 0 ? [] : ['-Ur']), '-m', '--'] as const;
    if (spawnSync(unshare[0], [...unshare.slice(1), 'true']).status !== 0) skip('unshare may not make a namespace here');
    const ask = async (around: readonly string[], path: string, body: string): Promise<unknown> => {
      const [command = '', ...args] = [...around, 'curl', '-s', '--unix-socket', vk.socket, '-H', 'content-type: application/json', '-d', body, `http://localhost${path}`];
      return JSON.parse(await said(await processes.start(command, args)));
    };
    for (let look = 0; look < 2; look += 1) {
      expect(await ask(unshare, '/v1/token', '{"profile":"work","wait_s":0}')).toMatchObject({ code: 'approval_required', reason: 'shipped/container-once' });
    }
    expect(await ask(unshare, '/v1/unlock', '{}')).toMatchObject({ code: 'policy_denied', reason: 'from-here-only' });
    expect(await ask([], '/v1/token', '{"profile":"work","wait_s":0}')).toHaveProperty('access_token'); // control
  });
});

describe('a library', () => {
  it('[IP-09] speaks for a program into which it was loaded', async ({ skip }) => {
    const source = processes.file('loaded.c', LOADED);
    const library = `${processes.dir}/loaded.so`;
    const built = spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' });
    if (built.status !== 0) skip(`no C compiler here: ${built.error?.message ?? built.stderr}`);
    const before = vk.audit.events.length;
    vk.skipMs += 61_000; // the next release is written again
    const trusted = await processes.start('/bin/sleep', ['0'], { env: { LD_PRELOAD: library, VK: vk.socket } });
    expect(await said(trusted)).toContain('access_token');
    expect(vk.audit.events.slice(before)).toMatchObject([{ event: 'token_released', caller: { pid: trusted.pid, executable: realpathSync('/bin/sleep') } }]);
  });
});

describe('a connection that was passed on', () => {
  it('[IP-09] asks in the name of who opened it, as long as that lives', async ({ skip }) => {
    if (PYTHON_IS_MISSING !== null) skip(PYTHON_IS_MISSING);
    const opener = await processes.start('python3', ['-c', PASSER, vk.socket]);
    const lines = createInterface({ input: opener.stdout ?? expect.unreachable('no output') })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => String((await lines.next()).value);
    const heir = processes.stray(await next());
    const before = vk.audit.events.length;
    expect(JSON.parse(await next())).toMatchObject({ status: 200, data: { profile: 'work' } });
    const released = vk.audit.events.slice(before).map(({ caller }) => caller?.pid);
    expect(released.every((pid) => pid === opener.pid && pid !== heir)).toBe(true);
    opener.kill('SIGKILL');
    expect(JSON.parse(await next())).toMatchObject(refused);
    expect(vk.audit.events.at(-1)).toMatchObject({ event: 'token_refused', caller: { pid: opener.pid }, facts: { rule: 'caller-changed' } });
  });
});

describe('a caller that changes in the middle of its request', () => {
  it.each(['line', 'HTTP'])('[IP-07] gets nothing of what was fetched for it: %s', async (dialect) => {
    // As it was until the refresh is over, and another by the time that the answer would leave.
    const refreshed = events('token_refreshed').length;
    same = () => events('token_refreshed').length === refreshed;
    const ask = { profile: 'work', force: true };
    const before = events('token_released').length;
    if (dialect === 'HTTP') {
      expect(await vk.api('POST', '/v1/token', ask)).toMatchObject({ status: 403, body: refused.data });
    } else {
      const client = new LineClient(vk.socket).ask({ type: 'token', id: 1, data: ask });
      expect(await client.wait(1)).toMatchObject([refused]);
      client.leave();
    }
    expect(events('token_refreshed').length).toBe(refreshed + 1);
    expect(events('token_released').length).toBe(before);
  });

  it('gets no answer that waited behind another one: HTTP', async () => {
    // As it was when both came, and another by the time that the first is answered.
    const refreshed = events('token_refreshed').length;
    same = () => events('token_refreshed').length === refreshed;
    const socket = connect(vk.socket);
    socket.write([{ profile: 'work', force: true }, { profile: 'work' }].map(tokenRequest).join(''));
    const text = await textOf(socket);
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 403', 'HTTP/1.1 403']);
    expect(text).not.toContain('access_token');
  });

  it('gets its answers in order where nothing changed: HTTP (control)', async () => {
    const socket = connect(vk.socket);
    socket.write([{ profile: 'work', force: true }, { profile: 'work' }, { profile: 'none' }].map(tokenRequest).join(''));
    const text = await textOf(socket);
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404']);
    expect(text.match(/"source":"\w+"/g)).toEqual(['"source":"refresh"', '"source":"cache"']);
  });

  it('gets no answer that waited behind another one: line', async () => {
    // As it was for both requests, and another when the answers would leave in order.
    let asked = 0;
    same = () => {
      asked += 1;
      return asked <= 3;
    };
    const client = new LineClient(vk.socket).ask({ type: 'token', data: { profile: 'work', force: true } }).ask({ type: 'token', data: { profile: 'work' } });
    expect(await client.closed()).toBe('');
    expect(asked).toBeGreaterThan(3);
    expect(vk.log.lines.map(({ event }) => event)).toContain('caller_changed');
  });

  it('gets nothing that became another while its release was written', async () => {
    await vk.api('POST', '/v1/token', { profile: 'work', force: true });
    const released = events('token_released').length;
    vk.skipMs += 61_000; // the next release is written again
    same = () => events('token_released').length === released;
    expect(await vk.api('POST', '/v1/token', { profile: 'work' })).toMatchObject({ status: 403, body: refused.data });
    expect(events('token_released').length).toBe(released + 1);
  });
});
