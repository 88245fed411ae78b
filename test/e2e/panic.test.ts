/** valetkey panic by the real binaries: a script may, a kill does not undo it, and a person at a terminal ends it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('valetkey panic', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer({ clients: [{ id: 'cli', redirectPaths: ['/callback'] }] });
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

  it('[RV-02] ends everything from a script, outlives a kill, and is ended by a person', async () => {
    expect((await home.atTerminal(['login', 'work'])).stdout).toContain('Signed in as');
    const { stdout, exit } = await home.valetkey(['panic', '--json']);
    expect([exit, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ not_reached: null, not_durable: null, grants: [expect.objectContaining({ profile: 'work', issuer: issuer.url })] })]);
    for (const { kind, value } of issuer.minted) if (kind === 'refresh_token' || kind === 'access_token') expect(await issuer.introspect(value)).toMatchObject({ active: false });
    expect(await home.valetkey(['token', 'work'])).toMatchObject({ exit: 4, stdout: '', stderr: expect.stringContaining('(locked_out)') });
    const { pid } = JSON.parse(readFileSync(join(home.base, 'state/valetkey/lock'), 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await expect.poll(async () => (await home.valetkey(['token', 'work'])).stderr).toContain('(locked_out)');
    expect((await home.valetkey(['status'])).stdout).toMatch(/Locked out +by valetkey panic/);
    // Whoever runs the tests by an agent's hand is one here, too.
    const { class: who } = JSON.parse((await home.atTerminal(['whoami', '--json'])).stdout) as { class: string };
    const back = await home.atTerminal(['login', 'work']);
    if (who !== 'human') return expect(back.stdout).toContain('(locked_out)');
    expect(back.stdout).toContain('Signed in as');
    expect((await home.valetkey(['status', '--json'])).stdout).toContain('"locked_out_since": null');
  }, 60_000);
});
