import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, ValetkeyError } from '../../../client/index.ts';
import { openConnection } from '../../../client/connection.ts';
import { readLockRecord, socketCandidates } from '../../../client/find-socket.ts';
import { ERRORS } from '../../../shared/errors.ts';
import { METHODS } from '../../../shared/methods.ts';
import { privateDirectory, reply, standIn } from './stand-in.ts';
import type { Answer, StandIn } from './stand-in.ts';

const isRoot = process.getuid?.() === 0;
const started: StandIn[] = [];

async function serve(answer: Answer): Promise<StandIn> {
  const server = await standIn(answer);
  started.push(server);
  return server;
}

async function failure(promise: Promise<unknown>): Promise<ValetkeyError> {
  const error: unknown = await promise.then(() => null, (thrown: unknown) => thrown);
  if (!(error instanceof ValetkeyError)) throw new Error(`expected a ValetkeyError, got ${String(error)}`);
  return error;
}

const ok: Answer = (_, response) => reply(response, { ok: true });

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(started.splice(0).map((server) => server.close()));
});

describe('trust in the socket', () => {
  const breaches: readonly (readonly [string, (server: StandIn) => string])[] = [
    ['a directory that others may enter', (s) => { chmodSync(s.directory, 0o755); return s.socket; }],
    ['a directory that others may write', (s) => { chmodSync(s.directory, 0o777); return s.socket; }],
    ['a socket that others may use', (s) => { chmodSync(s.socket, 0o666); return s.socket; }],
    ['a link in place of the socket', (s) => { symlinkSync(s.socket, join(s.directory, 'link')); return join(s.directory, 'link'); }],
    ['a link in place of the directory', (s) => { symlinkSync(s.directory, `${s.directory}-link`); return join(`${s.directory}-link`, 'socket'); }],
    ['a file in place of the socket', (s) => { writeFileSync(join(s.directory, 'file'), '', { mode: 0o600 }); return join(s.directory, 'file'); }],
  ];

  it.each(breaches)('[IP-06] sends nothing to %s', async (_, breach) => {
    const server = await serve(ok);
    // Positive control: the very same server is talked to while it is private.
    const control = connect({ socket: server.socket });
    await control.status();
    control.close();
    const before = server.connections();
    const error = await failure(connect({ socket: breach(server) }).getToken('work'));
    expect(error.code).toBe('server_untrusted');
    expect(error.exit).toBe(9);
    expect(server.connections()).toBe(before);
    expect(server.seen).toHaveLength(1);
  });

  it('says how to mend a mode', async () => {
    const server = await serve(ok);
    for (const [path, wrong, right] of [[server.socket, 0o666, '0600'], [server.directory, 0o755, '0700']] as const) {
      chmodSync(path, wrong);
      expect((await failure(connect({ socket: server.socket }).getToken('work'))).hint).toBe(`Run: chmod ${right} ${path}`);
      chmodSync(path, Number.parseInt(right, 8));
    }
  });

  it('says of a link in place of the directory what it is', async () => {
    const server = await serve(ok);
    symlinkSync(server.directory, `${server.directory}-link`);
    expect((await failure(connect({ socket: join(`${server.directory}-link`, 'socket') }).status())).detail).toContain('is not a directory');
  });

  it.skipIf(!isRoot).each(['directory', 'socket'] as const)('[IP-06] sends nothing where the %s belongs to another user (needs root to give it away)', async (which) => {
    const server = await serve(ok);
    chownSync(server[which], 65534, 65534);
    const error = await failure(connect({ socket: server.socket }).getToken('work'));
    expect(error.code).toBe('server_untrusted');
    expect(error.detail).toContain('65534');
    expect(server.connections()).toBe(0);
  });
});

