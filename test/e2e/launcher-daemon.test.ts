/** The launcher and the Node entry against the real daemon, with a token of a real issuer. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
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
  let hostile: HostileIssuer;
  let slow: readonly HostileIssuer[] = [];

  beforeAll(async () => {
    programs = buildPrograms(room).filter(({ handsOver }) => handsOver !== 'says');
    home = makeHome();
    hostile = await startHostileIssuer();
    slow = await Promise.all(programs.map(() => startHostileIssuer()));
  }, 60_000);
  afterAll(async () => {
    await home.leave();
    await Promise.all([hostile, ...slow].map((issuer) => issuer.close()));
    room.remove();
  });

  /** To a profile of this name, whose client has it too. */
  const signIn = async (name: string, { url, issuer }: HostileIssuer): Promise<void> => {
    const browser = [process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]);
    const added = await home.valetkey(['profile', 'add', name, '--issuer', url, '--client-id', name, '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--json', ...browser]);
    const { profile } = JSON.parse(added.stdout) as { profile: { redirect_uris: readonly string[] } };
    issuer.registerClient({ id: name, redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
    expect(await home.atTerminal(['login', name])).toMatchObject({ exit: 0 });
  };
  const tell = async (...args: readonly string[]) => Promise.all(programs.map(async ({ argv }) => runProgram([...argv, 'token', ...args], home.env)));

  it('[TK-01] every program prints the token alone, the same one, and asks the issuer for none', async () => {
    await signIn('work', hostile);
    const before = hostile.issuer.count('token');
    for (const flags of [[], ['--format', 'env'], ['--format=header', '--scope', 'openid'], ['--json', '--min-ttl', '60']]) {
      const told = await tell('work', ...flags);
      for (const ended of told) expect(ended).toEqual(told[0]);
      expect(told[0]).toMatchObject({ exit: 0, stderr: '' });
    }
    expect(hostile.issuer.count('token')).toBe(before);
  }, 60_000);

  it.each([['another profile', ['other'], 8, 'unknown_profile'], ['a scope that was not granted', ['work', '--scope', 'admin'], 5, 'scope_not_granted']] as const)('%s: all fail alike', async (_, args, exit, code) => {
    const told = await tell(...args, '--json');
    for (const ended of told) {
      expect({ exit: ended.exit, stdout: ended.stdout }).toEqual({ exit, stdout: '' });
      expect(JSON.parse(ended.stderr)).toMatchObject({ code });
    }
  });

  it('an issuer that takes longer than five seconds is asked once by one command, and its token is printed', async () => {
    // Each has an issuer of its own, so that none is served what another one asked for.
    for (const [at, issuer] of slow.entries()) await signIn(`slow-${at}`, issuer);
    // For a second a token has its whole life before it.
    await new Promise((resolve) => { setTimeout(resolve, 1_100); });
    const told = await Promise.all(slow.map(async (issuer, at) => {
      const before = issuer.requestsTo('token').length;
      issuer.fault('token', faults.delay(5_500));
      const ended = await runProgram([...programs[at]?.argv ?? [], 'token', `slow-${at}`, '--min-ttl', '3600'], home.env);
      return { name: programs[at]?.name, ...ended, asked: issuer.requestsTo('token').length - before };
    }));
    expect(told).toEqual(programs.map(({ name }) => ({ name, exit: 0, stdout: expect.stringMatching(/^\S+\n$/) as string, stderr: '', asked: 1 })));
  }, 60_000);
});
