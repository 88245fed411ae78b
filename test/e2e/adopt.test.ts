/**
 * `adopt --fix` by the built CLI: at a real terminal, with the daemon that it starts, and a real refresh token in the
 * file of a tool that lets its files be elsewhere. Nothing is looked for in the home directory of whoever runs this.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { collectCanaries, searchBytes } from '../support/canaries.ts';
import { signInAsTool } from '../support/tool-sign-in.ts';
import type { ToolTokens } from '../support/tool-sign-in.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Finished, Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('mcp-remote, moved at a terminal', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let old: ToolTokens;
  let file: string;
  let env: Readonly<Record<string, string>>;
  const seen: Finished[] = [];

  const adopt = async (args: readonly string[], typed: Parameters<Home['atTerminal']>[1] = {}): Promise<Finished> => {
    const done = await home.atTerminal(['adopt', ...args], { env, ...typed });
    seen.push(done);
    return done;
  };

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer({ clients: [{ id: 'cli' }, { id: 'tool' }] });
    old = await signInAsTool(issuer, 'tool', 'ada');
    const folder = join(home.base, 'mcp', 'mcp-remote-v1');
    mkdirSync(folder, { recursive: true });
    file = join(folder, '0123456789abcdef0123456789abcdef_tokens.json');
    writeFileSync(file, JSON.stringify({ ...old, token_type: 'Bearer' }), { mode: 0o600 });
    env = { MCP_REMOTE_CONFIG_DIR: join(home.base, 'mcp') };
    const added = await home.valetkey([
      'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
      ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]),
    ]);
    expect(added).toMatchObject({ exit: 0 });
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  it('is not moved without a terminal', async () => {
    const done = await home.valetkey(['adopt', '--fix', 'mcp-remote', '--profile', 'work'], { env });
    seen.push(done);
    expect(done).toMatchObject({ exit: 5, stderr: expect.stringContaining('(consent_required)') as string });
  });

  it('stays as it is after a no', async () => {
    const { exit, stdout } = await adopt(['--fix', 'mcp-remote', '--profile', 'work'], { typed: { after: /Begin\? \[y\/N\]/, text: '\n' } });
    expect(stdout).toContain('nothing was changed');
    expect(exit).toBe(130);
    expect(readFileSync(file, 'utf8')).toContain(old.refresh_token);
  });

  it('is moved after two yeses: signed in by the browser, the file gone, and nothing of it shown', async () => {
    const { exit, stdout } = await adopt(['--fix', 'mcp-remote', '--profile', 'work'], { typed: [{ after: /Begin\? \[y\/N\]/, text: 'y\n' }, { after: /may its old token go\? \[y\/N\]/, text: 'y\n' }] });
    expect(stdout).toContain('3. Removed; nothing of mcp-remote is left in plain text');
    expect({ exit, there: existsSync(file) }).toEqual({ exit: 0, there: false });
    expect(stdout).toContain('The old token was not revoked');
    const { stdout: grants } = await home.valetkey(['grants', '--json']);
    expect(JSON.parse(grants)).toMatchObject({ grants: [{ profile: 'work', state: 'active' }] });
    // Another client's: it is not ours to end, and it was said that it lives.
    expect(await issuer.introspect(old.refresh_token)).toMatchObject({ active: true });
  });

  it('[AL-03] none of it was in what was shown', () => {
    expect(seen).toHaveLength(3);
    expect(searchBytes('the terminal', seen.map(({ stdout, stderr }) => stdout + stderr).join('\n'), collectCanaries(issuer.minted, { except: ['client_secret'] }))).toEqual([]);
  });
});
