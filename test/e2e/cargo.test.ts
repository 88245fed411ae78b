/** The installed cargo with the built CLI as its credential provider, at a registry that asks the issuer about each token. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCrateRegistry } from '../support/crate-registry.ts';
import type { CrateRegistry } from '../support/crate-registry.ts';
import { makeToolRig, toolObstacle, versionOf } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

function cargoObstacle(): string | null {
  const missing = toolObstacle('cargo', 'Debian package cargo');
  if (missing !== null) return missing;
  const [, minor = '0'] = /^cargo 1\.(\d+)/.exec(versionOf('cargo') ?? '') ?? [];
  if (Number(minor) >= 74) return null;
  console.log(`cargo with its helper is not tested: providers came with 1.74, and this is 1.${minor}`);
  return 'too old';
}
const OBSTACLE = cargoObstacle();

describe.skipIf(OBSTACLE !== null)('cargo with a provider that holds no token', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  let registry: CrateRegistry;

  beforeAll(async () => {
    rig = await makeToolRig();
    registry = await startCrateRegistry(rig.isGood);
    rig.addProgram('cargo-credential-valetkey-work', `exec valetkey credential cargo --profile work --url '${registry.url}' "$@"`);
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    await registry.close();
    await rig.close();
  });

  function cargo(args: readonly string[], url = registry.url): Promise<Finished> {
    const at = mkdtempSync(join(rig.root, 'crate-'));
    mkdirSync(join(at, '.cargo'));
    mkdirSync(join(at, 'src'));
    writeFileSync(join(at, 'src/lib.rs'), '');
    writeFileSync(join(at, 'Cargo.toml'), '[package]\nname = "user"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nproject = { version = "1", registry = "work" }\n');
    writeFileSync(join(at, '.cargo/config.toml'), `[registries.work]\nindex = "sparse+${url}/index/"\ncredential-provider = "cargo-credential-valetkey-work"\n`);
    return rig.run('cargo', args, { cwd: at, env: { CARGO_HOME: join(at, 'cargo-home'), RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(homedir(), '.rustup'), CARGO_NET_RETRY: '0' } });
  }

  it('resolves and yanks as who signed in, also when the token of before is over', async () => {
    for (const [force, args] of [[false, ['generate-lockfile']], [true, ['yank', '--registry', 'work', 'project@1.0.0']]] as const) {
      if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
      const { exit, stderr } = await cargo(args);
      expect(exit, stderr).toBe(0);
      expect(registry.seen.at(-1)).toMatch(/^Bearer ./);
    }
    expect(await rig.filesWithToken()).toEqual([]);
  });

  it('fails at once, with the command to run, where nobody is signed in', async () => {
    expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
    const { exit, stderr } = await cargo(['generate-lockfile']);
    expect(exit).not.toBe(0);
    expect(stderr).toContain('valetkey login work');
    expect(stderr).toContain('login_required');
  });

  it('says hello before it is asked, answers a line without an end, and takes none that is too long', async () => {
    const ask = JSON.stringify({ v: 1, kind: 'get', operation: 'read', registry: { 'index-url': `sparse+${registry.url}/index/` } });
    const argv = ['credential', 'cargo', '--profile', 'work', '--url', registry.url];
    const { exit, stdout } = await rig.home.valetkey(argv, { stdin: ask });
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^\{"v":\[1\]\}\n\{"Ok":\{"kind":"get","token":"Bearer [^"]+","cache":"expires","expiration":\d+,"operation_independent":true\}\}\n$/);
    expect(await rig.home.valetkey(argv, { stdin: ask.padEnd(70_000) })).toMatchObject({ exit: 2, stdout: '{"v":[1]}\n' });
  });

  it('[MC-03] gives its token to no other registry, and keeps none that is typed', async () => {
    const elsewhere = await startCrateRegistry(rig.isGood);
    try {
      expect((await cargo(['generate-lockfile'], elsewhere.url)).exit).not.toBe(0);
      expect(new Set(elsewhere.seen)).toEqual(new Set([null]));
    } finally {
      await elsewhere.close();
    }
    const login = await cargo(['login', '--registry', 'work', 'typed-EXAMPLE']);
    expect(login.exit).not.toBe(0);
    expect(login.stderr).toContain('nothing is kept here but the token of the profile work');
  });
});
