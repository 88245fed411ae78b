/**
 * A tool of somebody else's with the built CLI as its helper: an issuer, a profile that a person has signed in to, a
 * home directory for the tool, and `valetkey` on its PATH.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import { BROWSER, CLI, makeHome, needBuild } from '../e2e/built-cli.ts';
import type { Finished, Home } from '../e2e/built-cli.ts';

export type ToolRig = {
  readonly home: Home;
  readonly issuer: EmbeddedIssuer;
  /** HOME of the tool. */
  readonly root: string;
  /** Absolute path of a program that is `valetkey`. */
  readonly valetkey: string;
  /** Puts a shell script on the tool's PATH. */
  addProgram(name: string, text: string): string;
  run(file: string, args: readonly string[], more?: { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string; readonly cwd?: string }): Promise<Finished>;
  signIn(): Promise<void>;
  /** Whether the issuer knows it, and it has not ended. */
  isGood(token: string): Promise<boolean>;
  /** Files of the tool that hold the token of now. */
  filesWithToken(): Promise<readonly string[]>;
  close(): Promise<void>;
};

/** The first line of what the tool says of its version; null where there is none. */
export function versionOf(tool: string, args: readonly string[] = ['--version']): string | null {
  const { error, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  return error === undefined ? (stdout + stderr).split('\n', 1)[0] ?? '' : null;
}

/** Null where the tool is there; else why its tests do not run. */
export function toolObstacle(tool: string, from: string): string | null {
  const obstacle = versionOf(tool) === null ? `there is no ${tool} (${from})` : null;
  if (obstacle !== null) console.log(`${tool} with its helper is not tested: ${obstacle}`);
  return obstacle;
}

export async function makeToolRig(issuerOptions: IssuerOptions = {}, profileFlags: readonly string[] = []): Promise<ToolRig> {
  needBuild();
  const home = makeHome();
  const root = mkdtempSync(join(tmpdir(), 'valetkey-tool-'));
  const issuer = await startIssuer({ lifetimes: { accessTokenS: 600 }, ...issuerOptions });
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const addProgram: ToolRig['addProgram'] = (name, text) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return join(bin, name);
  };
  // By the name that it is installed under, since callers are told by their names.
  symlinkSync(CLI, join(root, 'valetkey.cjs'));
  const valetkey = addProgram('valetkey', `exec '${process.execPath}' '${join(root, 'valetkey.cjs')}' "$@"`);
  const added = await home.valetkey([
    'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'valetkey', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
    ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((each) => ['--browser', each]), ...profileFlags,
  ]);
  if (added.exit !== 0) throw new Error(`the profile was not added: ${added.stderr}`);

  const env = { ...home.env, HOME: root, PATH: `${bin}${delimiter}${home.env['PATH'] ?? ''}` };
  const run: ToolRig['run'] = (file, args, more = {}) => {
    const before = performance.now();
    return new Promise((resolve, reject) => {
      const child = spawn(file, args, { cwd: more.cwd ?? root, env: { ...env, ...more.env }, stdio: ['pipe', 'pipe', 'pipe'] });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
      child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
      child.stdin.on('error', () => undefined); // it may end without reading
      child.stdin.end(more.stdin ?? '');
      child.once('error', reject);
      child.once('close', (exit) => resolve({ exit, stdout, stderr, ms: performance.now() - before }));
    });
  };
  return {
    home, issuer, root, valetkey, addProgram, run,
    async signIn() {
      const { exit, stdout } = await home.atTerminal(['login', 'work']);
      if (exit !== 0) throw new Error(`nobody could sign in: ${stdout}`);
    },
    isGood: async (token) => token !== '' && (await issuer.introspect(token)).active,
    async filesWithToken() {
      const { exit, stdout } = await home.valetkey(['token', 'work']);
      if (exit !== 0) throw new Error('there is no token to look for');
      const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      return files.filter((file) => readFileSync(file).includes(stdout.trim()));
    },
    async close() {
      await home.leave();
      await issuer.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
