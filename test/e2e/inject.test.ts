/** `valetkey run --inject`: real programs, an API over TLS, and another process of the same user that has the key. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/loopback-tls.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let files: string;
let api: Server;
let requests: IncomingMessage[] = [];
let answer: (req: IncomingMessage, res: ServerResponse, body: string) => void;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  files = mkdtempSync(join(tmpdir(), 'valetkey-inject-'));
  writeFileSync(join(files, 'ca.pem'), CERTIFICATE);
  issuer = await startIssuer({ lifetimes: { accessTokenS: 600 } });
  api = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (req, res) => {
    requests.push(req);
    let body = '';
    req.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => answer(req, res, body));
  });
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  const config = join(home.env['XDG_CONFIG_HOME'] ?? '', 'valetkey', 'config.toml');
  for (const name of ['llm', 'nobody']) {
    const added = await home.valetkey([
      'profile', 'add', name, '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
      ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]),
    ]);
    expect(added.exit, added.stderr).toBe(0);
  }
  const origin = `https://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const terms = `ca_file = "${join(files, 'ca.pem')}"\nfetch_origins = ["${origin}"]\nfetch_methods = ["GET", "POST"]\nfetch_headers = ["x-api-version"]\n`;
  writeFileSync(config, readFileSync(config, 'utf8').replace('[profiles.llm]\n', `[profiles.llm]\n${terms}`).replace('[profiles.nobody]\n', `[profiles.nobody]\n${terms}`), { mode: 0o600 });
  expect((await home.valetkey(['daemon', 'reload'])).exit).toBe(0);
  const { exit, stdout } = await home.atTerminal(['login', 'llm']);
  expect(exit, stdout).toBe(0);
});
afterAll(async () => {
  api.close();
  api.closeAllConnections();
  await home.leave();
  await issuer.close();
  rmSync(files, { recursive: true, force: true });
});
beforeEach(() => {
  requests = [];
  answer = (req, res, body) => void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ path: req.url, method: req.method, body }));
});

const minted = (): readonly string[] => issuer.minted.filter(({ kind }) => kind === 'access_token').map(({ value }) => value);
const sh = (script: string, flags: readonly string[] = []) => home.valetkey(['run', '--inject', 'BASE=llm', ...flags, '--', 'sh', '-c', script]);
const CURL = 'curl -sS --max-time 10';

describe('valetkey run --inject', () => {
  it('[TK-01] gives a program a base URL and a key; the API gets the token, and the program never', async () => {
    const got = await sh(`${CURL} -H "Authorization: Bearer $MY_KEY" -d '{"q":1}' -H 'content-type: application/json' "$BASE/v1/chat?x=1"; echo; env; cat /proc/$PPID/environ | tr '\\0' '\\n'`, ['--inject-key', 'MY_KEY']);
    expect(got).toMatchObject({ exit: 0, stderr: '' });
    expect(JSON.parse(got.stdout.split('\n')[0] ?? '')).toEqual({ path: '/v1/chat?x=1', method: 'POST', body: '{"q":1}' });
    expect(minted()).toContain((requests[0]?.headers.authorization ?? '').slice('Bearer '.length));
    expect(got.stdout).toMatch(/^BASE=http:\/\/127\.0\.0\.1:\d+$/m);
    expect(got.stdout).not.toContain('VALETKEY_TOKEN=');
    for (const token of minted()) expect(got.stdout + got.stderr).not.toContain(token);
  });

  it.each([['x-api-key'], ['api-key'], ['x-goog-api-key']])('takes the key as %s, and sends it to nobody', async (header) => {
    const got = await sh(`${CURL} -H "${header}: $VALETKEY_INJECT_KEY" -w '%{http_code}' -o /dev/null "$BASE/me"`);
    expect(got).toMatchObject({ exit: 0, stdout: '200' });
    expect(requests[0]?.headers).not.toHaveProperty(header);
  });

  it('serves what the program starts, to any depth, on one connection many times', async () => {
    const script = 'const ask = async (n) => (await (await fetch(process.env.BASE + "/" + n, { headers: { authorization: "Bearer " + process.env.VALETKEY_INJECT_KEY } })).json()).path; for (let n = 0; n < 20; n += 1) console.log(await ask(n));';
    const got = await sh(`sh -c 'exec "$0" --input-type=module -e "$1"' ${process.execPath} '${script}'`);
    expect(got).toMatchObject({ exit: 0, stdout: Array.from({ length: 20 }, (_, n) => `/${n}\n`).join('') });
  });

  it('refuses another process of the same user that has the key', async () => {
    const child = spawn(process.execPath, [CLI, 'run', '--inject', 'BASE=llm', '--', 'sh', '-c', 'echo "$BASE $VALETKEY_INJECT_KEY"; read line'], { env: home.env, stdio: ['pipe', 'pipe', 'pipe'] });
    const said = new Promise<string>((resolve) => { let all = ''; child.stderr.on('data', (chunk: Buffer) => { all += String(chunk); }).on('close', () => resolve(all)); });
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const [base = '', key = ''] = String(chunk).trim().split(' ');
    const theirs = await fetch(`${base}/me`, { headers: { authorization: `Bearer ${key}` } });
    expect({ status: theirs.status, problem: await theirs.json() }).toMatchObject({ status: 403, problem: { code: 'inject_refused', reason: 'process' } });
    expect(requests).toEqual([]);
    child.stdin.end('\n');
    expect(await said).toContain('inject_refused');
    // With the program its listener is gone.
    await expect(fetch(`${base}/me`)).rejects.toThrow('fetch failed');
  });

  it('refuses who has lost its parents, a wrong key, none, and another Host', async () => {
    const got = await sh([
      `ask() { ${CURL} -w '%{http_code}\\n' -o "$1" "$BASE/me" -H "$2" -H "$3"; }`,
      `ask ${files}/a "Authorization: Bearer wrong" "x-a: b"`,
      `ask ${files}/b "x-a: b" "x-c: d"`,
      `ask ${files}/c "x-api-key: $VALETKEY_INJECT_KEY" "Host: attacker.example"`,
      `(setsid sh -c 'sleep 0.5; ${CURL} -o ${files}/d -H "x-api-key: $VALETKEY_INJECT_KEY" "$BASE/me"; echo > ${files}/done' > /dev/null 2>&1 &)`,
      `while [ ! -e ${files}/done ]; do sleep 0.1; done`,
    ].join('\n'));
    expect(got).toMatchObject({ exit: 0, stdout: '403\n403\n403\n' });
    const reasons = ['a', 'b', 'c', 'd'].map((name) => (JSON.parse(readFileSync(join(files, name), 'utf8')) as { readonly reason: string }).reason);
    expect(reasons).toEqual(['key', 'key', 'host', 'process']);
    expect(requests).toEqual([]);
  });

  it('is bound by the lists of the profile, and names a header that was left out, once', async () => {
    const got = await sh(`for n in 1 2; do ${CURL} -o /dev/null -H "x-api-key: $VALETKEY_INJECT_KEY" -H 'x-stainless-lang: js' -H 'x-api-version: 7' "$BASE/me"; done; ${CURL} -X DELETE -H "x-api-key: $VALETKEY_INJECT_KEY" "$BASE/me"`);
    expect(requests.map(({ headers }) => [headers['x-api-version'], headers['x-stainless-lang']])).toEqual([['7', undefined], ['7', undefined]]);
    expect(got.stderr.match(/x-stainless-lang/g)).toHaveLength(1);
    expect(JSON.parse(got.stdout)).toMatchObject({ code: 'fetch_refused', reason: 'method' });
  });

  it('cuts an answer that holds the token, and refuses a body that is too large', async () => {
    answer = (req, res) => void res.end(`you sent ${req.headers.authorization}`);
    const got = await sh(`${CURL} -H "x-api-key: $VALETKEY_INJECT_KEY" "$BASE/echo"; echo " curl: $?"; head -c 50000 /dev/zero | ${CURL} -o /dev/null -w '%{http_code}' -H "x-api-key: $VALETKEY_INJECT_KEY" --data-binary @- "$BASE/large"`);
    expect(got.stdout).toMatch(/curl: (?:18|52|56)\n413$/);
    for (const token of minted()) expect(got.stdout + got.stderr).not.toContain(token);
  });

  it('passes a stream of events on as it comes', async () => {
    const sent: ServerResponse[] = [];
    answer = (_req, res) => {
      sent.push(res);
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first event\n\n');
    };
    const child = spawn(process.execPath, [CLI, 'run', '--inject', 'BASE=llm', '--', 'sh', '-c', `${CURL} -N -H "x-api-key: $VALETKEY_INJECT_KEY" "$BASE/events"`], { env: home.env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    for await (const chunk of child.stdout) {
      text += String(chunk);
      // The second comes only when the first has arrived, as far as it cannot be the beginning of a token.
      if (text.startsWith('data: first') && !text.includes('last')) sent[0]?.end('data: last event\n\n');
    }
    expect(text).toBe('data: first event\n\ndata: last event\n\n');
  });

  it('serves a socket in a directory of its own, which goes with the program', async () => {
    const got = await home.valetkey(['run', '--inject-socket', 'SOCKET=llm', '--', 'sh', '-c', `echo "$SOCKET"; stat -c %a "$(dirname "$SOCKET")"; ${CURL} --unix-socket "$SOCKET" -H "x-api-key: $VALETKEY_INJECT_KEY" http://api/v1/me; echo; ${CURL} --unix-socket "$SOCKET" http://api/v1/me`]);
    const [path = '', mode, mine = '', theirs = ''] = got.stdout.split('\n');
    expect({ exit: got.exit, mode, mine: JSON.parse(mine), theirs: JSON.parse(theirs) }).toMatchObject({ exit: 0, mode: '700', mine: { path: '/v1/me' }, theirs: { code: 'inject_refused', reason: 'key' } });
    expect(existsSync(dirname(path))).toBe(false);
  });

  it('runs nothing where nobody is signed in, and where the flags contradict each other', async () => {
    const ran = (flags: readonly string[]) => home.valetkey(['run', ...flags, '--', 'sh', '-c', 'echo ran']);
    expect(await ran(['--inject', 'BASE=nobody'])).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringContaining('valetkey login nobody') });
    expect(await ran(['--inject', 'BASE=none'])).toMatchObject({ stdout: '', stderr: expect.stringContaining('unknown_profile') });
    for (const flags of [['--inject', 'BASE'], ['--inject', 'PATH=llm'], ['--inject-key', 'A'], ['--inject', 'A=llm', '--inject-key', 'A'], ['--inject', 'A=llm', '--inject-socket', 'A=llm'], ['--inject', 'A=llm', '--env', 'A=llm']]) {
      expect(await ran(flags), flags.join(' ')).toMatchObject({ exit: 2, stdout: '' });
    }
  });

  it('is on record as the program that it is for, without a token that was given out', async () => {
    await sh(`${CURL} -o /dev/null -H "x-api-key: $VALETKEY_INJECT_KEY" "$BASE/me"`);
    const { stdout } = await home.valetkey(['audit', 'search', '--event', 'fetch_started', '--json']);
    expect(stdout).toMatch(/"run": "sh"/);
    expect((await home.valetkey(['audit', 'search', '--event', 'token_released', '--json'])).stdout).not.toMatch(/"event": "token_released"/);
  });
});
