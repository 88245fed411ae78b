/** `valetkey fetch` and the real daemon, at an API over TLS with an authority of the profile's own. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/loopback-tls.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let files: string;
let server: Server;
let url: string;
let answer: (req: IncomingMessage, res: ServerResponse, body: string) => void;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  files = mkdtempSync(join(tmpdir(), 'valetkey-fetch-'));
  writeFileSync(join(files, 'ca.pem'), CERTIFICATE);
  issuer = await startIssuer({ lifetimes: { accessTokenS: 600 } });
  server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => answer(req, res, body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = join(home.env['XDG_CONFIG_HOME'] ?? '', 'valetkey');
  const added = await home.valetkey([
    'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
    ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]),
  ]);
  expect(added.exit, added.stderr).toBe(0);
  const { readFileSync } = await import('node:fs');
  const text = readFileSync(join(config, 'config.toml'), 'utf8');
  writeFileSync(join(config, 'config.toml'), text.replace('[profiles.work]\n', `[profiles.work]\nca_file = "${join(files, 'ca.pem')}"\nfetch_origins = ["${url}"]\nfetch_methods = ["GET", "POST"]\n`), { mode: 0o600 });
  expect((await home.valetkey(['daemon', 'reload'])).exit).toBe(0);
  const { exit, stdout } = await home.atTerminal(['login', 'work']);
  expect(exit, stdout).toBe(0);
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await home.leave();
  await issuer.close();
  rmSync(files, { recursive: true, force: true });
});

const seen = (): readonly string[] => issuer.minted.filter(({ kind }) => kind === 'access_token').map(({ value }) => value);

describe('valetkey fetch', () => {
  it('prints what the API says, with no profile named where one has this origin', async () => {
    answer = (req, res) => void res.end(seen().includes((req.headers.authorization ?? '').slice('Bearer '.length)) ? 'known' : 'unknown');
    expect(await home.valetkey(['fetch', `${url}/me`])).toMatchObject({ exit: 0, stdout: 'known', stderr: '' });
  });

  it('sends a body and headers, and shows those of the answer', async () => {
    answer = (req, res, body) => void res.writeHead(201, { 'content-type': 'text/plain', 'set-cookie': 'a=b' }).end(`${req.method} ${req.headers['content-type']} ${body}`);
    const got = await home.valetkey(['fetch', '-i', '-H', 'Content-Type: text/csv', '-d', '-', `${url}/jobs`], { stdin: 'a,b' });
    expect(got).toMatchObject({ exit: 0, stderr: '' });
    expect(got.stdout).toMatch(/^HTTP\/1\.1 201 Created\r\n[^]*content-type: text\/plain\r\n[^]*\r\n\r\nPOST text\/csv a,b$/);
    expect(got.stdout).not.toMatch(/cookie|valetkey-/i);
  });

  it('passes a large answer on to the byte', async () => {
    const block = Buffer.alloc(1_000_000, 'é');
    answer = (_req, res) => {
      for (let i = 0; i < 8; i += 1) res.write(block);
      res.end('end');
    };
    const got = await home.valetkey(['fetch', `${url}/large`]);
    expect(got.exit).toBe(0);
    expect(Buffer.byteLength(got.stdout)).toBe(8_000_003);
  });

  it('shows nothing of a token that is echoed, and says that the answer is not whole', async () => {
    answer = (req, res) => void res.end(`you sent ${req.headers.authorization}`);
    const got = await home.valetkey(['fetch', `${url}/echo`]);
    expect(got).toMatchObject({ exit: 7, stderr: expect.stringContaining('resource_answer_refused') });
    for (const token of seen()) expect(got.stdout + got.stderr).not.toContain(token);
    expect((await home.valetkey(['audit', 'search', '--event', 'fetch_ended'])).stdout).toContain('token');
  });

  it('counts as a use of the sign-in, which nobody may take for one that is not used', async () => {
    const { inventory } = JSON.parse((await home.valetkey(['inventory', '--json'])).stdout) as { readonly inventory: readonly { readonly profile: string; readonly last_used_at: number | null }[] };
    expect(inventory).toMatchObject([{ profile: 'work', last_used_at: expect.any(Number) }]);
    expect((await home.valetkey(['policy', 'learn'])).stdout).toContain('work');
  });

  it('returns a redirect, and says where it leads', async () => {
    answer = (_req, res) => void res.writeHead(302, { location: 'https://elsewhere.example/' }).end();
    expect(await home.valetkey(['fetch', `${url}/`])).toMatchObject({ exit: 0, stderr: expect.stringContaining('elsewhere.example') });
  });

  it('tells by its status what the API refused, what the daemon refused, and what could not be reached', async () => {
    answer = (_req, res) => void res.writeHead(404).end('no such job');
    expect(await home.valetkey(['fetch', `${url}/`])).toMatchObject({ exit: 7, stdout: 'no such job', stderr: expect.stringContaining('404 Not Found') });
    expect(await home.valetkey(['fetch', '--profile', 'work', 'https://example.com/'])).toMatchObject({ exit: 5, stdout: '', stderr: expect.stringContaining('fetch_origins') });
    expect(await home.valetkey(['fetch', '-X', 'DELETE', `${url}/`])).toMatchObject({ exit: 5, stderr: expect.stringContaining('fetch_methods') });
    expect(await home.valetkey(['fetch', '-H', 'Authorization: Bearer x', `${url}/`])).toMatchObject({ exit: 5, stderr: expect.stringContaining('sets Authorization itself') });
    expect(await home.valetkey(['--json', 'fetch', `${url}/`])).toMatchObject({ exit: 2 });
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    expect(await home.valetkey(['fetch', `${url}/`])).toMatchObject({ exit: 6, stdout: '', stderr: expect.stringContaining('refused') });
  });
});
