/** The installed skopeo and docker with the built CLI as their credential helper, at a registry that asks the issuer about each token. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRegistry } from '../support/registry-server.ts';
import type { RegistryServer } from '../support/registry-server.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const TOOLS = [
  { tool: 'skopeo', obstacle: toolObstacle('skopeo', 'Debian package skopeo'), args: (image: string) => ['inspect', '--tls-verify=false', `docker://${image}`], shows: '"project"' },
  { tool: 'docker', obstacle: toolObstacle('docker', 'Debian package docker.io, of some 200 MB, which is not installed for this'), args: (image: string) => ['manifest', 'inspect', '--insecure', image], shows: '"schemaVersion": 2' },
] as const;

let rig: ToolRig;
let registry: RegistryServer;

beforeAll(async () => {
  rig = await makeToolRig();
  registry = await startRegistry(rig.isGood);
  rig.addProgram('docker-credential-valetkey-work', `exec valetkey credential docker --profile work --url 'http://${registry.host}' "$@"`);
  mkdirSync(join(rig.root, '.docker'));
  writeFileSync(join(rig.root, '.docker/config.json'), JSON.stringify({ credHelpers: { [registry.host]: 'valetkey-work' } }));
});
beforeEach(() => rig.signIn());
afterAll(async () => {
  await registry.close();
  await rig.close();
});

const run = (tool: string, args: readonly string[], stdin = ''): Promise<Finished> => rig.run(tool, args, { stdin, env: { DOCKER_HOST: `tcp://${registry.host}`, REGISTRY_AUTH_FILE: join(rig.root, '.docker/config.json') } });

describe.each(TOOLS)('$tool with a helper that holds no token', { timeout: 60_000 }, ({ tool, obstacle, args, shows }) => {
  it.skipIf(obstacle !== null)('reads an image as who signed in, also when the token of before is over', async () => {
    for (const force of [false, true]) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const { exit, stdout, stderr } = await run(tool, args(`${registry.host}/project:v1`));
      expect(exit, stderr).toBe(0);
      expect(stdout.replaceAll(/\s+/g, ' ')).toContain(shows);
      expect(registry.seen.at(-1)).toMatch(/^oauth2:./);
    }
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it.skipIf(obstacle !== null)('fails at once, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const { exit, stderr } = await run(tool, args(`${registry.host}/project:v1`));
    expect(exit).not.toBe(0);
    expect(stderr).toContain('valetkey login work');
  });

  it.skipIf(obstacle !== null)('[MC-03] gives its token to no other registry, also where the configuration names it for one', async () => {
    const elsewhere = await startRegistry(rig.isGood);
    const config = join(rig.root, '.docker/config.json');
    try {
      writeFileSync(config, JSON.stringify({ credHelpers: { [registry.host]: 'valetkey-work', [elsewhere.host]: 'valetkey-work' } }));
      const { exit } = await run(tool, args(`${elsewhere.host}/project:v1`));
      expect(exit).not.toBe(0);
      expect(new Set(elsewhere.seen)).toEqual(new Set([null]));
    } finally {
      writeFileSync(config, JSON.stringify({ credHelpers: { [registry.host]: 'valetkey-work' } }));
      await elsewhere.close();
    }
  });
});

describe('the state of a login', { timeout: 60_000 }, () => {
  it.skipIf(TOOLS[1].obstacle !== null)('docker logs in without a password, keeps none, and says at logout that the profile is still signed in', async () => {
    const login = await run('docker', ['login', registry.host]);
    expect(login.exit, login.stderr).toBe(0);
    expect(login.stdout).toContain('Login Succeeded');
    const logout = await run('docker', ['logout', registry.host]);
    expect(logout.stdout + logout.stderr).toContain('valetkey logout work');
    expect((await rig.home.valetkey(['token', 'work'])).exit).toBe(0);
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it.skipIf(TOOLS[0].obstacle !== null)('skopeo knows who would sign in, and is told that no password is kept', async () => {
    expect(await run('skopeo', ['login', '--tls-verify=false', '--get-login', registry.host])).toMatchObject({ exit: 0, stdout: 'oauth2\n' });
    const { stdout: token } = await rig.home.valetkey(['token', 'work']);
    const other = await run('skopeo', ['login', '--tls-verify=false', '--username', 'bob', '--password-stdin', registry.host], token);
    expect(other.exit).not.toBe(0);
    expect(other.stderr).toContain('nothing is kept here but the token of the profile work');
  });
});
