/** `valetkey mcp add`: from the URL of a server of the official SDK to a host that uses it, at a real issuer that registers clients. */
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
const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]);

beforeAll(async () => {
  needBuild();
  home = makeHome();
  issuer = await startIssuer({ registers: true, scopes: ['read', 'write', 'admin', 'files', 'mail', 'calendar'] });
  server = await startMcpServer(async (token) => (await issuer.introspect(token)).active, { issuers: [issuer.url], challenged: ['openid', 'read'] });
});
afterAll(async () => {
  await server.close();
  await home.leave();
  await issuer.close();
});

describe('valetkey mcp add', () => {
  it('shows what it found, and writes and registers nothing', async () => {
    const before = issuer.clients.size;
    const got = await home.valetkey(['mcp', 'add', server.url, '--name', 'tools', '--allow-loopback-http', '--dry-run']);
    expect(got.exit, got.stderr).toBe(0);
    expect(got.stdout).toContain(issuer.url);
    expect(got.stdout).toMatch(/Scopes +openid read offline_access \(the server asks for them\)/);
    expect(got.stdout).toContain('--register');
    expect(issuer.clients.size).toBe(before);
    expect((await home.valetkey(['profile', 'show', 'tools'])).stderr).toContain('unknown_profile');
  });

  it('wants to be told as which client to come, and refuses two ways at once', async () => {
    expect(await home.valetkey(['mcp', 'add', server.url, '--name', 'tools', '--allow-loopback-http'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('--register') });
    expect(await home.valetkey(['mcp', 'add', server.url, '--register', '--client-id', 'x'])).toMatchObject({ exit: 2 });
    expect(await home.valetkey(['mcp', 'add', server.url, '--name', 'tools'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('--allow-loopback-http') });
  });

  it('[MD-06] registers a client, with which a host does its work after one sign-in', async () => {
    const added = await home.valetkey(['mcp', 'add', server.url, '--name', 'tools', '--allow-loopback-http', '--register', ...browser]);
    expect(added.exit, added.stderr).toBe(0);
    expect(added.stderr).toContain('Next: valetkey login tools');
    const signedIn = await home.atTerminal(['login', 'tools']);
    expect(signedIn.exit, signedIn.stdout).toBe(0);
    const transport = new StdioClientTransport({ command: process.execPath, args: [CLI, 'mcp', 'connect', server.url], env: { ...home.env }, stderr: 'pipe' });
    const client = new Client({ name: 'host', version: '1.0.0' });
    await client.connect(transport);
    try {
      expect((await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } })).content).toEqual([{ type: 'text', text: '3' }]);
    } finally {
      await client.close();
    }
  });

  it('[MC-02] signs in for the scopes that a server asks for later, beside those that there were, and stops at a server that is never content', async () => {
    const wishes = ['write', 'admin', 'files', 'mail', 'calendar'];
    const scopesOf = async (token: string): Promise<readonly string[]> => String((await issuer.introspect(token))['scope']).split(' ');
    const content = await startMcpServer(async () => true, { issuers: [issuer.url], challenged: ['read'], lacks: async (token) => ((await scopesOf(token)).includes('write') ? null : 'write') });
    const never = await startMcpServer(async () => true, { issuers: [issuer.url], challenged: ['read'], lacks: async (token) => { const held = await scopesOf(token); return wishes.find((each) => !held.includes(each)) ?? 'read'; } });
    try {
      for (const [name, { url }] of Object.entries({ content, never })) {
        const added = await home.valetkey(['mcp', 'add', url, '--name', name, '--allow-loopback-http', '--register', ...browser]);
        expect(added.exit, added.stderr).toBe(0);
        expect((await home.atTerminal(['login', name])).exit).toBe(0);
      }
      const sum = async (url: string, ...flags: readonly string[]): Promise<unknown> => {
        const transport = new StdioClientTransport({ command: process.execPath, args: [CLI, 'mcp', 'connect', url, ...flags], env: { ...home.env }, stderr: 'pipe' });
        const client = new Client({ name: 'host', version: '1.0.0' });
        try {
          await client.connect(transport);
          return (await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } })).content;
        } finally {
          await client.close();
        }
      };
      const signIns = (): number => issuer.minted.filter(({ kind }) => kind === 'authorization_code').length;
      // Nobody may be asked: the host is told.
      await expect(sum(content.url)).rejects.toThrow(/scope/i);
      const before = signIns();
      expect(await sum(content.url, '--interactive')).toEqual([{ type: 'text', text: '3' }]);
      expect(signIns() - before).toBe(1);
      expect(await scopesOf(content.tokens.findLast((token) => token !== null) ?? '')).toEqual(expect.arrayContaining(['read', 'write']));
      // The next instance needs nobody.
      expect(await sum(content.url)).toEqual([{ type: 'text', text: '3' }]);
      const start = signIns();
      await expect(sum(never.url, '--interactive')).rejects.toThrow(/scope/i);
      expect(signIns() - start).toBe(3);
    } finally {
      await Promise.all([content.close(), never.close()]);
    }
  }, 60_000);

  it('registers no second one for the same name, and names the verb where no profile is', async () => {
    const before = issuer.clients.size;
    expect(await home.valetkey(['mcp', 'add', server.url, '--name', 'tools', '--allow-loopback-http', '--register'])).toMatchObject({ stderr: expect.stringContaining('profile_exists') });
    expect(issuer.clients.size).toBe(before);
    expect(await home.valetkey(['mcp', 'connect', 'https://mcp.example.com/mcp'])).toMatchObject({ stderr: expect.stringContaining('valetkey mcp add https://mcp.example.com/mcp') });
  });
});
