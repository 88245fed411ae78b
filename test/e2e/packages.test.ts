/** The tarball for npm and the Debian package, built and installed into clean directories, where the installed programs are run. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILD_VERSION } from '../../shared/version.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { makeWorkshop } from '../support/packed.ts';
import type { Workshop } from '../support/packed.ts';
import { notCached, startRegistry } from '../support/registry.ts';
import type { Locked } from '../support/registry.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import { runProgram } from './token-programs.ts';
import type { Ended } from './token-programs.ts';

type Manifest = { readonly name: string; readonly version: string; readonly scripts?: Readonly<Record<string, string>>; readonly man?: readonly string[]; readonly engines?: { readonly node: string } };
type Lock = { readonly packages: Readonly<Record<string, Locked>> };
/** Where the packages lie that this working copy was installed from. */
const CACHE = spawnSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).stdout.trim();
const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

let workshop: Workshop;
let tarball = '';
beforeAll(() => {
  needBuild();
  workshop = makeWorkshop();
  // It builds everything before.
  const { status, stdout, stderr } = workshop.run('npm', ['pack', '--silent', '--pack-destination', workshop.path]);
  if (status !== 0) throw new Error(`the build failed: ${stderr}`);
  tarball = join(workshop.path, stdout.trim().split('\n').at(-1) ?? '');
}, 240_000);
afterAll(() => workshop.remove());

/** Everything that a person does first, by the installed programs: the daemon is the one that comes with them. */
async function signIn(valetkey: string, daemon: string): Promise<void> {
  const issuer = await startHostileIssuer();
  const home = makeHome([valetkey]);
  try {
    mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
    const browser = `browser = ["${process.execPath}", "${BROWSER}", "--login", "alice", "{url}"]`;
    writeFileSync(join(home.base, 'config/valetkey/config.toml'), `[vault]\nbackend = "memory"\n${profileToml('work', issuer.url, browser)}`, { mode: 0o600 });
    expect(await home.valetkey(['completion', '--names', 'profiles'])).toMatchObject({ exit: 0, stdout: 'work\n' });
    expect(await home.atTerminal(['login', 'work'])).toMatchObject({ exit: 0, stdout: expect.stringContaining('Signed in as') as string });
    const { stdout } = await home.valetkey(['status', '--json']);
    const { pid, version, grants } = JSON.parse(stdout) as { pid: number; version: string; grants: readonly unknown[] };
    expect({ version, grants }).toMatchObject({ version: BUILD_VERSION, grants: [{ profile: 'work', state: 'active' }] });
    if (process.platform === 'linux') expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')).toContain(daemon);
    // Every verb is loaded, with the packages that it needs.
    expect((await home.valetkey(['completion', 'bash'])).stdout).toContain('complete -F _valetkey valetkey');
  } finally {
    await home.leave();
    await issuer.close();
  }
}

