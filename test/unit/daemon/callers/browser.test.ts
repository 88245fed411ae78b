import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBrowser } from '../../../../daemon/callers/browser.ts';

let home: string;
beforeEach(() => { home = mkdtempSync(join(tmpdir(), 'valetkey-home-')); });
afterEach(() => { rmSync(home, { recursive: true }); });

function write(name: string, text: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), text);
}
const entry = (exec: string, terminal = false): string => `[Desktop Entry]\nName=X\nTerminal=${terminal}\nExec=${exec}\n`;
const list = (group: string, value: string): string => `[Other]\nx-scheme-handler/https=wrong.desktop\n\n[${group}]\ntext/html=wrong.desktop\nx-scheme-handler/https=${value}\n[Last]\n`;
const find = (variables: Readonly<Record<string, string>> = {}) =>
  findBrowser(new Map(Object.entries({ HOME: home, XDG_CONFIG_DIRS: `${home}/etc`, XDG_DATA_DIRS: `${home}/share`, ...variables })));

describe('findBrowser', () => {
  it.each([
    ['firefox', 'graphical'], ['/usr/bin/w3m', 'none'], ['lynx -accept_all_cookies', 'none'], ['firefox:lynx', 'graphical'], ['links2:firefox', 'none'],
    ['/opt/vscode/bin/helpers/browser.sh', 'graphical'],
  ])('believes BROWSER=%s', async (command, kind) => {
    expect(await find({ BROWSER: command })).toBe(kind);
  });

  it.each([
    ['the user\'s list', '.config/mimeapps.list', 'Default Applications'],
    ['the system\'s list', 'etc/mimeapps.list', 'Default Applications'],
    ['the old place', '.local/share/applications/mimeapps.list', 'Default Applications'],
    ['the cache', 'share/applications/mimeinfo.cache', 'MIME Cache'],
  ])('reads the handler of https from %s', async (_, file, group) => {
    write(file, list(group, 'gone.desktop;org.browser.desktop;'));
    write('share/applications/org.browser.desktop', entry('/usr/bin/browser %u'));
    expect(await find()).toBe('graphical');
    write('share/applications/org.browser.desktop', entry('elinks %u'));
    expect(await find()).toBe('none');
    write('share/applications/org.browser.desktop', entry('browser %u', true));
    expect(await find()).toBe('none');
  });

  it('prefers the list of the caller\'s desktop, and the user\'s to the system\'s', async () => {
    write('share/applications/text.desktop', entry('w3m %u'));
    write('share/applications/window.desktop', entry('firefox %u'));
    write('.config/mimeapps.list', list('Default Applications', 'text.desktop'));
    write('etc/mimeapps.list', list('Default Applications', 'window.desktop'));
    expect(await find()).toBe('none');
    write('.config/gnome-mimeapps.list', list('Default Applications', 'window.desktop'));
    expect(await find({ XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' })).toBe('graphical');
  });

  it('takes no handler with a path in its name', async () => {
    write('secret.desktop', entry('firefox'));
    const without = await find();
    write('.config/mimeapps.list', list('Default Applications', '../../secret.desktop;/etc/passwd'));
    expect(await find()).toBe(without);
  });

  it('does not wait for a pipe in place of a file', async () => {
    mkdirSync(join(home, '.config'));
    expect(spawnSync('mkfifo', [join(home, '.config/mimeapps.list')]).status).toBe(0);
    expect(['graphical', 'none', 'unknown']).toContain(await find());
  });
});
