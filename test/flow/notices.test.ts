/** Notifications and hooks on a daemon in this process: a real file of hooks, real programs, a real session bus. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTextFile } from '../../daemon/config/files.ts';
import { createReadHooks } from '../../daemon/config/hooks.ts';
import type { Seat } from '../../daemon/core/desktop-port.ts';
import { notify } from '../../daemon/desktop/notification.ts';
import { createRunHook } from '../../daemon/hooks/run-hook.ts';
import { LOOK_MS } from '../../daemon/notices/session-ends.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { EpochMs } from '../../shared/names.ts';
import { someDesktop } from '../support/builders.ts';
import { firstLine, kill } from '../support/built-platform.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const seat: Seat = { servers: [{ uid: process.getuid?.() ?? 0, pid: process.pid }], display: { x11: ':0', wayland: null, xauthority: null, type: 'x11', desktop: '' } };
const NICE = existsSync('/usr/bin/nice') ? '/usr/bin/nice' : null;

let dir: string;
let issuer: EmbeddedIssuer;
let vk: InProcess;
let skipMs: number;
let looks: number;
let told: { readonly title: string; readonly body: string }[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-notices-'));
  issuer = await startIssuer();
  skipMs = 0;
  looks = 0;
  told = [];
});
afterEach(async () => {
  await vk.stop();
  await issuer.close();
  rmSync(dir, { recursive: true, force: true });
});

const hooksFile = (): string => join(dir, 'hooks.toml');
function writeHooks(...hooks: readonly { readonly name: string; readonly on: readonly string[]; readonly body: string }[]): void {
  for (const { name, body } of hooks) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(dir, name), 0o755);
  }
  writeFileSync(hooksFile(), `v = 1\n${hooks.map(({ name, on }) => `[[hooks]]\nname = "${name}"\non = ${JSON.stringify(on)}\nrun = ["${join(dir, name)}"]\n`).join('')}`, { mode: 0o600 });
}

async function start(more = '', tell: (title: string, body: string) => Promise<void> = async (title, body) => void told.push({ title, body })): Promise<void> {
  const real = createClock();
  // The look at the ends of sessions comes at once; everything else takes its time.
  const clock = { ...real, now: () => (real.now() + skipMs) as EpochMs, boottimeMs: () => real.boottimeMs() + skipMs, sleep: (ms: number, signal: AbortSignal) => real.sleep(ms === LOOK_MS ? 50 : ms, signal).finally(() => { looks += ms === LOOK_MS ? 1 : 0; }) };
  vk = await startInProcess({
    config: profileToml('work', issuer.url, more),
    edges: {
      clock, desktop: someDesktop({ find: async () => seat, tell }),
      hooks: { read: createReadHooks({ file: hooksFile(), uid: process.getuid?.() ?? null, readFile: readTextFile }), run: createRunHook({ clock: real, home: dir, runtimeDir: null, nice: NICE }) },
    },
  });
}

const token = async (ask: object = {}) => vk.api('POST', '/v1/token', { profile: 'work', ...ask });
const said = (name: string): string => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '');

describe.skipIf(process.platform === 'win32')('what a person is told of', () => {
  it('is that a program waits for a sign-in: a notification, and a hook with its name and no secret', async () => {
    writeHooks({ name: 'tell', on: ['login_needed', 'login_finished'], body: `env | sort | tr '\\n' ' ' >> ${dir}/said; echo >> ${dir}/said` });
    await start();
    for (let i = 0; i < 50; i += 1) expect((await token()).body).toMatchObject({ code: 'login_required' });
    await expect.poll(() => told).toEqual([{ title: 'Valetkey: sign in to work', body: expect.stringContaining('valetkey login work') as string }]);
    await expect.poll(() => said('said').split('\n').length).toBe(2);
    expect(said('said')).toMatch(/VALETKEY_DETAIL=never_signed_in VALETKEY_EVENT=login_needed VALETKEY_HOOK=tell VALETKEY_PROFILE=work/);
    await vk.signIn('work', 'ada');
    await expect.poll(() => said('said')).toMatch(/VALETKEY_DETAIL=complete VALETKEY_EVENT=login_finished/);
    expect((await token()).status).toBe(200);
    for (const { value } of issuer.minted) expect(said('said')).not.toContain(value);
    expect(told).toHaveLength(1);
  });

  it('is the end of a sign-in, once, before it comes', async () => {
    await start('tier = "high"\n');
    await vk.signIn('work', 'ada');
    expect((await vk.api('GET', '/v1/status')).body.standings[0].state).toBe('signed_in');
    expect(told).toEqual([]);
    skipMs = 50 * 60_000; // of the hour in which nobody has to take part
    await expect.poll(() => told).toEqual([{ title: 'Valetkey: the sign-in to work ends soon', body: expect.stringMatching(/^In (9|10) min\. Run in a terminal: valetkey login work$/) as string }]);
    skipMs += 60_000;
    const before = looks;
    await expect.poll(() => looks).toBeGreaterThan(before + 2);
    expect(told).toHaveLength(1);
  });

  it('is nothing where the configuration says so; a reload brings it back', async () => {
    await start();
    await vk.config(`${profileToml('work', issuer.url)}\n[notifications]\ndesktop = false\n`);
    expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
    await token();
    await vk.config(profileToml('work', issuer.url));
    expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
    skipMs += 61_000;
    await token();
    await expect.poll(() => told.length).toBe(1);
  });

  it('never waits for a hook that hangs, fails or is gone: tokens come all the same', async () => {
    writeHooks(
      { name: 'hang', on: ['login_finished', 'locked', 'unlocked'], body: 'trap "" TERM; sleep 1000' },
      { name: 'fail', on: ['login_finished'], body: 'exit 7' },
      { name: 'gone', on: ['login_finished'], body: 'true' },
    );
    rmSync(join(dir, 'gone'));
    await start();
    await vk.signIn('work', 'ada');
    expect((await Promise.all(Array.from({ length: 200 }, () => token()))).map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);
    await expect.poll(() => vk.log.lines.filter(({ event }) => event === 'hook_failed').map(({ fields }) => `${String(fields['hook'])} ${String(fields['why'])}`).toSorted()).toEqual(['fail ended with status 7', expect.stringMatching(/^gone (is not there|could not be started)/)]);
    expect((await vk.api('POST', '/v1/lock')).status).toBe(200);
  });

  it('says what is wrong with hooks.toml, by reload and in status, and serves on', async () => {
    writeHooks({ name: 'tell', on: ['locked'], body: `echo ran >> ${dir}/said` });
    await start();
    expect((await vk.api('GET', '/v1/status')).body.warnings.filter((each: string) => each.startsWith('hooks'))).toEqual([]);
    writeFileSync(hooksFile(), `${readFileSync(hooksFile(), 'utf8')}om = 1\n`);
    const refused = await vk.api('POST', '/v1/reload');
    expect(refused.body).toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('hooks.toml:6:1: "om" of [[hooks]] number 1 is not a key') as string, hint: expect.stringContaining('valetkey daemon reload') as string });
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^hooks: .*hooks\.toml:6:1.*; the hooks from before still run$/));
    await vk.api('POST', '/v1/lock');
    await expect.poll(() => said('said')).toBe('ran\n');
    chmodSync(hooksFile(), 0o666);
    expect((await vk.api('POST', '/v1/reload')).body).toMatchObject({ code: 'config_untrusted' });
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^hooks: .*can be written by others \(mode 666\); no hook runs$/));
  });
});

const bus = ['dbus-daemon', 'busctl', 'dbus-monitor'].every((name) => existsSync(`/usr/bin/${name}`)) ? null : 'no dbus-daemon, busctl or dbus-monitor on this machine';
if (bus !== null) process.stderr.write(`notices.test: ${bus}; no notification is sent over a real bus\n`);

describe.skipIf(bus !== null)('a notification on a real session bus', () => {
  it('[AL-04] holds the profile and our own words, and no button', async () => {
    const running: ChildProcess[] = [];
    const daemon = spawn('dbus-daemon', ['--session', '--nofork', '--print-address', `--address=unix:path=${dir}/bus`], { stdio: 'pipe' });
    running.push(daemon);
    const address = await firstLine(daemon);
    const monitor = spawn('dbus-monitor', ['--address', address, "type='method_call',interface='org.freedesktop.Notifications'"], { stdio: 'pipe' });
    running.unshift(monitor);
    try {
      let seen = '';
      monitor.stdout.on('data', (data) => { seen += String(data); });
      await expect.poll(() => seen).toContain('NameAcquired');
      await start('', async (title, body) => void await notify({ busctl: '/usr/bin/busctl', env: { PATH: '/usr/bin:/bin', DBUS_SESSION_BUS_ADDRESS: address, XDG_RUNTIME_DIR: dir } }, title, body));
      await token();
      await expect.poll(() => seen).toContain('member=Notify');
      for (const part of ['string "Valetkey: sign in to work"', 'string "A program waits for it. Run in a terminal: valetkey login work"', 'array [\n   ]']) expect(seen).toContain(part);
    } finally {
      for (const child of running) await kill(child);
    }
  });
});
