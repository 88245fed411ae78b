/** `valetkey setup` with the installed tools: what it writes is enough for their real work, and is taken out to the byte. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCrateRegistry } from '../support/crate-registry.ts';
import { startGitServer } from '../support/git-server.ts';
import { startKubeServer } from '../support/kube-server.ts';
import { CERTIFICATE } from '../support/loopback-tls.ts';
import { startNpmRegistry } from '../support/npm-registry.ts';
import { startRegistry } from '../support/registry-server.ts';
import { makeToolRig, toolObstacle, versionOf } from '../support/tool-rig.ts';
import type { ToolRig } from '../support/tool-rig.ts';
import type { Finished } from './built-cli.ts';

let rig: ToolRig;

beforeAll(async () => {
  rig = await makeToolRig();
});
beforeEach(() => rig.signIn());
afterAll(() => rig.close());

const setup = (tool: string, ...more: readonly string[]): Promise<Finished> => rig.run(rig.valetkey, ['setup', tool, '--profile', 'work', ...more]);

/** Every file of the tool's home with its mode and bytes. */
function everything(): Readonly<Record<string, string>> {
  const files = readdirSync(rig.root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(files.map((file) => [file, `${(statSync(file).mode & 0o777).toString(8)} ${readFileSync(file, 'latin1')}`]));
}

/** Sets up, does the work, and takes it out again: then everything is as before. */
async function proveSetup(tool: string, url: string, work: () => Promise<Finished>): Promise<void> {
  const before = everything();
  const made = await setup(tool, '--url', url, '--yes');
  expect(made.exit, made.stderr).toBe(0);
  const after = everything();
  expect(after).not.toEqual(before);
  expect((await setup(tool, '--url', url, '--yes')).exit).toBe(0);
  expect(everything(), 'twice is once').toEqual(after);
  const worked = await work();
  expect(worked.exit, worked.stdout + worked.stderr).toBe(0);
  expect(await rig.filesWithToken()).toEqual([]);
  const undone = await setup(tool, '--undo', '--yes');
  expect(undone.exit, undone.stderr).toBe(0);
  const left = everything();
  for (const file of Object.keys(after)) expect(left[file], file).toBe(before[file]);
}

function put(file: string, text: string, mode = 0o644): string {
  const path = join(rig.root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
  return path;
}

describe('valetkey setup', { timeout: 60_000 }, () => {
  it('lets git clone, beside a helper that would keep the token', async () => {
    const repositories = mkdtempSync(join(rig.root, 'repositories-'));
    expect((await rig.run('git', ['init', '--quiet', '--bare', join(repositories, 'project.git')])).exit).toBe(0);
    const server = await startGitServer(repositories, rig.issuer.url);
    try {
      put('.gitconfig', '# mine\n[credential]\n\thelper = store\n[user]\n\tname = Ada\n');
      await proveSetup('git', server.url, () => rig.run('git', ['clone', '--quiet', `${server.url}/project.git`, join(mkdtempSync(join(rig.root, 'clone-')), 'to')]));
      expect(existsSync(join(rig.root, '.git-credentials'))).toBe(false);
    } finally {
      await server.close();
    }
  });

  it.skipIf(toolObstacle('skopeo', 'Debian package skopeo') !== null)('lets skopeo read an image, beside another registry', async () => {
    const registry = await startRegistry(rig.isGood);
    try {
      const file = put('.docker/config.json', '{\n\t"auths": {\n\t\t"other.example.com": {}\n\t},\n\t"credHelpers": {\n\t\t"other.example.com": "other"\n\t}\n}', 0o600);
      const env = { PATH: `${rig.root}/.local/bin:${rig.root}/bin:${process.env['PATH'] ?? ''}`, REGISTRY_AUTH_FILE: file };
      await proveSetup('docker', `http://${registry.host}`, () => rig.run('skopeo', ['inspect', '--tls-verify=false', `docker://${registry.host}/project:v1`], { env }));
      expect(registry.seen.at(-1)).toMatch(/^oauth2:./);
    } finally {
      await registry.close();
    }
  });

  it.skipIf(toolObstacle('pnpm', 'package pnpm of npm') !== null)('lets pnpm resolve', async () => {
    const registry = await startNpmRegistry(rig.isGood);
    try {
      put('.npmrc', `registry=http://${registry.host}/`);
      const at = mkdtempSync(join(rig.root, 'package-'));
      writeFileSync(join(at, 'package.json'), '{"name":"user","version":"1.0.0"}');
      const made = await setup('pnpm', '--url', `http://${registry.host}`, '--yes');
      expect(made.exit, made.stderr).toBe(0);
      const { exit, stdout, stderr } = await rig.run('pnpm', ['add', '--lockfile-only', '--store-dir', join(rig.root, 'store'), 'project'], { cwd: at, env: { npm_config_update_notifier: 'false', npm_config_fetch_retries: '0' } });
      expect(exit, stdout + stderr).toBe(0);
      expect(registry.seen.at(-1)).toMatch(/^Bearer ./);
      expect((await setup('pnpm', '--undo', '--yes')).exit).toBe(0);
      // A last line without an end has one now.
      expect(readFileSync(join(rig.root, '.npmrc'), 'utf8')).toBe(`registry=http://${registry.host}/\n`);
      expect(existsSync(join(rig.root, '.local/bin/pnpm-token-work'))).toBe(false);
    } finally {
      await registry.close();
    }
  });

  const cargo = toolObstacle('cargo', 'Debian package cargo') === null && Number(/^cargo 1\.(\d+)/.exec(versionOf('cargo') ?? '')?.[1]) >= 74;
  it.skipIf(!cargo)('lets cargo resolve', async () => {
    const registry = await startCrateRegistry(rig.isGood);
    try {
      const at = mkdtempSync(join(rig.root, 'crate-'));
      mkdirSync(join(at, 'src'));
      writeFileSync(join(at, 'src/lib.rs'), '');
      writeFileSync(join(at, 'Cargo.toml'), '[package]\nname = "user"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nproject = { version = "1", registry = "work" }\n');
      put('.cargo/config.toml', '[net]\nretry = 0\n');
      await proveSetup('cargo', `${registry.url}/index/`, () => rig.run('cargo', ['generate-lockfile'], { cwd: at, env: { RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(homedir(), '.rustup') } }));
      expect(registry.seen.at(-1)).toMatch(/^Bearer ./);
    } finally {
      await registry.close();
    }
  });

  it.skipIf(toolObstacle('kubectl', 'of kubernetes.io') !== null)('lets kubectl list pods, where it knows the flags, and else says what to write', async () => {
    const server = await startKubeServer(rig.isGood);
    try {
      writeFileSync(join(rig.root, 'ca.pem'), CERTIFICATE);
      const config = put('kubeconfig.json', JSON.stringify({
        apiVersion: 'v1', kind: 'Config', 'current-context': 'work', users: [{ name: 'other', user: { token: 'kept' } }],
        clusters: [{ name: 'work', cluster: { server: server.url, 'certificate-authority': join(rig.root, 'ca.pem') } }], contexts: [{ name: 'work', context: { cluster: 'work', user: 'work' } }],
      }));
      const env = { KUBECONFIG: config };
      const made = await rig.run(rig.valetkey, ['setup', 'kubectl', '--profile', 'work', '--url', server.url, '--yes'], { env });
      if (made.exit !== 0) {
        expect([made.exit, made.stderr]).toEqual([8, expect.stringContaining('see docs/credentials.md')]);
        return;
      }
      const { exit, stdout, stderr } = await rig.run('kubectl', ['get', 'pods', '--request-timeout=20s'], { env });
      expect(exit, stderr).toBe(0);
      expect(stdout).toMatch(/web-0/);
      expect((await rig.run(rig.valetkey, ['setup', 'kubectl', '--profile', 'other', '--undo', '--yes'], { env })).exit).toBe(8);
      expect((await rig.run(rig.valetkey, ['setup', 'kubectl', '--profile', 'work', '--undo', '--yes'], { env })).exit).toBe(0);
      const left = readFileSync(config, 'utf8');
      expect(left).toContain('kept');
      expect(left).not.toContain('exec');
    } finally {
      await server.close();
    }
  });

  it('writes nothing where nobody agrees, and says what it would write', async () => {
    const before = everything();
    const { exit, stderr } = await setup('git', '--url', 'https://git.example.com');
    expect(exit).not.toBe(0);
    expect(stderr).toContain('+ [credential "https://git.example.com"]');
    expect(stderr).toContain('--yes');
    expect(everything()).toEqual(before);
  });

  it('lists what is set up', async () => {
    expect((await setup('git', '--url', 'https://git.example.com', '--yes')).exit).toBe(0);
    const { exit, stdout } = await rig.run(rig.valetkey, ['setup', '--json']);
    expect(exit).toBe(0);
    const { tools } = JSON.parse(stdout) as { tools: readonly { readonly tool: string; readonly profiles: readonly string[] | null }[] };
    expect(tools.find(({ tool }) => tool === 'git')?.profiles).toEqual(['work']);
    expect(tools.find(({ tool }) => tool === 'cargo')?.profiles).toEqual([]);
    expect((await setup('git', '--undo', '--yes')).exit).toBe(0);
  });
});
