/** The installed pip and uv with the built CLI as their keyring, at an index that asks the issuer about each token. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPackageIndex, WHEEL } from '../support/package-index.ts';
import type { PackageIndex } from '../support/package-index.ts';
import { makeToolRig, toolObstacle } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

const PIP = toolObstacle('pip', 'Debian package python3-pip');
const UV = toolObstacle('uv', 'package uv of PyPI');
/** A wheel (PEP 427) of one module. */
const MAKE_WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('project.py', 'NAME = "project"\\n')
    wheel.writestr('project-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: project\\nVersion: 1.0\\n')
    wheel.writestr('project-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('project-1.0.dist-info/RECORD', 'project.py,,\\nproject-1.0.dist-info/METADATA,,\\nproject-1.0.dist-info/WHEEL,,\\nproject-1.0.dist-info/RECORD,,\\n')
`;

describe.skipIf(PIP !== null)('a keyring that holds no password', { timeout: 60_000 }, () => {
  let rig: ToolRig;
  let index: PackageIndex;

  beforeAll(async () => {
    rig = await makeToolRig();
    const made = await rig.run('python3', ['-c', MAKE_WHEEL, join(rig.root, WHEEL)]);
    expect(made.exit, made.stderr).toBe(0);
    index = await startPackageIndex(readFileSync(join(rig.root, WHEEL)), rig.isGood);
    rig.addProgram('keyring', `exec valetkey credential keyring --profile work --url 'http://${index.host}' "$@"`);
  });
  beforeEach(() => rig.signIn());
  afterAll(async () => {
    await index.close();
    await rig.close();
  });

  const env = { PIP_CONFIG_FILE: '/dev/null', PIP_KEYRING_PROVIDER: 'subprocess', PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_CACHE_DIR: '1', UV_KEYRING_PROVIDER: 'subprocess', UV_NO_CONFIG: '1', UV_NO_CACHE: '1', UV_HTTP_RETRIES: '0' };
  const INSTALL = {
    pip: (host: string, into: string, name = 'oauth2@') => rig.run('pip', ['install', '--no-deps', '--retries', '0', '--target', into, '--index-url', `http://${name}${host}/simple`, 'project'], { env }),
    uv: (host: string, into: string, name = 'oauth2@') => rig.run('uv', ['pip', 'install', '--no-deps', '--target', into, '--index-url', `http://${name}${host}/simple`, 'project'], { env }),
  } satisfies Readonly<Record<string, (host: string, into: string, name?: string) => Promise<Finished>>>;

  describe.each([['pip', PIP], ['uv', UV]] as const)('asked by %s', (tool, obstacle) => {
    it.skipIf(obstacle !== null)('installs as who signed in, also when the token of before is over', async () => {
      for (const force of [false, true]) {
        if (force) expect((await rig.home.valetkey(['token', 'work', '--force'])).exit).toBe(0);
        const into = mkdtempSync(join(rig.root, 'site-'));
        const { exit, stderr } = await INSTALL[tool](index.host, into);
        expect(exit, stderr).toBe(0);
        expect(existsSync(join(into, 'project.py'))).toBe(true);
        expect(index.seen.at(-1)).toMatch(/^oauth2:./);
      }
      expect(await rig.filesWithToken()).toEqual([]);
    });

    it.skipIf(obstacle !== null)('fails, with the command to run, where nobody is signed in', async () => {
      expect((await rig.home.valetkey(['logout', 'work'])).exit).toBe(0);
      const { exit, stderr } = await INSTALL[tool](index.host, mkdtempSync(join(rig.root, 'site-')));
      expect(exit).not.toBe(0);
      expect(stderr).toContain('valetkey login work');
    });

    it.skipIf(obstacle !== null)('[MC-03] gives its token to no other index', async () => {
      const elsewhere = await startPackageIndex(Buffer.alloc(0), rig.isGood);
      const { stdout: token } = await rig.home.valetkey(['token', 'work']);
      try {
        expect((await INSTALL[tool](elsewhere.host, mkdtempSync(join(rig.root, 'site-')))).exit).not.toBe(0);
        expect(elsewhere.seen.length).toBeGreaterThan(0);
        expect(elsewhere.seen.filter((who) => who?.includes(token.trim()) === true)).toEqual([]);
      } finally {
        await elsewhere.close();
      }
    });
  });
});
