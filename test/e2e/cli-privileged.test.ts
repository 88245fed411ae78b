/** Privileged access as a person meets it: the real binaries, a real issuer, a question at a real terminal. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('privileged access at a terminal', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer({ lifetimes: { accessTokenS: 300 } });
    const dir = join(home.env['XDG_CONFIG_HOME'] ?? '', 'valetkey');
    mkdirSync(dir, { mode: 0o700 });
    const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].map((word) => JSON.stringify(word)).join(', ');
    writeFileSync(join(dir, 'config.toml'), `[profiles.work]\nissuer = "${issuer.url}"\nclient_id = "valetkey"\nscopes = ["openid", "read", "admin"]\nredirect_path = "/callback"\nallow_loopback_http = true\nbrowser = [${browser}]\n`, { mode: 0o600 });
    writeFileSync(join(dir, 'policy.toml'), 'v = 1\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin"] } }\n', { mode: 0o600 });
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  it('[AU-08] asks why, signs in for that alone, and leaves the reason in the audit', async () => {
    const ordinary = await home.atTerminal(['login', 'work', '--json']);
    expect(ordinary.stdout).toContain('"scopes"');
    expect(ordinary.stdout).not.toContain('"admin"');
    const asked = await home.atTerminal(['login', 'work', '--scope', 'admin'], { typed: { after: /Reason:/, text: 'ticket 4711\n' } });
    expect(asked).toMatchObject({ exit: 0, stdout: expect.stringContaining('admin of profile work is privileged: say why it is needed') as string });
    expect(asked.stdout).toContain('Signed in as ada');
    const { stdout } = await home.valetkey(['audit', 'search', '--event', 'jit_granted', '--json']);
    expect(stdout).toContain('ticket 4711');
  });

  it('[AU-08] says without a terminal what is missing', async () => {
    const { exit, stderr } = await home.valetkey(['token', 'work', '--scope', 'admin', '--resource', 'https://other.example']);
    expect(exit).toBe(3);
    expect(stderr).toContain('Run: valetkey login work --scope "admin" --reason "why"');
  });
});