describe('the lock record', () => {
  it('is read first, and the default path is the second', () => {
    const base = privateDirectory();
    const lockFile = join(base, 'lock');
    const record = { v: 1, pid: 7, socket: '/run/user/1/valetkey/socket', version: '0.1.0', protocol: 1, started_at: 1 };
    writeFileSync(lockFile, JSON.stringify(record), { mode: 0o600 });
    const uid = process.getuid?.() ?? 0;
    expect(socketCandidates({ lockFile, socket: '/default' }, uid)).toEqual(['/run/user/1/valetkey/socket', '/default']);
  });

  it.each(['', '{"v":1,"pid":7,"socket":"/ru', '[]', 'null', '{"pid":7,"socket":"relative"}', `{"pid":1,"socket":"/${'x'.repeat(5000)}"}`])('says nothing when it is empty, torn or strange: %.20s', (text) => {
    const lockFile = join(privateDirectory(), 'lock');
    writeFileSync(lockFile, text, { mode: 0o600 });
    expect(readLockRecord(lockFile, process.getuid?.() ?? 0)).toBeNull();
  });

  it('says nothing when others may write it', () => {
    const lockFile = join(privateDirectory(), 'lock');
    writeFileSync(lockFile, '{"pid":7,"socket":"/x"}');
    chmodSync(lockFile, 0o666);
    expect(readLockRecord(lockFile, process.getuid?.() ?? 0)).toBeNull();
  });

  it('leads to a daemon whose runtime directory this process does not know', async () => {
    const server = await serve(ok);
    const state = privateDirectory();
    vi.stubEnv('XDG_STATE_HOME', state);
    vi.stubEnv('XDG_RUNTIME_DIR', privateDirectory());
    mkdirSync(join(state, 'valetkey'), { mode: 0o700 });
    writeFileSync(join(state, 'valetkey/lock'), JSON.stringify({ v: 1, pid: 1, socket: server.socket, version: '0.1.0' }), { mode: 0o600 });
    const connection = openConnection({ startDaemon: false });
    expect(await connection.call('GET', '/v1/status', null)).toEqual({ ok: true });
    connection.close();
  });
});

describe('a socket that ssh brought from another machine', () => {
  it('hears of tokens and sign-ins, and of nothing that holds a passphrase, a PIN or a client secret', async () => {
    const [own, far] = [await serve(ok), await serve(ok)];
    const [state, runtime] = [privateDirectory(), privateDirectory()];
    for (const [name, value] of [['XDG_STATE_HOME', state], ['XDG_RUNTIME_DIR', runtime], ['SSH_CONNECTION', '::1 1 ::1 2']] as const) vi.stubEnv(name, value);
    mkdirSync(join(state, 'valetkey'), { mode: 0o700 });
    writeFileSync(join(state, 'valetkey/lock'), JSON.stringify({ v: 1, pid: 1, socket: own.socket, version: '0.1.0' }), { mode: 0o600 });
    mkdirSync(join(runtime, 'valetkey'), { mode: 0o700 });
    // In the place of a socket it is one, by a link of the file itself.
    linkSync(far.socket, join(runtime, 'valetkey/forwarded'));
    const connection = openConnection();
    for (const { verb, path } of Object.values(METHODS)) await connection.call(verb, path.replace(/\{\w+\}/, 'x'), null);
    connection.close();
    const heard = ({ seen }: StandIn): readonly string[] => seen.map(({ verb, path }) => `${verb} ${path}`).toSorted();
    expect(heard(far)).toEqual([
      'DELETE /v1/grants/x', 'DELETE /v1/logins/x', 'GET /v1/events', 'GET /v1/grants', 'GET /v1/logins/x', 'GET /v1/profiles', 'GET /v1/status', 'GET /v1/whoami',
      'POST /v1/fetch', 'POST /v1/grants/x/end-session', 'POST /v1/logins', 'POST /v1/logins/explain', 'POST /v1/logins/x/confirm', 'POST /v1/token',
    ]);
    expect(heard(own)).toEqual(Object.values(METHODS).map(({ verb, path }) => `${verb} ${path.replace(/\{\w+\}/, 'x')}`).filter((line) => !heard(far).includes(line)).toSorted());
    expect(heard(own)).toEqual(expect.arrayContaining(['POST /v1/unlock', 'POST /v1/approval-pin', 'POST /v1/approvals/x', 'POST /v1/profiles', 'POST /v1/lock', 'POST /v1/panic']));
  });
});

