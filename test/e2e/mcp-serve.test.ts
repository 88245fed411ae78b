/** `valetkey mcp serve` and a host of the official SDK: what an agent is told, and that no token is in it. */
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let client: Client;
let transport: StdioClientTransport;
const said: string[] = [];

const POLICY = `v = 1
[[rules]]
name = "no-tokens"
when = { use = "token" }
decide = "deny"
[[rules]]
name = "ask-first"
when = { profile = "guarded", use = "fetch" }
decide = "confirm"
ask = "for:1h"
`;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  issuer = await startIssuer();
  for (const name of ['work', 'guarded']) {
    const added = await home.valetkey([
      'profile', 'add', name, '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
      ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]),
    ]);
    expect(added.exit, added.stderr).toBe(0);
    const { exit, stdout } = await home.atTerminal(['login', name]);
    expect(exit, stdout).toBe(0);
  }
  writeFileSync(join(home.env['XDG_CONFIG_HOME'] ?? '', 'valetkey', 'policy.toml'), POLICY, { mode: 0o600 });
  expect((await home.valetkey(['daemon', 'reload'])).exit).toBe(0);
  transport = new StdioClientTransport({ command: process.execPath, args: [CLI, 'mcp', 'serve'], env: { ...home.env }, stderr: 'pipe' });
  transport.stderr?.on('data', (chunk: Buffer) => said.push(String(chunk)));
  client = new Client({ name: 'agent', version: '1.0.0' });
  await client.connect(transport);
});
afterAll(async () => {
  await client.close();
  await home.leave();
  await issuer.close();
});

async function call(name: string, given: Record<string, unknown> = {}): Promise<{ readonly isError: boolean; readonly answer: Readonly<Record<string, unknown>> }> {
  const { content, isError } = await client.callTool({ name, arguments: given });
  const [first] = content as readonly { readonly text: string }[];
  said.push(first?.text ?? '');
  return { isError: isError === true, answer: JSON.parse(first?.text ?? '{}') as Record<string, unknown> };
}

describe('valetkey mcp serve', () => {
  it('has three tools, and says what it is for', async () => {
    expect((await client.listTools()).tools.map(({ name, annotations }) => [name, annotations?.readOnlyHint])).toEqual([['list_profiles', true], ['check_access', true], ['request_approval', false]]);
    expect(client.getInstructions()).toContain('valetkey fetch');
  });

  it('tells which profiles there are, and what policy says of each use', async () => {
    expect((await call('list_profiles')).answer).toMatchObject({ profiles: expect.arrayContaining([expect.objectContaining({ name: 'work', signed_in: true })]) });
    expect((await call('check_access', { profile: 'work' })).answer).toMatchObject({ decision: 'allow', outcome: 'allow' });
    expect((await call('check_access', { profile: 'work', use: 'token' })).answer).toMatchObject({ decision: 'deny', rule: 'user/no-tokens' });
    expect((await call('check_access', { profile: 'guarded' })).answer).toMatchObject({ decision: 'confirm', rule: 'user/ask-first', ask: 'for:3600s' });
  });

  it('has a person asked, with the reason, and tells the agent when they agreed', async () => {
    expect(await call('request_approval', { profile: 'work', reason: 'to look' })).toMatchObject({ isError: false, answer: { allowed: true, use: 'fetch' } });
    const waiting = call('request_approval', { profile: 'guarded', reason: 'to read the issues' });
    let id = '';
    await expect.poll(async () => {
      const { pending } = JSON.parse((await home.valetkey(['approvals', '--json'])).stdout) as { readonly pending: readonly { readonly id: string; readonly use: string; readonly claimed: unknown }[] };
      id = pending[0]?.id ?? '';
      return pending[0]?.claimed;
    }, { timeout: 10_000 }).toMatchObject({ reason: 'to read the issues' });
    const answered = await home.atTerminal(['approve', id, '--deny']);
    const { isError, answer } = await waiting;
    // A terminal of this test may not approve for its own child; a no is taken from anybody, or the question stays open.
    expect(isError, answered.stdout).toBe(true);
    expect(answer['code']).toMatch(/^approval_(?:denied|required)$/);
  }, 70_000);

  it('tells what is refused as an error with its next step, and goes on', async () => {
    expect(await call('request_approval', { profile: 'work', use: 'token', reason: 'x' })).toMatchObject({ isError: true, answer: { code: 'policy_denied', next: expect.any(String) } });
    expect(await call('check_access', { profile: 'none' })).toMatchObject({ isError: true, answer: { code: 'unknown_profile' } });
    await expect(client.callTool({ name: 'request_approval', arguments: { profile: 'work' } }).then(({ isError }) => isError)).resolves.toBe(true);
    expect((await call('list_profiles')).isError).toBe(false);
  });

  it('[TK-01] has said no token, and ends with its host', async () => {
    const text = said.join('\n');
    for (const { value } of issuer.minted) expect(text).not.toContain(value);
    const pid = transport.pid ?? 0;
    await client.close();
    await expect.poll(() => { try { process.kill(pid, 0); return true; } catch { return false; } }, { timeout: 5_000 }).toBe(false);
  });
});
