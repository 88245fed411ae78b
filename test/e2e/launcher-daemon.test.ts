/** The launcher and the Node entry against the real daemon, with a token of a real issuer. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome } from './built-cli.ts';
import type { Home } from './built-cli.ts';
import { buildPrograms, launcherRoom, runProgram } from './token-programs.ts';
import type { Program } from './token-programs.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('with the real daemon', () => {
  const room = launcherRoom();
  let programs: readonly Program[] = [];
  let home: Home;
  let issuer: EmbeddedIssuer;

  beforeAll(async () => {
    programs = buildPrograms(room).filter(({ handsOver }) => handsOver !== 'says');
    home = makeHome();
    issuer = await startIssuer();
    issuer.registerClient({ id: 'cli', redirectPaths: ['/callback/work'] });
  }, 60_000);
  afterAll(async () => {
    await home.leave();
    await issuer.close();
    room.remove();
  });

  const tell = async (...args: readonly string[]) => Promise.all(programs.map(async ({ argv }) => runProgram([...argv, 'token', ...args], home.env)));

  it('[TK-01] every program prints the token alone, the same one, and asks the issuer for none', async () => {
    const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]);
    const added = await home.valetkey(['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--json', ...browser]);
    const { profile } = JSON.parse(added.stdout) as { profile: { redirect_uris: readonly string[] } };
    issuer.registerClient({ id: 'cli', redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
    expect(await home.atTerminal(['login', 'work'])).toMatchObject({ exit: 0 });
    const before = issuer.count('token');
    for (const flags of [[], ['--format', 'env'], ['--format=header', '--scope', 'openid'], ['--json', '--min-ttl', '60']]) {
      const told = await tell('work', ...flags);
      for (const ended of told) expect(ended).toEqual(told[0]);
      expect(told[0]).toMatchObject({ exit: 0, stderr: '' });
    }
    expect(issuer.count('token')).toBe(before);
  }, 60_000);

  it.each([['another profile', ['other'], 8, 'unknown_profile'], ['a scope that was not granted', ['work', '--scope', 'admin'], 5, 'scope_not_granted']] as const)('%s: all fail alike', async (_, args, exit, code) => {
    const told = await tell(...args, '--json');
    for (const ended of told) {
      expect({ exit: ended.exit, stdout: ended.stdout }).toEqual({ exit, stdout: '' });
      expect(JSON.parse(ended.stderr)).toMatchObject({ code });
    }
  });
});
