import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { browserArgv, browserEnvironment, checkStartUrl, openBrowser } from '../../../client/browser.ts';
import { privateDirectory } from './stand-in.ts';

/** A browser's stand-in: writes down how it was called. */
function recorder(): { command: readonly string[]; record: () => { argv: string[]; env: Record<string, string> } } {
  const file = join(privateDirectory(), 'record.json');
  const program = `require('node:fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify({ argv: process.argv.slice(1), env: process.env }))`;
  return {
    command: [process.execPath, '-e', program, '--'],
    record: () => JSON.parse(readFileSync(file, 'utf8')) as { argv: string[]; env: Record<string, string> },
  };
}

describe('the browser', () => {
  it('[LB-09] is started without a shell: what a shell would obey arrives as one inert word', async () => {
    const { command, record } = recorder();
    const witness = join(privateDirectory(), 'witness');
    const url = `http://127.0.0.1:4711/start/$(touch${'${IFS}'}${witness})?a=\`id\`&calc;|x`;
    expect(await openBrowser(url, command, { PATH: '/usr/bin:/bin' })).toEqual({ kind: 'opened' });
    expect(record().argv).toEqual([new URL(url).href]);
    expect(existsSync(witness)).toBe(false);
  });

  it('[LB-09] gets neither what loads code nor this process\'s secrets', async () => {
    const { command, record } = recorder();
    const hostile = { NODE_OPTIONS: '--no-warnings', LD_PRELOAD: '', DYLD_X: 'x', VALETKEY_PROFILE: 'x', npm_config_x: 'x', GITHUB_TOKEN: 'x', AWS_SECRET_ACCESS_KEY: 'x', BASH_ENV: 'x', SSLKEYLOGFILE: 'x' };
    const kept = { PATH: '/usr/bin:/bin', DISPLAY: ':0', WAYLAND_DISPLAY: 'w', XDG_RUNTIME_DIR: '/run/user/1', DBUS_SESSION_BUS_ADDRESS: 'd', HOME: '/h', LANG: 'C' };
    await openBrowser('http://[::1]:4711/start/x', command, { ...hostile, ...kept });
    expect(record().env).toEqual(kept);
    expect(Object.keys(browserEnvironment(hostile))).toEqual([]);
  });

  it('says so when it cannot be started, or fails at once', async () => {
    expect(await openBrowser('http://127.0.0.1:1/', ['/nonexistent/browser'], {})).toMatchObject({ kind: 'failed', why: expect.stringContaining('ENOENT') as string });
    expect(await openBrowser('http://127.0.0.1:1/', [process.execPath, '-e', 'process.exit(3)'], {})).toMatchObject({ kind: 'failed', why: expect.stringContaining('exit status 3') as string });
    expect(await openBrowser('http://127.0.0.1:1/', [], {})).toEqual(expect.objectContaining({ kind: 'failed' }));
  });

  it('counts as opened when it goes on running', async () => {
    const opening = await openBrowser('http://127.0.0.1:1/', [process.execPath, '-e', 'setTimeout(() => {}, 2500)'], {});
    expect(opening).toEqual({ kind: 'opened' });
  });
});

it.each([
  [['firefox'], ['firefox', 'U']], [['firefox', '--new-tab', '{url}', '-x'], ['firefox', '--new-tab', 'U', '-x']], [['x', '--app={url}'], ['x', '--app=U']],
])('%j is called as %j', (command, argv) => {
  expect(browserArgv(command, 'U')).toEqual(argv);
});

it('a link with $& in it is put in as it is', () => {
  expect(browserArgv(['x', '{url}'], 'http://127.0.0.1:1/$&')).toEqual(['x', 'http://127.0.0.1:1/$&']);
});

it.each([
  'https://127.0.0.1:1/', 'http://127.0.0.1/', 'http://localhost:1/', 'http://127.0.0.2:1/', 'http://[::2]:1/', 'http://a@127.0.0.1:1/', 'http://:b@127.0.0.1:1/',
  'javascript:alert(1)', 'file:///x', 'data:text/html,x', '--remote-debugging-port=1', '', 'http://127.0.0.1.example.com:1/', 'http://example.com:1/#http://127.0.0.1:1/',
])('[LB-09] %j is not a link that is opened', (url) => {
  expect(() => checkStartUrl(url)).toThrow(expect.objectContaining({ code: 'browser_failed' }) as Error);
});
