/** The unit files as they ship: read by systemd itself, complete, and each line with its reason. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNSAFE_VARIABLES } from '../../daemon/platform/harden.ts';
import { ROOT } from './docs/markdown.ts';

const FILES = ['valetkeyd.service', 'valetkeyd.socket'] as const;
const SERVICE = readFileSync(`${ROOT}systemd/valetkeyd.service`, 'utf8');
const SANDBOX = ['NoNewPrivileges', 'LockPersonality', 'RestrictAddressFamilies', 'RestrictSUIDSGID', 'RestrictRealtime', 'RestrictNamespaces', 'SystemCallArchitectures', 'SystemCallFilter', 'UMask', 'LimitCORE'] as const;
/** As systemd 252 counts it, for a service of the system, where most of what is missing would be to be had. */
const EXPOSURE_MAX = 6.6;

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).error === undefined;
if (!hasAnalyze) console.warn('not run: systemd-analyze is missing (Debian package systemd)');

const settings = (text: string): readonly (readonly [string, string])[] => [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value] as const);

describe('the unit files', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'valetkey-units-'));
    mkdirSync(join(dir, 'run'), { mode: 0o700 });
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const analyze = (...args: readonly string[]) => spawnSync('systemd-analyze', args, { env: { ...process.env, XDG_RUNTIME_DIR: join(dir, 'run') }, encoding: 'utf8' });
  /** It ends with 0 where it does not know a key. The program of a package need not be on this machine. */
  const verify = (service: string) => {
    writeFileSync(join(dir, FILES[0]), service.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
    copyFileSync(`${ROOT}systemd/${FILES[1]}`, join(dir, FILES[1]));
    const { status, stderr } = analyze('--user', 'verify', ...FILES.map((name) => join(dir, name)));
    return { status, stderr };
  };

  it.skipIf(!hasAnalyze)('are understood by systemd, to the last key', () => {
    expect(verify(SERVICE)).toEqual({ status: 0, stderr: '' });
    expect(verify(SERVICE.replace('RestrictRealtime=', 'RestrictRealTime=')).stderr).toContain("Unknown key name 'RestrictRealTime'".replace(' name', ''));
  });

  it.skipIf(!hasAnalyze)('[PH-06] expose no more than they did', () => {
    const { stdout } = analyze('security', '--offline=true', '--no-pager', `${ROOT}systemd/valetkeyd.service`);
    const [, exposure] = /Overall exposure level for valetkeyd\.service: (\d+\.\d)/.exec(stdout) ?? [];
    expect(Number(exposure)).toBeGreaterThan(0);
    expect(Number(exposure)).toBeLessThanOrEqual(EXPOSURE_MAX);
  });

  it('have the whole sandbox, and nothing that breaks V8 or hides the runtime directory', () => {
    const names = settings(SERVICE).map(([name]) => name);
    for (const name of SANDBOX) expect(names).toContain(name);
    for (const name of ['MemoryDenyWriteExecute', 'ProtectHome', 'PrivateUsers']) {
      expect(names).not.toContain(name);
      expect(SERVICE).toMatch(new RegExp(`^#.*\\b${name}=`, 'm')); // and says why
    }
    expect(Object.fromEntries(settings(SERVICE))).toMatchObject({ SystemCallFilter: '@system-service', UMask: '0077', LimitCORE: '0', NoNewPrivileges: 'yes', Type: 'notify' });
  });

  it('have a reason above each line of the sandbox', () => {
    const lines = SERVICE.split('\n');
    for (const name of SANDBOX) {
      const at = lines.findIndex((line) => line.startsWith(`${name}=`));
      expect(lines[at - 1], name).toMatch(/^# /);
    }
  });

  it('[PH-01] clear each variable that the daemon refuses by name', () => {
    const cleared = new Set(settings(SERVICE).filter(([name]) => name === 'UnsetEnvironment').flatMap(([, value]) => value.split(' ')));
    expect([...UNSAFE_VARIABLES].filter((name) => !cleared.has(name))).toEqual([]);
    // ld.so(8) and OpenSSL; the daemon refuses all that begin so.
    for (const name of ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'OPENSSL_CONF', 'OPENSSL_MODULES', 'OPENSSL_ENGINES']) expect(cleared).toContain(name);
  });

  it('give the daemon the time that it takes to stop and to take over', () => {
    const { TimeoutStopSec, TimeoutStartSec, WatchdogSec } = Object.fromEntries(settings(SERVICE));
    const seconds = (file: string, name: string): number => Number(new RegExp(`${name} = (\\d+)_000;`).exec(readFileSync(`${ROOT}${file}`, 'utf8'))?.[1]);
    expect(Number(TimeoutStopSec)).toBeGreaterThan(seconds('daemon/drain.ts', 'DRAIN_MS') + seconds('daemon/drain.ts', 'SOCKET_MS') + 3);
    expect(Number(TimeoutStartSec)).toBeGreaterThan(seconds('daemon/platform/take-over.ts', 'WAIT_MS') + 20);
    expect(Number(WatchdogSec)).toBeGreaterThanOrEqual(30);
  });

  it('put the socket where clients look, for this user alone', () => {
    expect(Object.fromEntries(settings(readFileSync(`${ROOT}systemd/${FILES[1]}`, 'utf8')))).toMatchObject({ ListenStream: '%t/valetkey/socket', SocketMode: '0600', DirectoryMode: '0700' });
  });
});
