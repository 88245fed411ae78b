/** The installed git with the built CLI as its helper, at a server that asks the issuer about each token. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { startGitServer } from '../support/git-server.ts';
import type { GitServer } from '../support/git-server.ts';
import { BROWSER, CLI, makeHome, needBuild } from './built-cli.ts';
import type { Finished, Home } from './built-cli.ts';

let home: Home;
let issuer: EmbeddedIssuer;
let server: GitServer;
let root: string;
let clones = 0;

function git(args: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const before = performance.now();
  return new Promise((resolve, reject) => {
    const identity = { GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.com', GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.com' };
    const child = spawn('git', args, { cwd, env: { ...home.env, ...identity, HOME: root, GIT_CONFIG_NOSYSTEM: '1', ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    child.once('error', reject);
    child.once('close', (exit) => resolve({ exit, stdout, stderr, ms: performance.now() - before }));
  });
}

/** A word of a command line, in the quotes of git's configuration. */
const word = (text: string): string => `'${text}'`;

beforeAll(async () => {
  needBuild();
  home = makeHome();
  root = mkdtempSync(join(tmpdir(), 'valetkey-git-'));
  issuer = await startIssuer({ lifetimes: { accessTokenS: 600 } });
  mkdirSync(join(root, 'repositories'));
  server = await startGitServer(join(root, 'repositories'), issuer.url);
  const made = await git(['init', '--quiet', '--bare', '-b', 'main', 'repositories/project.git'], root);
  expect(made).toMatchObject({ exit: 0 });
  const added = await home.valetkey([
    'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
    ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]),
  ]);
  expect(added.stderr).toContain('Next: valetkey login work');
  const helper = `!${[process.execPath, CLI, 'credential', 'git', '--profile', 'work', '--url', server.url].map(word).join(' ')}`;
  writeFileSync(join(root, '.gitconfig'), `[credential]\n\thelper = store\n[credential "${server.url}"]\n\thelper =\n\thelper = "${helper}"\n`);
});
beforeEach(async () => {
  const { exit, stdout } = await home.atTerminal(['login', 'work']);
  expect(exit, stdout).toBe(0);
});
afterAll(async () => {
  await server.close();
  await home.leave();
  await issuer.close();
  rmSync(root, { recursive: true, force: true });
});

async function clone(): Promise<string> {
  clones += 1;
  const into = `clone-${clones}`;
  const { exit, stderr } = await git(['clone', '--quiet', `${server.url}/project.git`, into], root);
  expect(exit, stderr).toBe(0);
  return join(root, into);
}

async function commitAndPush(at: string, text: string): Promise<Finished> {
  writeFileSync(join(at, 'file'), text);
  await git(['add', 'file'], at);
  await git(['commit', '--quiet', '-m', text], at);
  return git(['push', '--quiet', 'origin', 'HEAD:main'], at);
}

describe('git with a helper that holds no token', () => {
  it('clones, pushes and fetches as who signed in, also when the token of before is over', async () => {
    const [one, other] = [await clone(), await clone()];
    expect(await commitAndPush(one, 'first')).toMatchObject({ exit: 0, stderr: '' });
    expect((await home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
    expect(await git(['pull', '--quiet', 'origin', 'main'], other)).toMatchObject({ exit: 0, stderr: '' });
    expect(readFileSync(join(other, 'file'), 'utf8')).toBe('first');
  });

  it('has a token refreshed once that the server takes no more', async () => {
    const at = await clone();
    server.refuseUsed();
    expect((await git(['fetch', '--quiet'], at)).exit).not.toBe(0);
    expect(await git(['fetch', '--quiet'], at)).toMatchObject({ exit: 0, stderr: '' });
  });

  it('fails at once, with the command to run, and asks nobody for a password, where nobody is signed in', async () => {
    expect((await home.valetkey(['logout', 'work'])).exit).toBe(0);
    const { exit, stderr } = await git(['ls-remote', `${server.url}/project.git`], root);
    expect(exit).toBe(128);
    expect(stderr).toContain('valetkey login work');
    expect(stderr).toMatch(/told us to quit/);
  });

  it('[MC-03] gives its token to no other server, and leaves it in no file', async () => {
    const elsewhere = await startGitServer(join(root, 'repositories'), issuer.url);
    try {
      // Where no helper answers, git asks whoever sits at the terminal.
      expect((await git(['ls-remote', `${elsewhere.url}/project.git`], root, { GIT_TERMINAL_PROMPT: '0' })).exit).not.toBe(0);
      expect(elsewhere.seen).toEqual([null]);
    } finally {
      await elsewhere.close();
    }
    await clone();
    const { stdout: token } = await home.valetkey(['token', 'work']);
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files).not.toContain(join(root, '.git-credentials'));
    for (const file of files) expect(readFileSync(file).includes(token.trim()), file).toBe(false);
  });
});
