/** `valetkey mcp connect` between a host and a server of the official SDK, with the real daemon and issuer. */
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { startMcpServer } from '../support/mcp-server.ts';
import type { McpHttpServer } from '../support/mcp-server.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let server: McpHttpServer;
/** No resource of anybody's. */
let elsewhere: McpHttpServer;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  issuer = await startIssuer();
  server = await startMcpServer(async (token) => (await issuer.introspect(token)).active);
  elsewhere = await startMcpServer(async () => true);
  const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]);
  const added = await home.valetkey(['profile', 'add', 'tools', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--resource', server.url, '--allow-loopback-http', '--redirect-path', '/callback', ...browser]);
  expect(added.exit, added.stderr).toBe(0);
});
afterAll(async () => {
  await Promise.all([server.close(), elsewhere.close()]);
  await home.leave();
  await issuer.close();
});

type Host = { readonly client: Client; said(): string; close(): Promise<void> };

async function host(args: readonly string[] = []): Promise<Host> {
  const transport = new StdioClientTransport({ command: process.execPath, args: [CLI, 'mcp', 'connect', server.url, ...args], env: { ...home.env }, stderr: 'pipe' });
  let said = '';
  transport.stderr?.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  const client = new Client({ name: 'host', version: '1.0.0' });
  try {
    await client.connect(transport);
  } catch (cause) {
    await transport.close();
    throw Object.assign(cause instanceof Error ? cause : new Error(String(cause)), { said });
  }
  return { client, said: () => said, close: () => client.close() };
}

const sum = async ({ client }: Host, a: number, b: number): Promise<unknown> => (await client.callTool({ name: 'add', arguments: { a, b } })).content;
const text = (each: string): unknown => [{ type: 'text', text: each }];

describe('valetkey mcp connect', () => {
  it('tells the host that a person has to sign in, and which command does it', async () => {
    await expect(host()).rejects.toThrow(/nobody has signed in yet.*valetkey login tools/);
    expect(server.tokens).toEqual([]);
  });

  it('[MC-03] serves three instances at once by one sign-in, with the token in the header of one server only', async () => {
    const before = issuer.minted.length;
    const hosts = await Promise.all([1, 2, 3].map(async () => host(['--interactive'])));
    try {
      expect(await Promise.all(hosts.map(async (each, i) => sum(each, i, 40)))).toEqual([text('40'), text('41'), text('42')]);
      expect(issuer.minted.slice(before).filter(({ kind }) => kind === 'refresh_token')).toHaveLength(1);
      expect(new Set(server.tokens).size).toBe(1);
      expect((await hosts[0]?.client.listTools())?.tools.map(({ name }) => name)).toEqual(['add']);
    } finally {
      await Promise.all(hosts.map(async (each) => each.close()));
    }
  });

  it('goes on with a newer token when the server takes the old one no more', async () => {
    const one = await host();
    try {
      expect(await sum(one, 1, 2)).toEqual(text('3'));
      server.refuseUsed();
      expect(await sum(one, 2, 2)).toEqual(text('4'));
    } finally {
      await one.close();
    }
  });

  it('answers the host where the server says no, and goes on', async () => {
    const one = await host();
    try {
      server.answerWith(403, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="files:write"' });
      await expect(sum(one, 1, 1)).rejects.toThrow(/scope/i);
      server.answerWith(302, { location: `${elsewhere.url}/mcp` });
      await expect(sum(one, 1, 1)).rejects.toThrow(/redirect/i);
      expect(elsewhere.tokens).toEqual([]);
      server.answerWith(null);
      expect(await sum(one, 1, 1)).toEqual(text('2'));
    } finally {
      server.answerWith(null);
      await one.close();
    }
  });

  it('[MC-03] sends nothing to a server that is not the resource of the profile', async () => {
    for (const url of [server.url.replace('/mcp', '/other'), server.url.replace('/mcp', '/mcpx'), 'https://mcp.example.com/mcp', 'http://mcp.example.com/mcp', 'ftp://127.0.0.1/']) {
      const { exit, stdout, stderr } = await home.valetkey(['mcp', 'connect', url, '--profile', 'tools']);
      expect({ url, exit, stdout }).toEqual({ url, exit: 2, stdout: '' });
      expect(stderr).toContain('bad_request');
    }
  });

  it('[MC-03] takes a query in the resource for a part of its name', async () => {
    const tenant = `${server.url}?tenant=a`;
    const added = await home.valetkey(['profile', 'add', 'tenant', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--resource', tenant, '--allow-loopback-http', '--redirect-path', '/callback']);
    expect(added.exit, added.stderr).toBe(0);
    try {
      for (const url of [server.url, `${server.url}?tenant=b`]) expect(await home.valetkey(['mcp', 'connect', url, '--profile', 'tenant'])).toMatchObject({ exit: 2, stdout: '' });
      expect(await home.valetkey(['mcp', 'connect', tenant, '--profile', 'tenant'])).toMatchObject({ exit: 0 });
    } finally {
      expect((await home.valetkey(['profile', 'remove', 'tenant'])).exit).toBe(0);
    }
  });

  it('answers lines that are no messages, and ends when the host closes the pipe', async () => {
    const { exit, stdout } = await home.valetkey(['mcp', 'connect', server.url], { stdin: 'not json\n{"id":1,"method":"ping"}\n\n' });
    expect(exit).toBe(0);
    expect(stdout.trim().split('\n').map((line) => (JSON.parse(line) as { error: { code: number } }).error.code)).toEqual([-32_700, -32_600]);
  });
});
