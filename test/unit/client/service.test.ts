/** What valetkey service writes, and which Node it names; without a supervisor. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { launchd } from '../../../client/service/launchd.ts';
import { demandOwn, marked, removeOwn, stateOf, writeOwn } from '../../../client/service/own-file.ts';
import type { OwnFile } from '../../../client/service/own-file.ts';
import { flagsOf, managerOf, serviceProgram } from '../../../client/service/program.ts';
import type { Machine } from '../../../client/service/program.ts';
import type { Ended } from '../../../client/service/run-program.ts';
import { install, report, supervisorOf, uninstall } from '../../../client/service/service.ts';
import type { Site } from '../../../client/service/supervisor.ts';
import { agentPlist, serviceUnit, startOf } from '../../../client/service/unit-text.ts';
import { resolvePaths } from '../../../shared/paths.ts';
import { ROOT } from '../docs/markdown.ts';

const hasPlistutil = spawnSync('plistutil', ['--version']).error === undefined;
if (!hasPlistutil) console.warn('not run in whole: plistutil is missing (Debian package libplist-utils), so nobody reads the plist');
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).error === undefined;
if (!hasAnalyze) console.warn('not run in whole: systemd-analyze is missing (Debian package systemd), so nobody reads the unit');

const SERVICE = readFileSync(`${ROOT}systemd/valetkeyd.service`, 'utf8');
const PLIST = readFileSync(`${ROOT}launchd/dev.valetkey.agent.plist`, 'utf8');

let base: string;
beforeEach(() => { base = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-service-'))); });
afterEach(() => rmSync(base, { recursive: true, force: true }));

const program = (path: string): string => {
  const file = join(base, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  return file;
};
const machine = (node: string, more: Partial<Machine> = {}): Machine => ({ ownNode: node, ownProgram: () => '/opt/valetkey/dist/daemon/valetkeyd.cjs', systemNodes: [], flagsOf: () => ['--max-semi-space-size=1'], ...more });

describe('the Node of the service', () => {
  it.each([
    ['nvm', '/home/ann/.nvm/versions/node/v22.1.0/bin/node'], ['nvm', '/home/ann/.config/nvm/versions/node/v22.1.0/bin/node'],
    ['fnm', '/home/ann/.local/share/fnm/node-versions/v22.1.0/installation/bin/node'], ['fnm', '/run/user/1000/fnm_multishells/1_2/bin/node'],
    ['volta', '/home/ann/.volta/tools/image/node/22.1.0/bin/node'], ['asdf', '/home/ann/.asdf/installs/nodejs/22.1.0/bin/node'],
    ['mise', '/home/ann/.local/share/mise/installs/node/22.1.0/bin/node'], ['nodenv', '/home/ann/.nodenv/versions/22.1.0/bin/node'],
    ['n', '/usr/local/n/versions/node/22.1.0/bin/node'], ['nix', '/nix/store/abc-nodejs-22.1.0/bin/node'],
    [null, '/usr/bin/node'], [null, '/usr/local/bin/node'], [null, '/opt/homebrew/opt/node/bin/node'], [null, '/home/ann/node-v22.1.0-linux-x64/bin/node'],
  ])('of %s is known by its place: %s', (manager, path) => {
    expect(managerOf(path)).toBe(manager);
  });

  it('is the file behind the link of a shell', () => {
    const real = program('node-22/bin/node');
    mkdirSync(join(base, 'shell'));
    symlinkSync(real, join(base, 'shell/node'));
    expect(serviceProgram(machine(join(base, 'shell/node')))).toMatchObject({ node: real, warnings: [] });
  });

  it('is one of the system where its own is a version manager\'s, if that one is new enough', () => {
    const own = program('.nvm/versions/node/v22.1.0/bin/node');
    const system = program('usr/bin/node');
    expect(serviceProgram(machine(own, { systemNodes: [join(base, 'absent'), system] }))).toMatchObject({ node: system, warnings: [expect.stringContaining(`${system} runs the service`) as string] });
    const tooOld = serviceProgram(machine(own, { systemNodes: [system], flagsOf: (node) => (node === system ? null : []) }));
    expect(tooOld).toMatchObject({ node: own, warnings: [expect.stringMatching(/belongs to nvm.*valetkey service install/) as string] });
  });

  it('follows Homebrew to its next version', () => {
    const cellar = program('homebrew/Cellar/node@22/22.1.0/bin/node');
    mkdirSync(join(base, 'homebrew/opt'), { recursive: true });
    symlinkSync(join(base, 'homebrew/Cellar/node@22/22.1.0'), join(base, 'homebrew/opt/node@22'));
    expect(serviceProgram(machine(cellar)).node).toBe(join(base, 'homebrew/opt/node@22/bin/node'));
  });

  it('warns of a program that a version manager takes away, and refuses one in a cache', () => {
    const node = program('usr/bin/node');
    expect(serviceProgram(machine(node, { ownProgram: () => '/home/ann/.nvm/versions/node/v22.1.0/lib/node_modules/valetkey/dist/daemon/valetkeyd.cjs' })).warnings).toEqual([expect.stringContaining('nvm')]);
    for (const cache of ['/home/ann/.npm/_npx/ab12/node_modules/valetkey/d.cjs', '/home/ann/.cache/pnpm/dlx-4711/node_modules/valetkey/d.cjs']) {
      expect(() => serviceProgram(machine(node, { ownProgram: () => cache }))).toThrow('emptied some day');
    }
  });

  it('is asked how old it is and which options it knows', () => {
    expect(flagsOf(process.execPath)).toEqual(['--max-semi-space-size=1', ...(process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? ['--disable-sigusr1'] : [])]);
    const saying = (text: string): readonly string[] | null => {
      const file = program('other-node');
      writeFileSync(file, `#!/bin/sh\necho '${text}'\n`);
      chmodSync(file, 0o755);
      return flagsOf(file);
    };
    expect(saying('["26.10.0",true]')).toContain('--disable-sigusr1');
    expect([saying('["20.18.9",false]'), saying('["18.20.0",false]'), saying('not node'), flagsOf('/bin/false'), flagsOf(join(base, 'absent'))]).toEqual([null, null, null, null, null]);
  });
});

describe('the unit', () => {
  const paths = { node: '/opt/my node/bin/node', flags: ['--max-semi-space-size=1'], program: '/home/josé/100%/$HOME "x" \\y/valetkeyd.cjs' };

  it('names paths with any character, so that systemd reads what was meant', () => {
    const unit = serviceUnit(SERVICE, paths, {});
    expect(unit).toContain('ExecStart="/opt/my node/bin/node" --max-semi-space-size=1 "/home/josé/100%%/$$HOME \\"x\\" \\\\y/valetkeyd.cjs"\n');
    expect(startOf(unit)).toEqual({ node: paths.node, program: paths.program });
    expect(() => serviceUnit(SERVICE, { ...paths, program: '/a\nExecStartPre=/bin/evil' }, {})).toThrow('control character');
  });

  it.skipIf(!hasAnalyze)('is read by systemd as it was meant', () => {
    mkdirSync(join(base, 'run'), { mode: 0o700 });
    const program = join(base, 'a $b %h "c"');
    writeFileSync(program, '');
    const unit = serviceUnit(SERVICE, { node: '/bin/true', flags: [], program }, { XDG_STATE_HOME: '/home/a b/100%' });
    writeFileSync(join(base, 'valetkeyd.service'), marked(unit, 'hash'));
    writeFileSync(join(base, 'valetkeyd.socket'), readFileSync(`${ROOT}systemd/valetkeyd.socket`));
    const { stderr, status } = spawnSync('systemd-analyze', ['--user', 'verify', join(base, 'valetkeyd.service')], { env: { ...process.env, XDG_RUNTIME_DIR: join(base, 'run') }, encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(unit).toContain('Environment="XDG_STATE_HOME=/home/a b/100%%"\n');
  });

  it('differs from the one that ships in nothing else', () => {
    const unit = serviceUnit(SERVICE, { node: '/usr/bin/node', flags: ['--max-semi-space-size=1'], program: '/usr/lib/valetkey/dist/daemon/valetkeyd.cjs' }, {});
    expect(unit).toBe(SERVICE);
  });
});

describe('the agent of launchd (experimental)', () => {
  const text = agentPlist(PLIST, { node: '/opt/homebrew/opt/node/bin/node', flags: ['--x'], program: '/Users/a & b/<v>/valetkeyd.cjs' }, { socket: '/var/folders/x/T/valetkey/socket', log: '/Users/a/log' });

  it.skipIf(!hasPlistutil)('is a property list, filled and marked, with what the daemon asks for', () => {
    const read = (plist: string): string => execFileSync('plistutil', ['-i', '-', '-f', 'bin'], { input: plist }).toString('latin1').length > 100 ? execFileSync('sh', ['-c', 'plistutil -i - -f bin | plistutil -i - -f xml'], { input: plist, encoding: 'utf8' }) : '';
    const xml = read(marked(text, 'xml')).replaceAll(/\s+/g, '');
    expect(xml).toContain('<key>Label</key><string>dev.valetkey.agent</string>');
    expect(xml).toContain('<array><string>/opt/homebrew/opt/node/bin/node</string><string>--x</string><string>/Users/a&amp;b/&lt;v&gt;/valetkeyd.cjs</string></array>');
    expect(xml).toContain('<key>Listeners</key><dict><key>SockPathName</key><string>/var/folders/x/T/valetkey/socket</string><key>SockPathMode</key><integer>384</integer></dict>');
    expect(xml).not.toContain('@');
    expect(spawnSync('plistutil', ['-i', '-', '-f', 'bin'], { input: PLIST.replace('</array>', '') }).stdout.toString()).toContain('ERROR'); // it would see a mistake
  });

  it('is written, loaded, told and taken away by launchctl', async () => {
    const asked: string[] = [];
    let loaded = false;
    const run = async (_: string, args: readonly string[]): Promise<Ended> => {
      asked.push(args.join(' '));
      if (args[0] === 'bootstrap') loaded = true;
      if (args[0] === 'bootout') loaded = false;
      return { status: args[0] === 'print' && !loaded ? 113 : 0, stdout: loaded ? '\tstate = running\n' : '', stderr: '' };
    };
    const paths = resolvePaths({ platform: 'darwin', home: base, uid: 501, env: { TMPDIR: join(base, 'T') } });
    const site: Site = { owner: { uid: 501, home: base }, paths, env: {}, run };
    const launchctl = program('launchctl');
    const mac = launchd(site, launchctl);
    const file = join(base, 'Library/LaunchAgents/dev.valetkey.agent.plist');
    const node = program('usr/bin/node');
    const done = await install(mac, paths.serviceFile, paths.stateDir, async () => undefined, machine(node));
    expect(done).toMatchObject({ supervisor: 'launchd', written: [file, paths.serviceFile], node });
    expect(asked).toEqual(['print gui/501/dev.valetkey.agent', `bootstrap gui/501 ${file}`]);
    expect(await report(mac, machine(node))).toMatchObject({ installed: true, node, program: '/opt/valetkey/dist/daemon/valetkeyd.cjs', missing: ['/opt/valetkey/dist/daemon/valetkeyd.cjs'], state: { listening: true, daemon: 'running' } });
    expect((await uninstall(mac, paths.serviceFile)).removed).toEqual([file, paths.serviceFile]);
    expect(asked.at(-1)).toBe('bootout gui/501/dev.valetkey.agent');
    expect(existsSync(file)).toBe(false);
    expect(() => supervisorOf('win32', site)).toThrow('win32');
  });
});

describe('a file of the service', () => {
  const own = (text: string): OwnFile => ({ kind: 'text', path: join(base, 'a/b/unit'), text: marked(text, 'hash'), mode: 0o644 });

  it('is known as ours, older, edited or foreign by its own mark', () => {
    const [file, link] = [own('one\n'), { kind: 'link', path: join(base, 'wants/u.socket'), target: '/x/u.socket' } as const];
    expect([stateOf(file), stateOf(link)]).toEqual(['absent', 'absent']);
    expect([writeOwn(file), writeOwn(file), writeOwn(link), writeOwn(link)]).toEqual([true, false, true, false]);
    expect([stateOf(file), stateOf(link), stateOf(own('two\n'))]).toEqual(['ours', 'ours', 'older']);
    expect(stateOf({ ...link, target: '/y/u.socket' })).toBe('older');
    expect(stateOf({ ...link, target: '/y/other' })).toBe('foreign');
    writeFileSync(file.path, `${readFileSync(file.path, 'utf8')}more\n`);
    expect(stateOf(file)).toBe('edited');
    expect(() => demandOwn([link, file])).toThrow('changed by hand');
    writeFileSync(file.path, 'somebody else\'s\n');
    expect(() => demandOwn([link, file])).toThrow('was not written by');
    rmSync(file.path);
    symlinkSync('/etc/passwd', file.path);
    expect(stateOf(file)).toBe('foreign');
  });

  it('leaves no directory that was not there, and none that is used', () => {
    const file = own('one\n');
    writeOwn(file);
    writeFileSync(join(base, 'a/theirs'), '');
    expect([removeOwn(file, base), removeOwn(file, base)]).toEqual([true, false]);
    expect([readdirSync(base), readdirSync(join(base, 'a'))]).toEqual([['a'], ['theirs']]);
  });
});
