/** The clients that are not the CLI, in each language: test/vectors/clients at a stand-in, and the real daemon. */
import { chmodSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';
import { CLIENTS, runWith } from './client-languages.ts';
import type { Asked, Client, Told } from './client-languages.ts';
import { frame, lineStandIn } from './line-stand-in.ts';
import type { LineStandIn, Seen } from './line-stand-in.ts';

type Vector = { readonly title: string; readonly ask: Asked; readonly status: number; readonly reply: object; readonly token?: string; readonly error?: Readonly<Record<string, unknown>> };
const vectors = JSON.parse(readFileSync(join(ROOT, 'test/vectors/clients/token.json'), 'utf8')) as readonly Vector[];

let stand: LineStandIn;
beforeAll(async () => {
  needBuild();
  stand = await lineStandIn();
});
afterAll(async () => stand.close());

/** What was asked for, in whichever dialect. */
function askedOf({ lines, http }: Seen): unknown {
  const [line] = lines as readonly { readonly data: unknown }[];
  expect(lines.length + http.length, 'requests').toBe(1);
  return line?.data ?? http[0];
}

/** What the shell tells of an error is in its words. */
function expectError(told: Told, error: Readonly<Record<string, unknown>>): void {
  if (!('words' in told)) return void expect(told).toMatchObject({ error });
  expect(told.exit).toBe(error['code'] === 'login_required' ? 3 : 1);
  if (error['detail'] !== undefined) expect(told.words).toBe(`valetkey: ${String(error['detail'])}\n${String(error['hint'])}\n`);
}

describe.each(CLIENTS.map((client) => [client.name, client] as const))('%s', (_, client: Client) => {
  it.each(vectors.map((vector) => [vector.title, vector] as const))('%s', async (_title, { ask, status, reply, token, error }) => {
    stand.play({ line: `${frame(reply, { status })}\n`, http: { status, body: reply } });
    stand.seen();
    const told = await client.ask(ask, stand.env);
    expect(askedOf(stand.seen())).toEqual(ask);
    if (error === undefined) expect(told).toEqual({ token });
    else expectError(told, error);
  });

  it.each([
    ['a socket that others may open', 'socket', 0o666, 0o600],
    ['a directory that others may change', 'run/valetkey', 0o755, 0o700],
  ])('[IP-06] sends nothing to %s', async (_title, place, open, closed) => {
    stand.seen();
    const path = place === 'socket' ? stand.socket : join(stand.base, place);
    chmodSync(path, open);
    try {
      expectError(await client.ask({ profile: 'work' }, stand.env), { code: 'server_untrusted' });
    } finally {
      chmodSync(path, closed);
    }
    expect(stand.seen()).toEqual({ lines: [], http: [] });
  });
});

/** What the module does when it is told to, at the daemon of this environment. */
async function python(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<readonly unknown[]> {
  const { exit, stdout, stderr } = await runWith('python3', ['-W', 'error', join(ROOT, 'test/e2e/python-auth.py'), join(ROOT, 'client/python'), ...args], env);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  return stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown);
}

/** Tells which Authorization header came, or sends on to another host. */
async function resource(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer(({ url, headers }, response) => {
    const { port } = server.address() as AddressInfo;
    if (url === '/away') response.writeHead(302, { location: `http://localhost:${port}/` }).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(headers.authorization ?? null));
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as AddressInfo).port, close: () => new Promise((resolve) => { server.close(() => resolve()); }) };
}

describe('the module in Python', () => {
  it('waits no longer than it was told to, for a daemon that drips', async () => {
    stand.play({ line: Array.from({ length: 40 }, () => 'x'), afterMs: 0 });
    expect(await python(stand.env, 'drip')).toEqual(['deadline_exceeded', true]);
  });

  it('[MC-03] takes for an origin what a bearer token may go to, and nothing else', async () => {
    const none = ['http://example.com/', 'ftp://example.com/', 'api://example.com', 'https://', 'https://ada@example.com/', 'https://example.com\\@evil.example/', 'https://example.com:x/', ' https://example.com/', 'https://exa\nmple.com/', '//example.com/', ''];
    expect(await python(stand.env, 'origins', 'https://EXAMPLE.com/a', 'https://example.com:443', 'http://127.0.0.1:80/x', 'http://[::1]:8080/', 'https://example.com:8443/?https://other.example', ...none)).toEqual([
      'https://example.com:443', 'https://example.com:443', 'http://127.0.0.1:80', 'http://::1:8080', 'https://example.com:8443', ...none.map(() => null),
    ]);
  });
});

describe('at the real daemon', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  beforeAll(async () => {
    home = makeHome();
    issuer = await startIssuer();
    const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]);
    const added = await home.valetkey(['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'email', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback', ...browser]);
    expect(added.exit, added.stderr).toBe(0);
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  it.each(CLIENTS.map((client) => [client.name, client] as const))('%s asks for a sign-in, and then has the token that the CLI has', async (_, client) => {
    expect((await home.valetkey(['logout', 'work'])).exit).toBe(0);
    expectError(await client.ask({ profile: 'work' }, home.env), { code: 'login_required' });
    const signedIn = await home.atTerminal(['login', 'work']);
    expect(signedIn.exit, signedIn.stdout).toBe(0);
    const { stdout } = await home.valetkey(['token', 'work']);
    expect(await client.ask({ profile: 'work' }, home.env)).toEqual({ token: stdout.trim() });
    expect(await client.ask({ profile: 'work', scopes: ['email'] }, home.env)).toMatchObject({ token: expect.any(String) });
    expectError(await client.ask({ profile: 'work', scopes: ['admin'] }, home.env), { code: 'scope_not_granted' });
    expectError(await client.ask({ profile: 'nobody' }, home.env), { code: 'unknown_profile' });
  });

  it('the module in Python serves threads and children, and shows no token that was not asked for', async () => {
    expect(await python(home.env, 'many')).toEqual([20, 1]);
    const { stdout } = await home.valetkey(['token', 'work']);
    const shown = await python(home.env, 'words');
    expect(shown).toHaveLength(3);
    for (const each of shown) expect(each).toMatch(/^Token\(profile='work', token_type='Bearer'/);
    expect(JSON.stringify(shown)).not.toContain(stdout.trim());
  });

  it.each(['urllib', 'requests'])('[MC-03] Auth of Python adds the token to requests of %s to the resource, and takes it to no other host', async (library) => {
    const { exit } = await runWith('python3', ['-c', `import ${library}`], home.env);
    if (exit !== 0) return void console.warn(`not run: python3 has no ${library} (Debian package python3-${library})`);
    const { port, close } = await resource();
    try {
      const { stdout } = await home.valetkey(['token', 'work']);
      const here = `http://127.0.0.1:${port}`;
      expect(await python(home.env, library, here, `${here}/`, `http://localhost:${port}/`, `${here}/away`)).toEqual([`Bearer ${stdout.trim()}`, null, null]);
    } finally {
      await close();
    }
  });
});
