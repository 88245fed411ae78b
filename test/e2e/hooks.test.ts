/** Hooks of the built daemon, from the file in its place to the program that runs: what that is, and what it may. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WhoamiReply } from '../../shared/whoami-schemas.ts';
import { CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
beforeAll(() => {
  needBuild();
  home = makeHome();
  mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
  writeFileSync(join(home.base, 'tell'), `#!/bin/sh\nenv | sort > ${home.base}/env\nexport XDG_STATE_HOME=${home.base}/state XDG_CONFIG_HOME=${home.base}/config\n${process.execPath} ${CLI} whoami --json > ${home.base}/whoami.new\nmv ${home.base}/whoami.new ${home.base}/whoami\n`);
  chmodSync(join(home.base, 'tell'), 0o755);
});
afterAll(() => home.leave());

const writeHooks = (text: string): void => writeFileSync(join(home.base, 'config/valetkey/hooks.toml'), `v = 1\n${text}`, { mode: 0o600 });

it('are read at the start, run with a made environment, and are a workload where they ask', async () => {
  writeHooks(`[[hooks]]\nname = "tell"\non = ["locked"]\nrun = ["${home.base}/tell"]\n`);
  expect((await home.valetkey(['lock'], { env: { HOOK_TEST_SECRET: 'secret-EXAMPLE' } })).exit).toBe(0);
  await expect.poll(() => existsSync(join(home.base, 'whoami')), { timeout: 30_000 }).toBe(true);
  const environment = readFileSync(join(home.base, 'env'), 'utf8');
  expect(environment).toContain('VALETKEY_EVENT=locked\n');
  expect(environment).toContain(`XDG_RUNTIME_DIR=${home.base}/run\n`);
  expect(environment).not.toMatch(/EXAMPLE|NODE_|VALETKEY_STARTED_BY/);
  const { class: kind, terminal } = JSON.parse(readFileSync(join(home.base, 'whoami'), 'utf8')) as WhoamiReply;
  expect({ kind, terminal }).toEqual({ kind: 'workload', terminal: null });
}, 60_000);

it('that are wrong are told by reload, by line, and by status and doctor until they are mended', async () => {
  writeHooks('[[hooks]]\nname = "tell"\non = ["token_released"]\nrun = ["/bin/true"]\n');
  const { exit, stderr } = await home.valetkey(['daemon', 'reload']);
  expect([exit, stderr]).toEqual([8, expect.stringMatching(/hooks\.toml:4:1: "on" of \[\[hooks\]\] number 1 takes: login_needed, /) as string]);
  expect((await home.valetkey(['status'])).stderr).toContain('warning: hooks: ');
  expect((await home.valetkey(['doctor'])).stdout).toContain('hooks.toml:4:1');
  writeHooks('');
  expect((await home.valetkey(['daemon', 'reload'])).exit).toBe(0);
  expect((await home.valetkey(['status'])).stderr).not.toContain('hooks: ');
});
