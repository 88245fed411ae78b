/**
 * The table of transient and permanent: what a server does to a refresh -> what the engine is told, at real TCP and
 * TLS servers. A row that says nothing of `sent` costs a sign-in or a token: so each says whether the answer may
 * be lost, and each is seen to leave no connection open.
 */
import type { Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { ExpectStatic } from 'vitest';
import type { IssuerOutcome, Rejected, Transient } from '../../daemon/core/ports.ts';
import { BrokerError } from '../../daemon/core/errors.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { judge } from '../../daemon/tokens/refresh-verdict.ts';
import { boundMs } from '../support/bound.ts';
import { someGrant, someServer } from '../support/builders.ts';
import { atOnce, makeIssuer, profileAt } from '../support/issuer-under-test.ts';
import { CERTIFICATE, ELSEWHERE, EXPIRED } from '../support/loopback-tls.ts';
import { httpAnswer, startWireServer, tunnelTo } from '../support/wire-server.ts';
import type { Serve, WireServer } from '../support/wire-server.ts';

const TIMEOUT_MS = 1_000;
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

type Expected = Partial<Transient> | Partial<Rejected> | { readonly kind: 'tokens'; readonly next: string | null };
type Asked = { readonly tokenEndpoint: string; readonly caPem: string | null; readonly proxy: string | null };

async function refreshAt({ tokenEndpoint, caPem, proxy }: Asked, refreshToken = 'rt-1-of-some-length-EXAMPLE', { patienceMs = TIMEOUT_MS, onConnected = atOnce }: { readonly patienceMs?: number; readonly onConnected?: () => Promise<void> } = {}): Promise<IssuerOutcome> {
  const { issuer } = makeIssuer({ timeoutMs: TIMEOUT_MS, patienceMs });
  closing.unshift(() => issuer.close());
  const profile = profileAt('https://issuer.example', { caPem, proxy });
  const server = someServer({ tokenEndpoint, jwksUri: null, isOpenIdProvider: false });
  const client = { server, clientId: 'valetkey', clientAuth: 'none' as const, clientSecret: null, connection: profile };
  return issuer.refresh(client, profile, new Secret(refreshToken), { scopes: [], resource: null }, null, onConnected);
}

async function started(server: Promise<WireServer>): Promise<WireServer> {
  const made = await server;
  closing.push(() => made.close());
  return made;
}

/** As the row says; a `next` is the refresh token that came. */
function expectOutcome(outcome: IssuerOutcome, expected: Expected): void {
  if (expected.kind !== 'tokens') expect(outcome).toMatchObject(expected);
  else expect([outcome.kind, outcome.kind === 'tokens' ? outcome.tokens.refreshToken?.reveal() ?? null : outcome]).toEqual(['tokens', 'next' in expected ? expected.next : null]);
}

/** The connection broke, or nothing of HTTP came. */
const broken = (cause: string, answerLost: boolean): Expected => ({ kind: 'transient', cause, answerLost, reach: 'network', retryAfterMs: null, timedOut: cause === 'timeout' });
/** A server answered, and its answer decides nothing. */
const unwell = (cause: string, retryAfterMs: unknown = null, over: Partial<Transient> = {}): Expected =>
  ({ kind: 'transient', cause, answerLost: false, reach: 'server', retryAfterMs: retryAfterMs as number | null, timedOut: false, ...over });
const lost = (cause: string): Expected => unwell(cause, null, { answerLost: true });
const noVerdict: Expected = { kind: 'rejected', code: 'issuer_response_invalid', oauthError: null };

const JSON_TYPE = { 'content-type': 'application/json' };
const tokens = (members: object = {}): string => JSON.stringify({ access_token: 'at-2-EXAMPLE', token_type: 'Bearer', expires_in: 600, ...members });
const json = (status: number, body: object | string): Buffer => httpAnswer(status, typeof body === 'string' ? body : JSON.stringify(body), JSON_TYPE);
const packed = (coding: string, body: Buffer): Buffer => httpAnswer(200, body, { ...JSON_TYPE, 'content-encoding': coding });
const say = (answer: Buffer | string): Serve => (socket) => socket.end(answer);
const NEXT = tokens({ refresh_token: 'rt-2-EXAMPLE' });
const zeros = Buffer.alloc(8 * 1024 * 1024, '0');

/** Writes a piece again and again, until the other end has had enough. */
const flood = (begin: string, piece: string): Serve => (socket) => {
  socket.write(begin);
  const pour = (): void => {
    while (!socket.destroyed && socket.write(piece.repeat(100)));
  };
  socket.on('drain', pour);
  pour();
};
const drip = (whole: Buffer, everyMs: number): Serve => (socket) => {
  let at = 0;
  const timer = setInterval(() => socket.write(whole.subarray(at, at += 1)), everyMs);
  socket.on('close', () => clearInterval(timer));
};

async function answered(serve: Serve, expected: Expected, expect: ExpectStatic): Promise<void> {
  const server = await started(startWireServer({ serve }));
  expectOutcome(await refreshAt({ tokenEndpoint: `http://127.0.0.1:${server.port}/token`, caPem: null, proxy: null }), expected);
  expect([server.requests.length, server.connections]).toEqual([1, 1]);
  await expect.poll(() => server.open).toBe(0);
}

async function notSentTo(starting: Promise<WireServer>, expected: Expected, expect: ExpectStatic): Promise<void> {
  const server = await started(starting);
  const caPem = [CERTIFICATE, EXPIRED, ELSEWHERE].join('');
  expectOutcome(await refreshAt({ tokenEndpoint: `https://127.0.0.1:${server.port}/token`, caPem, proxy: null }), expected);
  expect(server.requests).toEqual([]);
  await expect.poll(() => server.open).toBe(0);
}

async function notSentBy(serve: Serve, secure: boolean, expected: Expected, expect: ExpectStatic): Promise<void> {
  const proxy = await started(startWireServer({ serve, tls: secure ? { cert: CERTIFICATE } : null }));
  const url = `${secure ? 'https' : 'http'}://127.0.0.1:${proxy.port}`;
  expectOutcome(await refreshAt({ tokenEndpoint: 'https://issuer.example/token', caPem: CERTIFICATE, proxy: url }), expected);
  expect(proxy.requests.map((request) => request.split('\r\n')[0])).toEqual(['CONNECT issuer.example:443 HTTP/1.1']);
  expect(proxy.requests[0]).not.toContain('EXAMPLE');
  await expect.poll(() => proxy.open).toBe(0);
}

describe('a refresh, by what the server answers', () => {
  it.each<[string, Serve, Expected]>([
    // A success.
    ['a new refresh token', say(json(200, NEXT)), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['no refresh token', say(json(200, tokens())), { kind: 'tokens', next: null }],
    ['the same refresh token again', say(json(200, tokens({ refresh_token: 'rt-1-of-some-length-EXAMPLE' }))), { kind: 'tokens', next: 'rt-1-of-some-length-EXAMPLE' }],
    ['the answer twice', say(Buffer.concat([json(200, NEXT), json(200, tokens({ refresh_token: 'rt-3-EXAMPLE' }))])), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['gzip', say(packed('gzip', gzipSync(NEXT))), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['deflate', say(packed('deflate', deflateSync(NEXT))), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['deflate without its frame', say(packed('deflate', deflateRawSync(NEXT))), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['brotli', say(packed('br', brotliCompressSync(NEXT))), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['a body that ends with the connection', say(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${NEXT}`), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['chunks', say(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${NEXT.length.toString(16)}\r\n${NEXT}\r\n0\r\n\r\n`), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['a byte order mark before it', say(json(200, `\u{feff}${NEXT}`)), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['a few interim answers before it', say(Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3)), json(200, NEXT)])), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    // A success that cannot be read has spent the token all the same.
    ['a web page with 200 (captive portal)', say(httpAnswer(200, '<!doctype html>', { 'content-type': 'text/html' })), lost('unreadable_answer')],
    ['malformed JSON', say(json(200, '{"access_token": "at-2')), lost('unreadable_answer')],
    ['JSON cut short by a hang-up', say(httpAnswer(200, NEXT.slice(0, 40), { ...JSON_TYPE, 'content-length': String(NEXT.length) })), lost('reset')],
    ['a chunk cut short by a hang-up', say(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nff\r\n${NEXT.slice(0, 20)}`), lost('reset')],
    ['gzip that is none', say(packed('gzip', Buffer.from('no gzip'))), lost('unreadable')],
    ['brotli that is none', say(packed('br', Buffer.from('no brotli'))), lost('unreadable')],
    ['a coding that nobody asked for', say(packed('zstd', Buffer.from(NEXT))), { kind: 'tokens', next: 'rt-2-EXAMPLE' }],
    ['a gzip bomb', say(packed('gzip', gzipSync(zeros))), lost('unreadable_answer')],
    ['a brotli bomb', say(packed('br', brotliCompressSync(zeros))), lost('unreadable_answer')],
    ['a deflate bomb', say(packed('deflate', deflateSync(zeros))), lost('unreadable_answer')],
    ['a body without end', flood('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"', '0'.repeat(1_000)), lost('unreadable_answer')],
    ['nothing, with 204', say('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'), lost('unreadable_answer')],
    // The server says that it cannot now.
    ['408', say(httpAnswer(408)), unwell('http_408')],
    ['429 with seconds', say(httpAnswer(429, '', { 'retry-after': '7' })), unwell('http_429', 7_000)],
    ['429 with a date', (socket) => socket.end(httpAnswer(429, '', { 'retry-after': new Date(Date.now() + 60_000).toUTCString() })), unwell('http_429', expect.closeTo(60_000, -4))],
    ['429 with X-Retry-After', say(httpAnswer(429, '', { 'x-retry-after': '3' })), unwell('http_429', 3_000)],
    ['429 with a Retry-After that is none', say(httpAnswer(429, '', { 'retry-after': 'later' })), unwell('http_429')],
    ['429 with a verdict in it', say(json(429, { error: 'invalid_grant' })), unwell('http_429')],
    ['500', say(httpAnswer(500, 'oops')), unwell('http_500')],
    ['502', say(httpAnswer(502, '<html>', { 'content-type': 'text/html' })), unwell('http_502')],
    ['503 with seconds', say(httpAnswer(503, '', { 'retry-after': '120' })), unwell('http_503', 120_000)],
    ['504', say(httpAnswer(504)), unwell('http_504')],
    ['500 whose body never ends', flood('HTTP/1.1 500 Oops\r\n\r\n', 'x'.repeat(1_000)), unwell('http_500')],
    ['temporarily_unavailable', say(json(400, { error: 'temporarily_unavailable' })), unwell('temporarily_unavailable')],
    ['a refusal cut short by a hang-up', say(httpAnswer(400, '{"error":', { ...JSON_TYPE, 'content-length': '40' })), unwell('reset')],
    // No OAuth answer: whoever it is, it decides nothing.
    ['400 with nothing', say(httpAnswer(400)), noVerdict],
    ['400 with a web page', say(httpAnswer(400, '<!doctype html>', { 'content-type': 'text/html' })), noVerdict],
    ['302', say(httpAnswer(302, '', { location: 'https://portal.example/' })), noVerdict],
    ['404', say(httpAnswer(404)), noVerdict],
    // HTTP that cannot be followed: something was done with the request.
    ['no HTTP', say('SSH-2.0-OpenSSH_9.2\r\n'), broken('protocol', true)],
    ['a length that is no number', say('HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n'), broken('protocol', true)],
    ['a length and chunks', say(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`), broken('protocol', true)],
    ['headers without end', flood('HTTP/1.1 200 OK\r\n', `x-flood: ${'y'.repeat(200)}\r\n`), broken('protocol', true)],
    ['one header without end', flood('HTTP/1.1 200 OK\r\nx-flood: ', 'y'.repeat(1_000)), broken('protocol', true)],
    ['interim answers without end', flood('', 'HTTP/1.1 102 Processing\r\n\r\n'), broken('protocol', true)],
    ['an upgrade to another protocol', say('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n'), broken('protocol', true)],
    // The connection breaks after the request was sent.
    ['a reset', (socket) => socket.resetAndDestroy(), broken('reset', true)],
    ['a hang-up', (socket) => socket.end(), broken('reset', true)],
    ['a hang-up within the headers', say('HTTP/1.1 200 OK\r\ncontent-'), broken('reset', true)],
  ])('[TK-05] %s', (_does, serve, expected) => answered(serve, expected, expect));

  it('[TK-04] lets its intent be written when the connection stands and before a byte is sent, and not where there is no connection', async () => {
    const server = await started(startWireServer({ serve: say(json(200, NEXT)) }));
    const at = { tokenEndpoint: `http://127.0.0.1:${server.port}/token`, caPem: null, proxy: null };
    const seen: [number, number][] = [];
    const written = await refreshAt(at, undefined, { onConnected: async () => {
      await expect.poll(() => server.connections).toBe(1);
      seen.push([server.connections, server.requests.length]);
    } });
    expectOutcome(written, { kind: 'tokens', next: 'rt-2-EXAMPLE' });
    expect(seen).toEqual([[1, 0]]);
    // A disk that refuses: nothing is sent, and the connection is given back.
    await expect(refreshAt(at, undefined, { onConnected: () => Promise.reject(new BrokerError('vault_unwritable', 'the disk is full')) })).rejects.toMatchObject({ code: 'vault_unwritable' });
    await expect.poll(() => server.open).toBe(0);
    expect([server.connections, server.requests.length]).toEqual([2, 1]);
    await server.close();
    let called = false;
    const refused = await refreshAt(at, undefined, { onConnected: async () => { called = true; } });
    expectOutcome(refused, broken('refused', false));
    expect(called).toBe(false);
  });

  it('is judged by an answer that comes before the request was read to its end', async () => {
    const server = await started(startWireServer({
      onAccept: (socket: Socket) => socket.once('data', () => {
        socket.pause();
        socket.write(json(413, { error: 'invalid_request', error_description: 'too large' }));
      }),
    }));
    const outcome = await refreshAt({ tokenEndpoint: `http://127.0.0.1:${server.port}/token`, caPem: null, proxy: null }, `${'x'.repeat(8_000_000)}EXAMPLE`);
    expectOutcome(outcome, { kind: 'rejected', oauthError: 'invalid_request', description: 'too large' });
  });
});

describe('a refresh that is waited for in vain', () => {
  it.concurrent.for<[string, Serve, Expected]>([
    ['nothing', () => {}, broken('timeout', true)],
    ['headers, drop by drop', drip(json(200, NEXT), 50), broken('timeout', true)],
    ['a body, drop by drop', (socket, ...rest) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${NEXT.length}\r\n\r\n`);
      drip(Buffer.from(NEXT), 50)(socket, ...rest);
    }, unwell('timeout', null, { answerLost: true, timedOut: true })],
  ])('[TK-05] the server answers %s', ([_does, serve, expected], { expect }) => answered(serve, expected, expect));

  it.concurrent('is given far more time than any other request once it was sent, and not a moment more to reach the server', async () => {
    const slow = await started(startWireServer({ serve: (socket) => void setTimeout(() => socket.end(json(200, NEXT)), 3 * TIMEOUT_MS) }));
    const late = refreshAt({ tokenEndpoint: `http://127.0.0.1:${slow.port}/token`, caPem: null, proxy: null }, undefined, { patienceMs: 20 * TIMEOUT_MS });
    const deaf = await started(startWireServer({ onAccept: () => undefined }));
    const before = Date.now();
    expectOutcome(await refreshAt({ tokenEndpoint: `https://127.0.0.1:${deaf.port}/token`, caPem: null, proxy: null }, undefined, { patienceMs: 60_000 }), broken('timeout', false));
    expect(Date.now() - before).toBeLessThan(boundMs(20 * TIMEOUT_MS));
    expectOutcome(await late, { kind: 'tokens', next: 'rt-2-EXAMPLE' });
  });

  it.concurrent('[TK-05] the server never answers in TLS, and nothing was sent', ({ expect }) => notSentTo(startWireServer({ onAccept: () => undefined }), broken('timeout', false), expect));

  it.concurrent.for<[string, Serve]>([
    ['never answers', () => {}],
    ['opens a tunnel to nowhere', (socket) => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); socket.removeAllListeners('data'); }],
  ])('[TK-05] a proxy %s, by http and by https, and nothing was sent', async ([_does, serve], { expect }) => {
    await Promise.all([false, true].map((secure) => notSentBy(serve, secure, broken('timeout', false), expect)));
  });
});

describe('a refresh, by the verdict of the server', () => {
  it.each<[string, number, object, string | null]>([
    ['invalid_grant', 400, { error: 'invalid_grant', error_description: 'Token is not active' }, 'revoked_or_reused'],
    ['invalid_grant with 401', 401, { error: 'invalid_grant' }, 'revoked_or_reused'],
    ['invalid_grant with 403', 403, { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' }, 'revoked_or_reused'],
    ['an error with 200', 200, { error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' }, 'revoked_or_reused'],
    ['invalid_request where invalid_grant was meant', 400, { error: 'invalid_request', error_description: 'The refresh token is invalid.' }, 'revoked_or_reused'],
    ['unauthorized_client where invalid_grant was meant', 403, { error: 'unauthorized_client', error_description: 'refresh_token is invalid' }, 'revoked_or_reused'],
    ['the end of an organisation\'s session', 400, { error: 'invalid_grant', error_subtype: 'invalid_rapt' }, 'session_limit'],
    ['invalid_request of the request', 400, { error: 'invalid_request', error_description: 'Missing parameter: client_id' }, null],
    ['invalid_client', 401, { error: 'invalid_client' }, null],
    ['invalid_scope', 400, { error: 'invalid_scope' }, null],
    ['interaction_required', 400, { error: 'interaction_required' }, null],
  ])('[TK-06] %s with %i', async (_says, status, body, parks) => {
    const server = await started(startWireServer({ serve: say(json(status, body)) }));
    const outcome = await refreshAt({ tokenEndpoint: `http://127.0.0.1:${server.port}/token`, caPem: null, proxy: null });
    if (outcome.kind !== 'rejected') throw new Error(JSON.stringify(outcome));
    const verdict = judge(outcome, someGrant(), { scopes: null, resource: null });
    expect(verdict.kind === 'park' ? verdict.reason : null).toBe(parks);
  });
});

describe('a refresh that was surely not sent', () => {
  const tls = (cert: string) => startWireServer({ serve: say(json(200, NEXT)), tls: { cert } });
  const accepting = (onAccept: (socket: Socket) => void) => startWireServer({ onAccept });

  it.each<[string, () => Promise<WireServer>, Expected]>([
    ['reset before TLS', () => accepting((socket) => socket.resetAndDestroy()), broken('reset', false)],
    ['hung up on before TLS', () => accepting((socket) => socket.end()), broken('reset', false)],
    ['answered in plain HTTP', () => accepting((socket) => socket.end(json(200, NEXT))), broken('tls', false)],
    ['shown a certificate that has expired', () => tls(EXPIRED), broken('tls', false)],
    ['shown a certificate of another host', () => tls(ELSEWHERE), broken('tls', false)],
  ])('[TK-05] %s', (_does, start, expected) => notSentTo(start(), expected, expect));

  it('[TK-05] shown a certificate that nobody vouches for, which a CA file of the profile does', async () => {
    const server = await started(tls(CERTIFICATE));
    const tokenEndpoint = `https://127.0.0.1:${server.port}/token`;
    expectOutcome(await refreshAt({ tokenEndpoint, caPem: null, proxy: null }), broken('tls', false));
    expect(server.requests).toEqual([]);
    expectOutcome(await refreshAt({ tokenEndpoint, caPem: CERTIFICATE, proxy: null }), { kind: 'tokens', next: 'rt-2-EXAMPLE' });
  });

  it('[TK-05] refused, and to a name that there is not', async () => {
    const server = await startWireServer({});
    await server.close();
    expectOutcome(await refreshAt({ tokenEndpoint: `http://127.0.0.1:${server.port}/token`, caPem: null, proxy: null }), broken('refused', false));
    // A label of more than 63 letters is no name: the resolver says so without asking anybody.
    expectOutcome(await refreshAt({ tokenEndpoint: `https://${'x'.repeat(64)}.invalid/token`, caPem: null, proxy: null }), broken('dns', false));
  });

  it.each<[string, Serve, Expected]>([
    ['refuses', say(httpAnswer(403)), broken('proxy', false)],
    ['wants a password', say(httpAnswer(407, '', { 'proxy-authenticate': 'Basic realm="x"' })), broken('proxy', false)],
    ['cannot reach the issuer', say(httpAnswer(502)), broken('proxy', false)],
    ['redirects', say(httpAnswer(302, '', { location: 'http://portal.example/' })), broken('proxy', false)],
    ['hangs up', (socket) => socket.end(), broken('proxy', false)],
    ['resets', (_socket, _request, raw) => raw.resetAndDestroy(), broken('proxy', false)],
    ['speaks no HTTP', say('hello\r\n\r\n'), broken('proxy', false)],
    ['sends headers without end', flood('HTTP/1.1 200 OK\r\n', `x-flood: ${'y'.repeat(200)}\r\n`), broken('proxy', false)],
    ['speaks first in the tunnel', say('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'), broken('proxy', false)],
  ])('[TK-05] by a proxy that %s', async (_does, serve, expected) => {
    for (const secure of [false, true]) await notSentBy(serve, secure, expected, expect);
  });

  it('[TK-05] by a proxy that is dead, or whose certificate nobody vouches for', async () => {
    const dead = await startWireServer({});
    await dead.close();
    expectOutcome(await refreshAt({ tokenEndpoint: 'https://issuer.example/token', caPem: null, proxy: `http://127.0.0.1:${dead.port}` }), broken('refused', false));
    const proxy = await started(startWireServer({ tls: { cert: CERTIFICATE } }));
    expectOutcome(await refreshAt({ tokenEndpoint: 'https://issuer.example/token', caPem: null, proxy: `https://127.0.0.1:${proxy.port}` }), broken('proxy', false));
    expect(proxy.requests).toEqual([]);
  });

  it('passes a proxy by http and by https, to an issuer by http and by https', async () => {
    for (const cert of [null, CERTIFICATE]) {
      const issuer = await started(startWireServer({ serve: say(json(200, NEXT)), tls: cert === null ? null : { cert } }));
      const tokenEndpoint = `${cert === null ? 'http' : 'https'}://127.0.0.1:${issuer.port}/token`;
      for (const secure of [false, true]) {
        const proxy = await started(startWireServer({ serve: tunnelTo(issuer.port), tls: secure ? { cert: CERTIFICATE } : null }));
        const url = `${secure ? 'https' : 'http'}://127.0.0.1:${proxy.port}`;
        expectOutcome(await refreshAt({ tokenEndpoint, caPem: CERTIFICATE, proxy: url }), { kind: 'tokens', next: 'rt-2-EXAMPLE' });
        await expect.poll(() => [proxy.open, issuer.open]).toEqual([0, 0]);
      }
      expect(issuer.requests).toHaveLength(2);
    }
  });
});

describe('a refresh at a server of several addresses', () => {
  it('goes to the one that answers', async () => {
    const server = await started(startWireServer({ serve: say(json(200, NEXT)), tls: { cert: CERTIFICATE } }));
    expectOutcome(await refreshAt({ tokenEndpoint: `https://localhost:${server.port}/token`, caPem: CERTIFICATE, proxy: null }), { kind: 'tokens', next: 'rt-2-EXAMPLE' });
    expect(server.requests).toHaveLength(1);
    await expect.poll(() => server.open).toBe(0);
  });

  it('goes to an IPv6 address, through a proxy too, and checks that the certificate is for it', async (context) => {
    const server = await startWireServer({ serve: say(json(200, NEXT)), tls: { cert: CERTIFICATE }, host: '::1' }).catch(() => context.skip('this machine has no ::1'));
    closing.push(() => server.close());
    const tokenEndpoint = `https://[::1]:${server.port}/token`;
    expectOutcome(await refreshAt({ tokenEndpoint, caPem: CERTIFICATE, proxy: null }), { kind: 'tokens', next: 'rt-2-EXAMPLE' });
    const proxy = await started(startWireServer({ serve: say(httpAnswer(502)) }));
    expectOutcome(await refreshAt({ tokenEndpoint, caPem: CERTIFICATE, proxy: `http://127.0.0.1:${proxy.port}` }), broken('proxy', false));
    expect(proxy.requests[0]).toContain(`CONNECT [::1]:${server.port} HTTP/1.1\r\n`);
  });
});
