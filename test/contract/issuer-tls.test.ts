/**
 * How an issuer is reached: whose certificates count, through which proxy, and that the environment has no say
 * in either. What variables do to a process is tried on a process of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { Server as HttpServer } from 'node:http';
import { createServer as createProxy } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../daemon/core/secret.ts';
import { someServer } from '../support/builders.ts';
import { atOnce, makeIssuer, profileAt } from '../support/issuer-under-test.ts';
import { listening } from '../support/listening.ts';
import { CERTIFICATE, PRIVATE_KEY } from '../support/loopback-tls.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function portOf(server: HttpServer): Promise<number> {
  const { port, close } = await listening(server);
  closing.push(close);
  return port;
}

type TlsIssuer = { readonly url: string; readonly hits: string[] };

/** Speaks TLS by a certificate that nobody knows; has metadata and gives a token to anybody. */
async function startTlsIssuer(): Promise<TlsIssuer> {
  const hits: string[] = [];
  let url = '';
  const port = await portOf(createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (req, res) => {
    hits.push(`${req.method} ${req.url}`);
    const metadata = { issuer: url, authorization_endpoint: `${url}/auth`, token_endpoint: `${url}/token`, code_challenge_methods_supported: ['S256'] };
    const body = req.url === '/token' ? { access_token: 'at-EXAMPLE', token_type: 'Bearer', expires_in: 60 } : metadata;
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }));
  url = `https://127.0.0.1:${port}`;
  return { url, hits };
}

/**
 * An HTTP proxy by CONNECT; answers `status` instead where that is not 200.
 * @param misleadTo - a port of this machine to which every connection is led
 */