describe('the tarball for npm', () => {
  let prefix = '';
  let unpacked = '';
  let obstacle: string | null = null;
  const installed = (...parts: readonly string[]): string => join(prefix, 'lib/node_modules/valetkey', ...parts);

  /** From a registry, as a person would, by a PATH with Node and npm on it: no compiler, no shell. */
  async function install(file: string, into: string): Promise<Ended> {
    const manifest = readJson<Manifest>(join(unpacked, 'package/package.json'));
    const registry = await startRegistry({ tarball: file, manifest }, CACHE, readJson<Lock>(join(ROOT, 'package-lock.json')).packages);
    try {
      const bin = mkdtempSync(join(workshop.path, 'bin-'));
      symlinkSync(process.execPath, join(bin, 'node'));
      const npm = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim();
      const env = { ...Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ''])), PATH: bin };
      return await runProgram([npm, 'install', '--global', '--prefix', into, '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--cache', join(into, 'cache'), '--registry', registry.url, `valetkey@${manifest.version}`], env);
    } finally {
      await registry.close();
    }
  }

  beforeAll(async () => {
    unpacked = join(workshop.path, 'unpacked');
    mkdirSync(unpacked);
    expect(spawnSync('tar', ['xzf', tarball, '-C', unpacked]).status).toBe(0);
    prefix = join(workshop.path, 'prefix');
    const missing = notCached(CACHE, ROOT, readJson<Lock>(join(ROOT, 'package-lock.json')).packages);
    if (missing.length > 0) {
      obstacle = `npm's cache lacks ${missing.length} packages: npm ci`;
      return console.warn(`the installed tarball is not tested: ${obstacle}`);
    }
    const { exit, stderr } = await install(tarball, prefix);
    return expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' });
  }, 300_000);

  it('leaves nothing behind in the working copy', () => {
    expect(existsSync(join(workshop.path, 'source/npm-shrinkwrap.json'))).toBe(false);
  });

  it('holds what runs and what is read, and nothing of the development', () => {
    const files = readdirSync(join(unpacked, 'package'), { recursive: true }).map(String);
    expect(files).toEqual(expect.arrayContaining(['dist/client/valetkey.cjs', 'dist/client/index.js', 'dist/client/index.d.ts', 'dist/daemon/valetkeyd.cjs', 'dist/daemon/THIRD-PARTY-LICENSES', 'dist/man/valetkey.1', 'client/python/valetkey.py', 'client/shell/valetkey.sh', 'npm-shrinkwrap.json', 'LICENSE', 'SECURITY.md']));
    expect(files.filter((file) => /^(?:test|scripts|demo|bench|client(?!\/(?:python|shell)(?:\/valetkey\.(?:py|sh))?$)|daemon|shared|node_modules)\/|^dist\/(?:test|demo|bench|release|launcher)\/|tsbuildinfo|(?<!\.d)\.ts$|\.map$/.test(file))).toEqual([]);
    for (const program of ['client/valetkey.cjs', 'daemon/valetkeyd.cjs']) expect(statSync(join(unpacked, 'package/dist', program)).mode & 0o111).toBe(0o111);
    expect(readdirSync(join(ROOT, 'client/commands')).length).toBeLessThanOrEqual(files.filter((file) => /^dist\/client\/commands\/[\w-]+\.js$/.test(file)).length);
  });

  it('is a library for programs in CommonJS and in ES modules, with types for both', async () => {
    const project = join(workshop.path, 'consumer');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(join(unpacked, 'package'), join(project, 'node_modules/valetkey'));
    symlinkSync(join(ROOT, 'node_modules'), join(unpacked, 'package/node_modules'));
    symlinkSync(join(ROOT, 'node_modules/@types'), join(project, 'node_modules/@types'));
    const text = [
      "import { connect, ValetkeyError } from 'valetkey/client';",
      "const client = connect({ socket: '/nonexistent/valetkey' });",
      'export const until = async (): Promise<number> => (await client.getToken({ profile: \'work\' })).expires_at;',
      '// @ts-expect-error -- a number is no profile',
      'export const wrong = async () => client.getToken(7);',
      "until().then(String, (error) => (error instanceof ValetkeyError ? error.code : 'another')).then((told) => console.log(told));", '',
    ].join('\n');
    writeFileSync(join(project, 'package.json'), '{}');
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, module: 'nodenext', target: 'es2023', types: ['node'] }, include: ['program.*'] }));
    for (const name of ['program.mts', 'program.cts']) writeFileSync(join(project, name), text);
    const compiled = await runProgram([process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project], {});
    expect(compiled).toEqual({ exit: 0, stdout: '', stderr: '' });
    expect(readFileSync(join(project, 'program.cjs'), 'utf8')).toContain('require("valetkey/client")');
    for (const name of ['program.mjs', 'program.cjs']) expect(await runProgram([process.execPath, join(project, name)], {})).toMatchObject({ exit: 0, stdout: 'daemon_unreachable\n' });
    rmSync(join(unpacked, 'package/node_modules'));
  });

  it('lists every manual page, so that npm puts them where man looks', () => {
    const { man } = readJson<Manifest>(join(unpacked, 'package/package.json'));
    expect(man?.toSorted()).toEqual(readdirSync(join(unpacked, 'package/dist/man')).map((page) => `dist/man/${page}`).toSorted());
  });

  it('[PH-07] installs without a script and without a compiler what its lock says, by hash, and no package that has a script', (context) => {
    if (obstacle !== null) return context.skip(obstacle);
    const shrinkwrap = readJson<Lock>(installed('npm-shrinkwrap.json'));
    const lock = readJson<Lock>(join(ROOT, 'package-lock.json'));
    const packages = Object.entries(shrinkwrap.packages).filter(([path]) => path !== '');
    expect(packages.length).toBeGreaterThan(60);
    for (const [path, entry] of packages) expect(entry).toEqual({ ...lock.packages[path], integrity: expect.stringMatching(/^sha512-/) as string });
    const found = readdirSync(installed('node_modules'), { recursive: true }).map(String).filter((file) => /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/.test(file) && !file.startsWith('.'));
    expect(found.length).toBeGreaterThan(50);
    for (const file of found) {
      const { version, scripts = {} } = readJson<Manifest>(installed('node_modules', file));
      expect({ file, version }).toEqual({ file, version: shrinkwrap.packages[`node_modules/${dirname(file)}`]?.version });
      expect({ file, scripts: Object.keys(scripts).filter((name) => ['preinstall', 'install', 'postinstall'].includes(name)) }).toEqual({ file, scripts: [] });
    }
    for (const absent of ['typescript', 'vitest', 'koffi', 'oidc-provider']) expect(existsSync(installed('node_modules', absent))).toBe(false);
  });

  it('has a lock that counts: a package with another hash ends the installation', async (context) => {
    if (obstacle !== null) return context.skip(obstacle);
    const forged = join(workshop.path, 'forged');
    expect(spawnSync('cp', ['-r', unpacked, forged]).status).toBe(0);
    const file = join(forged, 'package/npm-shrinkwrap.json');
    const { packages, ...lock } = readJson<Lock>(file);
    writeFileSync(file, JSON.stringify({ ...lock, packages: { ...packages, 'node_modules/uqr': { ...packages['node_modules/uqr'], integrity: `sha512-${Buffer.alloc(64).toString('base64')}` } } }));
    expect(spawnSync('tar', ['czf', join(workshop.path, 'forged.tgz'), '-C', forged, 'package']).status).toBe(0);
    const { exit, stderr } = await install(join(workshop.path, 'forged.tgz'), join(workshop.path, 'forged-prefix'));
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringContaining('EINTEGRITY') as string });
  }, 300_000);

  it('runs: versions, manual pages, a sign-in, and the daemon that came along', async (context) => {
    if (obstacle !== null) return context.skip(obstacle);
    for (const program of ['valetkey', 'valetkeyd']) {
      const { status, stdout } = workshop.run(join(prefix, 'bin', program), ['--version'], { cwd: '/' });
      expect({ program, status, stdout }).toEqual({ program, status: 0, stdout: `${BUILD_VERSION}\n` });
    }
    expect(readdirSync(join(prefix, 'share/man/man1'))).toContain('valetkey-login.1');
    await signIn(join(prefix, 'bin/valetkey'), installed('dist/daemon/valetkeyd.cjs'));
  }, 120_000);
});

