/** POST /v1/resources with a hostile server of the test's own, and a real issuer. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { createHttp } from '../../daemon/issuer/http.ts';
import { metadataPlaces } from '../../daemon/issuer/protected-resource.ts';
import { askStranger } from '../../daemon/issuer/strange-document.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

type Answer = (res: ServerResponse, req: IncomingMessage) => void;

let vk: InProcess;
let issuer: EmbeddedIssuer;
let server: Server;
let origin: string;
let paths: string[];
let bodies: string[];
let answers: Map<string, Answer>;

const json = (value: unknown, status = 200): Answer => (res) => void res.writeHead(status, { 'content-type': 'application/json' }).end(typeof value === 'string' ? value : JSON.stringify(value));
const challenge = (text: string): Answer => (res) => void res.writeHead(401, { 'www-authenticate': text }).end();
const PLACE = '/.well-known/oauth-protected-resource/mcp';

beforeEach(async () => {
  issuer = await startIssuer({ registers: true });
  [paths, bodies, answers] = [[], [], new Map()];
  server = createServer((req, res) => {
    paths.push(`${req.method} ${req.url}`);
    let body = '';
    req.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => {
      bodies.push(body);
      const answer = answers.get(req.url ?? '');
      if (answer === undefined) res.writeHead(404).end();
      else answer(res, req);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vk = await startInProcess({ config: '', issuerTimeoutMs: 1_000 });
});
afterEach(async () => {
  await vk.stop();
  server.closeAllConnections();
  server.close();
  await issuer.close();
});

const find = async (more: object = {}) => (await vk.api('POST', '/v1/resources', { name: 'tools', url: `${origin}/mcp`, allow_loopback_http: true, ...more }));
const metadata = (more: object = {}): object => ({ resource: `${origin}/mcp`, authorization_servers: [issuer.url], scopes_supported: ['openid', 'read'], ...more });

describe('the metadata of a server', () => {
  it('[MC-01] is where the challenge says, and nowhere else is asked', async () => {
    answers.set('/mcp', challenge(`Bearer resource_metadata="${origin}/elsewhere", scope="write"`));
    answers.set('/elsewhere', json(metadata()));
    expect((await find()).body).toMatchObject({ resource: `${origin}/mcp`, metadata: `${origin}/elsewhere`, issuer: issuer.url, scopes: ['write', 'offline_access'], scopes_from: 'challenge', takes: ['registration'], client_id: null, public_hosts_only: true });
    expect(paths).toEqual(['POST /mcp', 'GET /elsewhere']);
    expect(JSON.parse(bodies[0] ?? '')).toMatchObject({ jsonrpc: '2.0', method: 'initialize' });
  });

  it('[MC-01] is else between host and path, and last at the host', async () => {
    answers.set('/.well-known/oauth-protected-resource', json(metadata()));
    expect((await find()).body).toMatchObject({ metadata: `${origin}/.well-known/oauth-protected-resource`, scopes_from: 'metadata' });
    expect(paths).toEqual(['POST /mcp', `GET ${PLACE}`, 'GET /.well-known/oauth-protected-resource']);
    expect(metadataPlaces('https://a.example/')).toEqual(['https://a.example/.well-known/oauth-protected-resource']);
    expect(metadataPlaces('https://a.example/x?y=1')[0]).toBe('https://a.example/.well-known/oauth-protected-resource/x?y=1');
  });

  it.each([
    ['another path', (o: string) => `${o}/other`], ['a path below', (o: string) => `${o}/mcp/more`], ['a path that only begins so', (o: string) => `${o}/mc`], ['the whole host', (o: string) => o], ['a slash behind', (o: string) => `${o}/mcp/`], ['dots that lead back', (o: string) => `${o}/x/../mcp`], ['a newline that a parser drops', (o: string) => `${o}/m\ncp`], ['a backslash', (o: string) => `${o}\\mcp`], ['a space behind', (o: string) => `${o}/mcp `],
    ['another origin', () => 'https://api.example.com/mcp'], ['another scheme', (o: string) => o.replace('http:', 'https:')], ['a fragment', (o: string) => `${o}/mcp#x`], ['nothing', () => null], ['a list', (o: string) => [`${o}/mcp`]],
  ])('[MC-01] is refused where it speaks of %s', async (_, resource) => {
    answers.set(PLACE, json(metadata({ resource: resource(origin) })));
    expect((await find({ register: true })).body).toMatchObject({ code: 'resource_metadata_invalid' });
    expect(issuer.requests.length).toBe(0);
  });

  it('[MC-01] may be of more than the URL where a person says so, and of nothing beside it', async () => {
    answers.set(PLACE, json(metadata({ resource: origin })));
    expect((await find()).body.hint).toContain(`--resource ${origin}`);
    expect((await find({ resource: origin })).body).toMatchObject({ resource: origin, issuer: issuer.url });
    expect((await find({ resource: `${origin}/m` })).body).toMatchObject({ code: 'bad_request' });
    expect((await find({ resource: 'https://api.example.com/' })).body).toMatchObject({ code: 'bad_request' });
  });

  it.each([
    ['no JSON', (res: ServerResponse) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{')], ['a page', (res: ServerResponse) => void res.writeHead(200, { 'content-type': 'text/html' }).end('{}')],
    ['a list', json([])], ['an error', json({}, 500)], ['a redirect', (res: ServerResponse) => void res.writeHead(302, { location: '/elsewhere' }).end()],
    ['no issuers', json({ resource: 'RESOURCE', authorization_servers: [] })], ['a thousand issuers', json({ resource: 'RESOURCE', authorization_servers: Array.from({ length: 1_000 }, (_, n) => `https://${n}.example`) })],
    ['issuers that are no strings', json({ resource: 'RESOURCE', authorization_servers: [{ toString: 'x' }] })], ['a prototype', json('{"__proto__":{"resource":"RESOURCE"},"constructor":1}')],
    ['no header for tokens', json({ resource: 'RESOURCE', authorization_servers: ['https://a.example'], bearer_methods_supported: ['query'] })],
  ])('[MD-05] is refused where it is %s, and nothing else is asked', async (_, answer) => {
    answers.set(PLACE, (res, req) => {
      const end = res.end.bind(res);
      res.end = ((text?: string) => end(text?.replaceAll('RESOURCE', `${origin}/mcp`))) as typeof res.end;
      answer(res, req);
    });
    answers.set('/elsewhere', json(metadata()));
    expect((await find()).body).toMatchObject({ code: 'resource_metadata_invalid' });
    expect(paths).not.toContain('GET /elsewhere');
  });

  it('[MD-05] is read to 1 MiB, and waited for as long as an issuer', async () => {
    answers.set(PLACE, json(JSON.stringify(metadata({ padding: 'x'.repeat(2_000_000) }))));
    expect((await find()).body.code).toMatch(/^(?:resource_metadata_invalid|resource_unreachable)$/);
    answers.set(PLACE, (res) => void res.writeHead(200, { 'content-type': 'application/json' }).write('{'));
    expect((await find()).body).toMatchObject({ code: 'resource_unreachable' });
  });

  it.each([
    'https://10.0.0.1/m', 'https://169.254.169.254/latest/meta-data', 'https://[::ffff:127.0.0.1]/m', 'https://[::ffff:7f00:1]/m', 'https://0x0a000001/m', 'https://012.0.0.1/m', 'https://167772161/m', 'https://localhost/m',
    'http://example.com/m', 'file:///etc/passwd', 'https://user@example.com/m', 'https://192.168.1.1:8443/m', 'https://[fe80::1]/m', 'https://[fd00:ec2::254]/m', 'javascript:1',
  ])('[MD-05] is not fetched from %s, nor an issuer there', async (url) => {
    answers.set('/mcp', challenge(`Bearer resource_metadata="${url}"`));
    expect((await find()).body).toMatchObject({ code: 'resource_metadata_invalid' });
    answers.delete('/mcp');
    answers.set(PLACE, json(metadata({ authorization_servers: [url] })));
    const { body } = await find({ register: true });
    expect(['as_metadata_invalid', 'fetch_refused', 'config_invalid']).toContain(body.code);
  });

  it('[MD-05] is fetched from the address that was looked at, and not at all where one of them is private', async () => {
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const asked: string[] = [];
    const found = [['93.184.216.34', '10.0.0.1'], ['127.0.0.1']];
    const http = createHttp({ log, timeoutMs: 500, resolve: async (host) => { asked.push(host); return (found[asked.length - 1] ?? []).map((address) => ({ address, family: 4 })); } });
    const connection = { caPem: null, proxy: null, allowLoopbackHttp: true, publicOnly: true };
    for (const _ of found) await expect(askStranger(http, connection, 'https://rebound.example/m', 'resource_metadata_invalid')).rejects.toMatchObject({ code: 'resource_metadata_invalid', message: expect.stringMatching(/10\.0\.0\.1|this machine/) });
    expect(asked).toEqual(['rebound.example', 'rebound.example']);
    await http.close();
  });

  it('shows no control characters of a stranger', async () => {
    answers.set(PLACE, json(metadata({ resource: 'https://x/\u001b[2J\u202e' })));
    const { body } = await find();
    expect(JSON.stringify(body)).not.toMatch(/\\u001b|\u202e/);
  });
});

describe('the issuer and the client', () => {
  it('is chosen by a person where there are several, and only among them', async () => {
    answers.set(PLACE, json(metadata({ authorization_servers: ['https://other.example', issuer.url] })));
    expect((await find()).body).toMatchObject({ issuer: null, authorization_servers: ['https://other.example', issuer.url], takes: [] });
    expect((await find({ issuer: issuer.url })).body).toMatchObject({ issuer: issuer.url });
    expect((await find({ issuer: 'https://third.example' })).body).toMatchObject({ code: 'bad_request' });
  });

  it('[MC-02] takes scopes of the challenge, else of the metadata, else none; offline_access where it is offered', async () => {
    answers.set(PLACE, json(metadata({ scopes_supported: ['read', 'not a scope"'] })));
    expect((await find()).body).toMatchObject({ scopes: ['offline_access'], scopes_from: 'nobody' });
    expect((await find({ scopes: ['write'] })).body).toMatchObject({ scopes: ['write'], scopes_from: 'request' });
    answers.set('/mcp', challenge('Bearer error="invalid_token", scope="read write"'));
    expect((await find()).body).toMatchObject({ scopes: ['read', 'write', 'offline_access'], scopes_from: 'challenge' });
  });

  it('[MD-06] registers a native public client, only where it is asked to, and keeps no key to the registration', async () => {
    answers.set(PLACE, json(metadata()));
    expect((await find()).body.client_id).toBeNull();
    const { body } = await find({ register: true });
    expect(body.client_id).toMatch(/^[\w-]{10,}$/);
    const client = issuer.clients.get(body.client_id);
    expect(client).toMatchObject({ application_type: 'native', token_endpoint_auth_method: 'none', redirect_uris: [`http://127.0.0.1${body.redirect_path}`], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] });
    expect(JSON.stringify(body)).not.toMatch(/registration_|secret/);
    expect(vk.audit.events.map(({ event }) => event)).toContain('client_registered');
  });

  it('[MD-06] registers at the issuer that is named now, and tells it of no client of another', async () => {
    answers.set(PLACE, json(metadata()));
    const { body: first } = await find({ register: true });
    const second = await startIssuer({ registers: true });
    try {
      answers.set(PLACE, json(metadata({ authorization_servers: [second.url] })));
      const { body: other } = await find({ register: true });
      expect(other).toMatchObject({ issuer: second.url });
      expect(other.client_id).not.toBe(first.client_id);
      expect(second.clients.has(first.client_id)).toBe(false);
      expect(JSON.stringify(second.requests)).not.toContain(first.client_id);
    } finally {
      await second.close();
    }
  });

  it('registers none for a profile that is there already', async () => {
    answers.set(PLACE, json(metadata()));
    const count = issuer.clients.size;
    await vk.api('POST', '/v1/profiles', { name: 'tools', profile: { issuer: issuer.url, client_id: 'valetkey', allow_loopback_http: true } });
    expect((await find({ register: true })).body).toMatchObject({ code: 'profile_exists' });
    expect(issuer.clients.size).toBe(count);
  });

  it.each([
    ['a secret', { client_id: 'abc', client_secret: 's', token_endpoint_auth_method: 'client_secret_basic' }], ['no id', {}], ['an id of control characters', { client_id: 'a\u0000b' }], ['an endless id', { client_id: 'x'.repeat(3_000) }], ['an error', { error: 'invalid_redirect_uri' }],
  ])('[MD-06] takes no registration with %s', async (_, reply) => {
    const stranger = `${origin}/as`;
    answers.set(PLACE, json(metadata({ authorization_servers: [stranger] })));
    answers.set('/.well-known/oauth-authorization-server/as', json({ issuer: stranger, authorization_endpoint: `${stranger}/a`, token_endpoint: `${stranger}/t`, registration_endpoint: `${stranger}/r`, code_challenge_methods_supported: ['S256'], response_types_supported: ['code'] }));
    answers.set('/as/r', json(reply, 'error' in reply ? 400 : 201));
    expect((await find({ register: true })).body).toMatchObject({ code: 'registration_refused' });
  });

  it.each([
    ['another id', { client_id: 'https://evil.example/client' }], ['a secret', { token_endpoint_auth_method: 'client_secret_post' }], ['no loopback redirect', { redirect_uris: ['https://evil.example/cb'] }], ['nothing', null],
  ])('[MD-08] takes no document with %s, and one that is right', async (_, wrong) => {
    const stranger = `${origin}/as`;
    const document = `${origin}/client.json`;
    const right = { client_id: document, redirect_uris: ['http://127.0.0.1/cb/of-the-document'], token_endpoint_auth_method: 'none' };
    answers.set(PLACE, json(metadata({ authorization_servers: [stranger] })));
    answers.set('/.well-known/oauth-authorization-server/as', json({ issuer: stranger, authorization_endpoint: `${stranger}/a`, token_endpoint: `${stranger}/t`, client_id_metadata_document_supported: true, code_challenge_methods_supported: ['S256'], response_types_supported: ['code'] }));
    answers.set('/client.json', wrong === null ? json('no') : json({ ...right, ...wrong }));
    expect((await find({ client_id_metadata: document })).body).toMatchObject({ code: 'client_document_invalid' });
    answers.set('/client.json', json(right));
    expect((await find({ client_id_metadata: document })).body).toMatchObject({ client_id: document, redirect_path: '/cb/of-the-document', takes: ['metadata_document'] });
    answers.set(PLACE, json(metadata()));
    expect((await find({ client_id_metadata: document })).body).toMatchObject({ code: 'registration_refused' });
  });
});
