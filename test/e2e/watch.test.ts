/** The live view at a real terminal, with the built program and the real daemon: what it shows, and how it leaves the terminal. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
    expect(view.screen.text).toMatch(new RegExp(`^what was there before\n(?:.*\n)*left with ${status}$`, 'm'));
  };

  it('shows who is signed in, tokens and what is needed as it happens, and q leaves the terminal as it was', async () => {
    const { screen, type } = await watch();
    await expect.poll(() => screen.text).toContain('none: valetkey login work');
    expect(screen.isAlternate && !screen.isCursorShown).toBe(true);
    expect((await home.valetkey(['token', 'work', '--no-interactive'])).exit).toBe(3);
    await expect.poll(() => screen.text).toMatch(/sign-in needed +work +\S.* never_signed_in$/m);
    expect((await home.atTerminal(['login', 'work'])).exit).toBe(0);
    await expect.poll(() => screen.text).toContain('1 of 1 profile signed in');
    expect((await home.valetkey(['token', 'work'])).exit).toBe(0);
    await expect.poll(() => screen.text).toMatch(/^CALLER +TOKENS +REFUSED +LAST +PROFILES$/m);
    await expect.poll(() => screen.text).toMatch(/^work +\S+.* +active .* +for \d+ /m);
    expect(screen.lines.length).toBe(24);
    type('q');
    await expectAsBefore(0);
  });

  it('[AL-04] keeps to the width there is and follows its changes, down to forty columns', async () => {
    const { screen, resize, type } = await watch(100, 30);
    await expect.poll(() => screen.lines.at(-1)).toMatch(/^q leaves .*up /);
    for (const [columns, rows] of [[40, 12], [120, 8], [79, 24]] as const) {
      resize(columns, rows);
      await expect.poll(() => screen.lines[rows - 1]).toMatch(/^q leaves/);
      await expect.poll(() => screen.lines[0]).toMatch(/^valetkey {2}\d of 1/);
      await expect.poll(() => screen.text).toMatch(/^work /m);
      expect(screen.lines.filter((line) => line.startsWith('q leaves'))).toHaveLength(1);
    }
    expect(screen.strange).toEqual([]);
    type('\u0003');
    await expectAsBefore(0);
  });

  it('writes only lines that change: a second of nothing is a clock and what counts down', async () => {
    const { screen, type } = await watch();
    await expect.poll(() => screen.text).toContain('of 1 profile signed in');
    const clockNow = (): string => /\d\d:\d\d:\d\d$/.exec(screen.lines[0] ?? '')?.[0] ?? '';
    const first = clockNow();
    await expect.poll(clockNow).not.toBe(first);
    const [before, from] = [screen.written, clockNow()];
    await expect.poll(clockNow).not.toBe(from);
    // The whole screen is 1,920 cells.
    expect(screen.written - before).toBeLessThan(500);
    type('\u0004');
    await expectAsBefore(0);
  });

  it.each([['SIGINT', 0], ['SIGTERM', 0], ['SIGHUP', 0]] as const)('leaves the terminal as it was on %s', async (signal, status) => {
    const { screen, pid } = await watch();
    await expect.poll(() => screen.text).toContain('of 1 profile signed in');
    process.kill(pid(), signal);
    await expectAsBefore(status);
  });

  it('leaves the terminal as it was when it crashes, and the fault can be read there', async () => {
    const planted = join(home.base, 'planted.cjs');
    writeFileSync(planted, 'process.on("SIGUSR2", () => { throw new Error("a planted fault"); });\n');
    view = await atPty([process.execPath, '--require', planted, CLI, 'watch'], home.env);
    await expect.poll(() => view.screen.text).toContain('of 1 profile signed in');
    process.kill(view.pid(), 'SIGUSR2');
    await expectAsBefore(1);
    expect(view.screen.text).toContain('a planted fault');
  });

  it('lets go of the terminal at Ctrl-Z, and has it again after', async () => {
    const { screen, type, pid } = await watch();
    await expect.poll(() => screen.text).toContain('of 1 profile signed in');
    type('\u001a');
    await expect.poll(() => readFileSync(`/proc/${pid()}/stat`, 'utf8').split(') ')[1]?.[0]).toBe('T');
    await expect.poll(() => [screen.isAlternate, screen.isCursorShown]).toEqual([false, true]);
    process.kill(pid(), 'SIGCONT');
    await expect.poll(() => screen.isAlternate && screen.text.includes('of 1 profile signed in')).toBe(true);
    type('q');
    await expectAsBefore(0);
  });

  it('waits for a daemon that was stopped without starting it, and follows the next one', async () => {
    const { screen, type } = await watch();
    await expect.poll(() => screen.text).toContain('of 1 profile signed in');
    const { pid } = JSON.parse((await home.valetkey(['daemon', 'status', '--json'])).stdout) as { readonly pid: number };
    expect((await home.valetkey(['daemon', 'stop'])).exit).toBe(0);
    await expect.poll(() => screen.lines[0]).toContain('it is waited for');
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    expect((await home.valetkey(['daemon', 'start'])).exit).toBe(0);
    await expect.poll(() => screen.lines[0]).toMatch(/of 1 profile signed in/);
    await expect.poll(() => screen.text).not.toContain(`pid ${pid},`);
    type('q');
    await expectAsBefore(0);
  });

  it('writes no colour where NO_COLOR says so, and else only those that mean something', async () => {
    const { screen, type } = await watch(80, 24, { NO_COLOR: '' });
    await expect.poll(() => screen.styled('1')).toContain('valetkey');
    expect(screen.styled('31')).toEqual([]);
    type('q');
    await expectAsBefore(0);
    view.close();
    const plain = await watch();
    await expect.poll(() => plain.screen.text).toContain('q leaves');
    expect(['1', '2', '31', '33'].flatMap((style) => plain.screen.styled(style))).toEqual([]);
    plain.type('q');
    await expectAsBefore(0);
  });
});