describe('replies', () => {
  it('throws a problem document with all of its facts', async () => {
    const { status, title, hint, retryable } = ERRORS.login_required;
    const server = await serve((_, response) => reply(response, {
      type: 'urn:x', title, status, detail: 'no grant', code: 'login_required', retryable, hint, reason: 'never_signed_in', request_id: 'r1', retry_after_s: 3,
    }, status));
    const error = await failure(connect({ socket: server.socket }).getToken('work', { min_ttl_s: 90 }));
    expect(error).toMatchObject({ code: 'login_required', title, detail: 'no grant', hint, reason: 'never_signed_in', retryable: false, exit: 3, requestId: 'r1', retryAfterS: 3, login: null });
    expect(server.seen).toEqual([{ verb: 'POST', path: '/v1/token', body: { profile: 'work', min_ttl_s: 90 } }]);
  });

  it('takes an error code of a newer daemon', async () => {
    const server = await serve((_, response) => reply(response, { type: 't', title: 'New', status: 418, detail: 'd', code: 'of_tomorrow', retryable: true, hint: 'h' }, 418));
    expect(await failure(connect({ socket: server.socket }).status())).toMatchObject({ code: 'of_tomorrow', exit: 1, retryable: true });
  });

  it.each([
    ['no protocol version', (_, r) => r.end('{}')],
    ['another protocol version', (_, r) => { r.setHeader('valetkey-protocol', '2'); r.end('{}'); }],
    ['something that is not JSON', (_, r) => { r.setHeader('valetkey-protocol', '1'); r.end('<html>'); }],
    ['an error without a problem document', (_, r) => reply(r, { error: 'x' }, 500)],
    ['more than 4 MiB', (_, r) => { r.setHeader('valetkey-protocol', '1'); r.end(JSON.stringify('x'.repeat(5 * 1024 * 1024))); }],
  ] satisfies readonly (readonly [string, Answer])[])('refuses %s', async (_, answer) => {
    const server = await serve(answer);
    expect((await failure(connect({ socket: server.socket }).status())).code).toBe('protocol_mismatch');
  });

  it('says daemon_unreachable when the connection ends without an answer', async () => {
    const server = await serve((_, response) => response.destroy());
    expect((await failure(connect({ socket: server.socket }).status())).code).toBe('daemon_unreachable');
    expect(server.seen).toHaveLength(1);
  });

  it('says daemon_unreachable where nobody listens, and starts nothing for a socket that was named', async () => {
    expect((await failure(connect({ socket: join(privateDirectory(), 'socket') }).status())).code).toBe('daemon_unreachable');
  });

  it('keeps the connection, and survives that the daemon closed it meanwhile', async () => {
    const server = await serve(ok);
    const client = connect({ socket: server.socket });
    await client.status();
    await client.status();
    expect(server.connections()).toBe(1);
    server.dropConnections();
    await client.status();
    expect(server.seen).toHaveLength(3);
    client.close();
  });
});

describe('a daemon that was killed', () => {
  it('is asked again on a new connection, and not on another that died with the first', async () => {
    // Each connection takes one request and then ends unanswered, as all that are kept do at once when the daemon is killed.
    const answered = new WeakSet<object>();
    const server = await serve((_, response) => {
      const { socket } = response;
      if (socket === null || answered.has(socket)) {
        socket?.destroy();
        return;
      }
      answered.add(socket);
      // Both are under way together, so that two connections are kept.
      setTimeout(() => reply(response, { ok: true }), 20);
    });
    const client = connect({ socket: server.socket });
    await Promise.all([client.status(), client.status()]);
    expect(server.connections()).toBe(2);
    await client.status();
    expect(server.connections()).toBe(3);
    client.close();
  });
});

describe('giving up', () => {
  it('rejects with the reason of the signal, before and during a request', async () => {
    let asked: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => { asked = resolve; });
    const server = await serve(() => asked());
    const client = connect({ socket: server.socket });
    const reason = new Error('enough');
    await expect(client.status({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.connections()).toBe(0);
    const controller = new AbortController();
    const pending = client.status({ signal: controller.signal });
    await reached;
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    client.close();
  });

  it('fails with deadline_exceeded when the daemon is frozen', async () => {
    const server = await serve(() => undefined);
    const connection = openConnection({ socket: server.socket });
    expect((await failure(connection.call('GET', '/v1/status', null, { timeoutMs: 60 }))).code).toBe('deadline_exceeded');
    connection.close();
  });
});

describe('events', () => {
  it('yields what the daemon tells, over any cut of the bytes, and ends with it', async () => {
    const event = { at: 1, event: 'locked', profile: null, detail: 'ü' };
    const text = Buffer.from(`: hello\n\nevent: locked\ndata: ${JSON.stringify(event)}\n\nevent: locked\r\ndata: ${JSON.stringify({ ...event, at: 2 })}\r\n\r\n`);
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'valetkey-protocol': '1' });
      for (const byte of text) response.write(Buffer.from([byte]));
      response.end();
    });
    const seen: unknown[] = [];
    for await (const one of connect({ socket: server.socket }).events()) seen.push(one);
    expect(seen).toEqual([event, { ...event, at: 2 }]);
  });

  it('closes the connection when the loop is left, and takes no endless line', async () => {
    const closed: string[] = [];
    const server = await serve(({ path }, response) => {
      response.writeHead(200, { 'valetkey-protocol': '1' });
      response.write(closed.length === 0 ? 'data: {"at":1}\n\n' : `data: ${'x'.repeat(200_000)}`);
      response.on('close', () => closed.push(path));
    });
    const client = connect({ socket: server.socket });
    for await (const one of client.events()) {
      expect(one).toEqual({ at: 1 });
      break;
    }
    await vi.waitFor(() => expect(closed).toEqual(['/v1/events']), { timeout: 15_000 });
    const error = await failure((async () => { for await (const _ of client.events()) break; })());
    expect(error.code).toBe('protocol_mismatch');
  });
});
