/** The installed npm and pnpm with the built CLI, at a registry that asks the issuer about each token. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startNpmRegistry } from '../support/npm-registry.ts';
import type { NpmRegistry } from '../support/npm-registry.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const NPM = toolObstacle('npm', 'it comes with Node');
const PNPM = toolObstacle('pnpm', 'package pnpm of npm');

let rig: ToolRig;
let registry: NpmRegistry;
let other: NpmRegistry;
/** A directory with a package of its own. */
let at: string;

beforeAll(async () => {
  rig = await makeToolRig();
  registry = await startNpmRegistry(rig.isGood);
  other = await startNpmRegistry(rig.isGood);
});
beforeEach(async () => {
  await rig.signIn();
  at = mkdtempSync(join(rig.root, 'package-'));
  writeFileSync(join(at, 'package.json'), '{"name":"user","version":"1.0.0"}');
});
afterAll(async () => {
  await registry.close();
  await other.close();
  await rig.close();
});

const ENV = { npm_config_update_notifier: 'false', npm_config_fetch_retries: '0' };

describe.skipIf(PNPM !== null)('pnpm with a token helper', { timeout: 60_000 }, () => {
  function add(from: NpmRegistry): Promise<Finished> {
    const helper = rig.addProgram('pnpm-token', 'exec valetkey credential pnpm --profile work');
    writeFileSync(join(rig.root, '.npmrc'), `registry=http://${from.host}/\n//${registry.host}/:tokenHelper=${helper}\n`);
    return rig.run('pnpm', ['add', '--lockfile-only', '--store-dir', join(rig.root, 'store'), 'project'], { cwd: at, env: ENV });
  }

  it('resolves as who signed in, also when the token of before is over', async () => {
    for (const force of [false, true]) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const { exit, stdout, stderr } = await add(registry);
      expect(exit, stdout + stderr).toBe(0);
      expect(registry.seen.at(-1)).toMatch(/^Bearer ./);
    }
    expect(readFileSync(join(at, 'pnpm-lock.yaml'), 'utf8')).toContain('project@1.0.0');
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('[MC-03] takes the token to no registry but that of the key', async () => {
    expect((await add(other)).exit).not.toBe(0);
    expect(new Set(other.seen)).toEqual(new Set([null]));
  });

  it('fails at once with the status that says that a person has to sign in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const { exit, stdout, stderr } = await add(registry);
    expect(exit).not.toBe(0);
    expect(stdout + stderr).toMatch(/token helper.*Exit code 3/s);
  });
});

it.skipIf(NPM !== null)('npm takes a token from its environment, and writes it nowhere', { timeout: 60_000 }, async () => {
  writeFileSync(join(rig.root, '.npmrc'), `registry=http://${registry.host}/\n//${registry.host}/:_authToken=\${WORK_TOKEN}\n`);
  const { exit, stdout, stderr } = await rig.run('sh', ['-c', 'WORK_TOKEN="$(valetkey token work)" npm view project version'], { cwd: at, env: ENV });
  expect(exit, stderr).toBe(0);
  expect(stdout).toBe('1.0.0\n');
  expect(registry.seen.at(-1)).toMatch(/^Bearer ./);
  expect(await rig.filesWithToken()).toEqual([]);
});