async function startProxy(status = 200, misleadTo: string | null = null): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const proxy = createProxy((_req, res) => res.writeHead(405).end());
  proxy.on('connect', (req, socket) => {
    asked.push(`${req.url} ${req.headers['proxy-authorization'] ?? ''}`.trim());
    socket.on('error', () => socket.destroy());
    if (status !== 200) {
      socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const [host = '', port = ''] = (req.url ?? '').split(':');
    const onward = connect(Number(misleadTo ?? port), misleadTo === null ? host : '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    // A pipe passes an end on, but no close.
    socket.on('close', () => onward.destroy());
    closing.unshift(async () => socket.destroy());
  });
  return { url: `http://127.0.0.1:${await portOf(proxy)}`, asked };
}

function under(): ReturnType<typeof makeIssuer>['issuer'] {
  const { issuer } = makeIssuer();
  closing.push(() => issuer.close());
  return issuer;
}

const refreshAt = (issuer: ReturnType<typeof under>, at: TlsIssuer, connection: { readonly caPem: string | null; readonly proxy: string | null }) => {
  const profile = profileAt(at.url, { allowLoopbackHttp: false, ...connection });
  const server = someServer({ issuer: at.url, tokenEndpoint: `${at.url}/token`, isOpenIdProvider: false, jwksUri: null });
  const client = { server, clientId: 'valetkey', clientAuth: 'none' as const, clientSecret: null, connection: profile };
  return issuer.refresh(client, profile, new Secret('rt-EXAMPLE'), { scopes: [], resource: null }, null, atOnce);
};

describe('TLS', () => {
  it('refuses a certificate that nobody vouches for, and takes it with the CA file', async () => {
    const at = await startTlsIssuer();
    const issuer = under();
    const profile = profileAt(at.url, { allowLoopbackHttp: false });
    expect(await issuer.discover(profile)).toMatchObject({ kind: 'transient', answerLost: false, cause: 'tls' });
    expect(at.hits).toEqual([]);
    expect(await issuer.discover({ ...profile, caPem: CERTIFICATE })).toMatchObject({ kind: 'server', server: { issuer: at.url } });
  });

  it('takes no certificate for another host', async () => {
    const at = await startTlsIssuer();
    const proxy = await startProxy(200, new URL(at.url).port);
    const elsewhere = { ...at, url: 'https://issuer.example' };
    expect(await refreshAt(under(), elsewhere, { caPem: CERTIFICATE, proxy: proxy.url })).toMatchObject({ kind: 'transient', answerLost: false, cause: 'tls' });
    expect(proxy.asked).toEqual(['issuer.example:443']);
    expect(at.hits).toEqual([]);
  });

  it('reports a broken handshake as not sent', async () => {
    const port = await portOf(createProxy());
    const at = { url: `https://127.0.0.1:${port}`, hits: [] };
    expect(await refreshAt(under(), at, { caPem: null, proxy: null })).toMatchObject({ kind: 'transient', answerLost: false });
  });
});

describe('a proxy of the profile', () => {
  it('is passed by CONNECT, and sees no token', async () => {
    const at = await startTlsIssuer();
    const proxy = await startProxy();
    expect(await refreshAt(under(), at, { caPem: CERTIFICATE, proxy: proxy.url })).toMatchObject({ kind: 'tokens' });
    expect(proxy.asked).toEqual([new URL(at.url).host]);
    expect(at.hits).toEqual(['POST /token']);
  });

  it('does not weaken the check of the certificate', async () => {
    const at = await startTlsIssuer();
    const proxy = await startProxy();
    expect(await refreshAt(under(), at, { caPem: null, proxy: proxy.url })).toMatchObject({ kind: 'transient', answerLost: false, cause: 'tls' });
    expect(at.hits).toEqual([]);
  });

  it.each([403, 407, 502])('that answers %s has sent nothing', async (status) => {
    const at = await startTlsIssuer();
    const proxy = await startProxy(status);
    expect(await refreshAt(under(), at, { caPem: CERTIFICATE, proxy: proxy.url })).toMatchObject({ kind: 'transient', answerLost: false, cause: 'proxy' });
    expect(at.hits).toEqual([]);
  });

  it('that is not there has sent nothing', async () => {
    const at = await startTlsIssuer();
    const proxy = await startProxy();
    await closing.pop()?.();
    expect(await refreshAt(under(), at, { caPem: CERTIFICATE, proxy: proxy.url })).toMatchObject({ kind: 'transient', answerLost: false, cause: 'refused' });
  });

  it('must be one that can be used', async () => {
    const at = await startTlsIssuer();
    await expect(refreshAt(under(), at, { caPem: null, proxy: 'socks5://127.0.0.1:1' })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('the environment', () => {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-issuer-'));
  beforeAll(() => compile(dir));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('[MD-02] weakens nothing: no unverified certificate, no CA and no proxy but the profile\'s', async () => {
    const at = await startTlsIssuer();
    const proxy = await startProxy();
    const ca = join(dir, 'ca.pem');
    writeFileSync(ca, CERTIFICATE);
    const env = {
      NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: ca, NODE_OPTIONS: '--use-openssl-ca',
      HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, https_proxy: proxy.url, ALL_PROXY: proxy.url, NODE_USE_ENV_PROXY: '1',
    };
    const [plain, profiled] = await run(dir, at.url, env);
    expect(plain).toMatchObject({ kind: 'transient', answerLost: false, cause: 'tls' });
    expect(profiled).toMatchObject({ kind: 'server' });
    expect(at.hits).toEqual(['GET /.well-known/openid-configuration']);
    expect(proxy.asked).toEqual([]);
    // The same variables do open this door to Node's own client: they are set as they should be.
    expect(await run(dir, at.url, env, 'unguarded')).toEqual([200]);
  });
});

describe('an adapter that was not used yet', () => {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-issuer-'));
  beforeAll(() => compile(dir));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('has loaded neither the network nor what speaks OAuth over it', async () => {
    const at = await startTlsIssuer();
    const [idle, used] = await run(dir, at.url, {}, 'loading');
    expect(idle).toEqual([]);
    // They are named as they should be: the first call loads them.
    expect(used).toEqual(expect.arrayContaining(['tls', 'zlib', 'oauth4webapi']));
  });
});

describe('an adapter whose first call comes while no file can be opened', () => {
  const dir = mkdtempSync(join(tmpdir(), 'valetkey-issuer-'));
  beforeAll(() => compile(dir));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('has sent nothing, and works when files can be opened again', async () => {
    const at = await startTlsIssuer();
    const [short, enough] = await run(dir, at.url, {}, 'exhausted');
    expect(short).toEqual({ kind: 'transient', answerLost: false, retryAfterMs: null, cause: 'network', reach: 'network', timedOut: false });
    expect(enough).toMatchObject({ kind: 'server' });
  });
});

/** The compiled adapter, to be run without vitest. */
function compile(dir: string): void {
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  mkdirSync(join(dir, 'out'));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: { composite: false, declaration: false, noCheck: true, types: [], rootDir: ROOT, outDir: join(dir, 'out') },
    include: [join(ROOT, 'daemon/issuer/*.ts')],
  }));
  const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], { encoding: 'utf8' });
  if (!existsSync(join(dir, 'out/daemon/issuer/issuer.js'))) throw new Error(`daemon/issuer was not compiled: ${compiled.stdout}${compiled.stderr}`);
  writeFileSync(join(dir, 'child.js'), `
    import { createIssuer } from './out/daemon/issuer/issuer.js';
    const [url, ca, how] = process.argv.slice(2);
    const print = (...results) => process.stdout.write(JSON.stringify(results));
    // What openid-client leaves in the process: the globals of fetch, which node loads as they are touched.
    const heavy = () => [
      ...['tls', 'zlib'].filter((name) => process.moduleLoadList.includes('NativeModule ' + name)),
      ...(process.moduleLoadList.includes('NativeModule internal/deps/undici/undici') ? ['oauth4webapi'] : []),
    ];
    if (how === 'unguarded') (await import('node:https')).get(url, (answer) => { answer.resume(); print(answer.statusCode); });
    else {
      const quiet = () => {};
      const clock = { now: Date.now, boottimeMs: () => performance.now() };
      const issuer = createIssuer({ clock, random: {}, log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
      const profile = { issuer: url, clientId: 'x', caPem: null, proxy: null, allowLoopbackHttp: false, traits: { metadata: 'oidc', pkce: 'listed' } };
      const taken = [];
      if (how === 'exhausted') {
        const fs = await import('node:fs');
        try {
          for (;;) taken.push(fs.openSync('/dev/null'));
        } catch {
          // As was wanted.
        }
        const outcome = await issuer.discover({ ...profile, caPem: ca });
        for (const descriptor of taken) fs.closeSync(descriptor);
        print(outcome, await issuer.discover({ ...profile, caPem: ca }));
        process.exit(0);
      }
      const idle = heavy();
      const outcomes = [await issuer.discover(profile), await issuer.discover({ ...profile, caPem: ca })];
      print(...(how === 'loading' ? [idle, heavy()] : outcomes));
      await issuer.close();
    }
  `);
}

async function run(dir: string, url: string, env: Readonly<Record<string, string>>, how = 'guarded'): Promise<readonly unknown[]> {
  // Few descriptors, so that all of them can be taken.
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 512; exec "$@"', 'sh', process.execPath, join(dir, 'child.js'), url, CERTIFICATE, how], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => { stdout += String(data); });
  child.stderr.on('data', (data) => { stderr += String(data); });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the child ended with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout) as readonly unknown[];
}
