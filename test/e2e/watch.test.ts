/** The live view at a real terminal, with the built program and the real daemon: what it shows, and how it leaves the terminal. */
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { atPty } from '../support/pty.ts';
import type { AtPty } from '../support/pty.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('valetkey watch', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;
  let view: AtPty;

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer();
    const add = ['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word])];
    const { profile } = JSON.parse((await home.valetkey([...add, '--dry-run', '--json'])).stdout) as { profile: { redirect_uris: readonly string[] } };
    issuer.registerClient({ id: 'cli', redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
    await home.valetkey(add);
  });
  afterEach(() => view.close());
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  const watch = async (columns?: number, rows?: number, more: Readonly<Record<string, string>> = {}): Promise<AtPty> => {
    view = await atPty([process.execPath, CLI, 'watch'], { ...home.env, ...more }, columns, rows);
    return view;
  };
  /** As the terminal was: the screen before, its cursor, its wrap, its settings, and no byte that it did not know. */
  const expectAsBefore = async (status: number): Promise<void> => {
    expect(await view.ended).toBe(status);
    const { isAlternate, isCursorShown, wraps, isSynchronised, strange } = view.screen;
    expect({ isAlternate, isCursorShown, wraps, isSynchronised, strange }).toEqual({ isAlternate: false, isCursorShown: true, wraps: true, isSynchronised: false, strange: [] });
    expect(view.settings()).toBe('as before');
    expect(view.screen.text).toContain(`left with ${status}`);
  };

  it('[AL-04] shows sign-ins, tokens and refusals as they happen, and q leaves the terminal as it was', async () => {
    const { screen, type } = await watch();
    await expect.poll(() => screen.text).toContain('none: valetkey login work');
    expect(screen.isAlternate && !screen.isCursorShown).toBe(true);
    expect((await home.valetkey(['token', 'work', '--no-interactive'])).exit).toBe(3);
    await expect.poll(() => screen.text).toMatch(/refused +work +\S+/);
    expect((await home.atTerminal(['login', 'work'])).exit).toBe(0);
    await expect.poll(() => screen.text).toMatch(/1 of 1 profile signed in/);
    expect((await home.valetkey(['token', 'work'])).exit).toBe(0);
    await expect.poll(() => screen.text).toMatch(/^CALLER +TOKENS +REFUSED/m);
    await expect.poll(() => screen.text).toMatch(/work +ada@/);
    process.stderr.write(`${screen.text}\n`);
    type('q');
    await expectAsBefore(0);
  });
});