const absent = (command: string): boolean => spawnSync(command, ['--version']).error !== undefined;
const noDeb = absent('dpkg-deb') ? 'there is no dpkg-deb (Debian package dpkg)' : absent('gcc') && absent('cc') && absent('clang') ? 'the launcher needs a C compiler (Debian package gcc)' : null;
if (noDeb !== null) console.warn(`the Debian package is not tested: ${noDeb}`);
if (noDeb === null && absent('lintian')) console.warn('the Debian package is not judged by lintian (Debian package lintian)');

describe.skipIf(noDeb !== null)('the Debian package', () => {
  let deb = '';
  let tree = '';
  const at = (...parts: readonly string[]): string => join(tree, ...parts);
  const build = (folder: string, umask: string) => workshop.run('sh', ['-c', `umask ${umask} && exec "$0" scripts/build-deb.mjs "$1"`, process.execPath, join(workshop.path, folder)], { env: { TMPDIR: mkdtempSync(join(tmpdir(), 'valetkey-umask-')) } });

  beforeAll(() => {
    const { status, stdout, stderr } = build('deb', '022');
    if (status !== 0) throw new Error(`the package was not built: ${stderr}`);
    deb = stdout.trim();
    tree = join(workshop.path, 'tree');
    expect(spawnSync('dpkg-deb', ['-x', deb, tree]).status).toBe(0);
  }, 120_000);

  it('is the same byte for byte, under another umask and in another place', () => {
    const { stdout } = build('again', '077');
    expect(readFileSync(stdout.trim()).equals(readFileSync(deb))).toBe(true);
  }, 120_000);

  it('belongs to root, and nobody else can write or is kept from reading anything in it', () => {
    const lines = spawnSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' }).stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThan(200);
    expect(lines.filter((line) => !/^(?:[d-]rwxr-xr-x|-rw-r--r--|lrwxrwxrwx) root\/root /.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('-rwx')).map((line) => line.split(' ').at(-1)).toSorted()).toEqual(['client/main.js', 'daemon/valetkeyd.cjs', 'launcher/valetkey'].map((file) => `./usr/lib/valetkey/dist/${file}`));
  });

  it('runs nothing at its installation, names the Node that it needs, and keeps the admin\'s files', () => {
    const control = join(workshop.path, 'control');
    spawnSync('dpkg-deb', ['-e', deb, control]);
    expect(readdirSync(control).toSorted()).toEqual(['conffiles', 'control', 'md5sums']);
    const { engines } = readJson<Manifest>(join(ROOT, 'package.json'));
    expect(readFileSync(join(control, 'control'), 'utf8')).toContain(`Depends: nodejs (${engines?.node.replace('>=', '>= ')}),`);
    expect(readFileSync(join(control, 'conffiles'), 'utf8')).toBe('/etc/valetkey/README\n');
  });

  it('has its programs, pages, completions, units and licences in their places', () => {
    expect(readlinkSync(at('usr/bin/valetkey'))).toBe('../lib/valetkey/dist/launcher/valetkey');
    expect(readlinkSync(at('usr/bin/valetkeyd'))).toBe('../lib/valetkey/dist/daemon/valetkeyd.cjs');
    for (const program of ['client/main.js', 'daemon/valetkeyd.cjs']) expect(readFileSync(at('usr/lib/valetkey/dist', program), 'utf8')).toMatch(/^#!\/usr\/bin\/node\n/);
    for (const page of ['man1/valetkey.1.gz', 'man1/valetkey-login.1.gz', 'man5/valetkey-config.5.gz', 'man8/valetkeyd.8.gz']) expect(gunzipSync(readFileSync(at('usr/share/man', page))).toString()).toContain('.SH NAME');
    for (const [place, text] of [['bash-completion/completions/valetkey', 'complete -F _valetkey valetkey'], ['zsh/vendor-completions/_valetkey', '#compdef valetkey'], ['fish/vendor_completions.d/valetkey.fish', 'complete --command valetkey']] as const) {
      expect(readFileSync(at('usr/share', place), 'utf8')).toContain(text);
    }
    const units = existsSync(join(ROOT, 'systemd')) ? readdirSync(join(ROOT, 'systemd')).filter((name) => /\.(?:service|socket)$/.test(name)) : [];
    expect(existsSync(at('usr/lib/systemd/user')) ? readdirSync(at('usr/lib/systemd/user')) : []).toEqual(units);
    for (const unit of units) expect(readFileSync(at('usr/lib/valetkey/systemd', unit), 'utf8')).toBe(readFileSync(join(ROOT, 'systemd', unit), 'utf8'));
    const doc = at('usr/share/doc/valetkey');
    expect(readFileSync(join(doc, 'copyright'), 'utf8')).toContain('Permission is hereby granted');
    expect(gunzipSync(readFileSync(join(doc, 'THIRD-PARTY-LICENSES.gz'))).toString()).toContain('\ncommander ');
    expect(JSON.parse(gunzipSync(readFileSync(join(doc, 'valetkey.cdx.json.gz'))).toString())).toMatchObject({ bomFormat: 'CycloneDX' });
  });

  it('has an example of a policy that the CLI takes', async () => {
    const home = makeHome([at('usr/bin/valetkey')]);
    expect(await home.valetkey(['policy', 'check', at('usr/share/doc/valetkey/examples/policy.toml'), '--admin'])).toMatchObject({ exit: 0 });
    await home.leave();
  });

  it('runs where it was unpacked: versions, a sign-in, and the daemon that came along', async () => {
    const { status, stdout } = workshop.run(at('usr/bin/valetkey'), ['--version'], { cwd: '/' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${BUILD_VERSION}\n` });
    await signIn(at('usr/bin/valetkey'), at('usr/lib/valetkey/dist/daemon/valetkeyd.cjs'));
    // The launcher, and not Node in its place.
    const home = makeHome([at('usr/bin/valetkey')]);
    expect((await home.valetkey(['doctor', '--json'])).stdout).toContain('the launcher prints cached tokens');
    await home.leave();
  }, 120_000);

  it('opens the link of a sign-in by the xdg-open of the system', () => {
    const bin = mkdtempSync(join(workshop.path, 'xdg-'));
    writeFileSync(join(bin, 'xdg-open'), `#!/bin/sh\necho "$*" > ${bin}/opened\n`, { mode: 0o755 });
    const { status, stderr } = workshop.run(process.execPath, [at('usr/lib/valetkey/dist/client/open-link.js'), 'http://127.0.0.1:9/start/EXAMPLE'], { env: { PATH: `${bin}:/usr/bin:/bin` } });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(bin, 'opened'), 'utf8')).toBe('http://127.0.0.1:9/start/EXAMPLE\n');
  });

  const noRoot = process.getuid?.() !== 0;
  if (noRoot) console.warn('not run: dpkg installs as root only');
  it.skipIf(noRoot)('is installed, removed and purged by dpkg, and leaves nothing', async () => {
    const root = join(workshop.path, 'root');
    for (const folder of ['updates', 'info', 'triggers']) mkdirSync(join(root, 'var/lib/dpkg', folder), { recursive: true });
    for (const file of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', file), '');
    const dpkg = (...args: readonly string[]) => workshop.run('dpkg', [`--root=${root}`, '--force-depends', '--log=/dev/null', ...args]);
    expect(dpkg('--install', deb)).toMatchObject({ status: 0 });
    expect(dpkg('--verify', 'valetkey')).toMatchObject({ status: 0, stdout: '' });
    const home = makeHome([join(root, 'usr/bin/valetkey')]);
    expect(await home.valetkey(['daemon', 'start'])).toMatchObject({ exit: 0 });
    await home.leave();
    writeFileSync(join(root, 'etc/valetkey/policy.toml'), 'v = 1\n');
    expect(dpkg('--remove', 'valetkey')).toMatchObject({ status: 0 });
    expect({ programs: existsSync(join(root, 'usr/lib/valetkey')), conffile: existsSync(join(root, 'etc/valetkey/README')) }).toEqual({ programs: false, conffile: true });
    dpkg('--purge', 'valetkey');
    // What the admin wrote is the admin's.
    expect(readdirSync(join(root, 'etc/valetkey'))).toEqual(['policy.toml']);
    expect(existsSync(join(root, 'usr/share/doc/valetkey'))).toBe(false);
    rmSync(root, { recursive: true });
  }, 120_000);

  it.skipIf(absent('lintian'))('is taken by lintian without an error or a warning', () => {
    const { stdout } = workshop.run('lintian', ['--allow-root', deb]);
    expect(stdout.split('\n').filter((line) => /^[EW]:/.test(line))).toEqual([]);
  }, 120_000);
});
