/** The desktop as the daemon finds it: programs that only root could have put there, the seat as logind and the kernel tell it, and a notification on a real session bus. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDesktop } from '../../daemon/desktop/desktop.ts';
import type { DesktopDeps } from '../../daemon/desktop/desktop.ts';
import { notify, takeBack } from '../../daemon/desktop/notification.ts';
import { rootsProgram } from '../../daemon/desktop/root-owned.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { peerOf } from '../../daemon/platform/peer.ts';
import { firstLine, kill } from '../support/built-platform.ts';
import { writeStandIn } from '../support/stand-in-pinentry.ts';

const isLinux = process.platform === 'linux';
const never = new AbortController().signal;
const TEXT = { title: 'Valetkey', lines: ['who asks'], yes: 'Allow', no: 'No', pin: null };

let dir: string;
const servers: Server[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'valetkey-desktop-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(dir, { recursive: true, force: true });
});

function script(name: string, body: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(dir, name), 0o755);
}

/** A display of a number that nobody has, in the abstract namespace, where no file stays behind. */
async function someDisplay(): Promise<number> {
  for (let number = 20_000 + (process.pid % 10_000); ; number += 1) {
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(`\0/tmp/.X11-unix/X${number}`, () => resolve(true));
    });
    if (!isFree) continue;
    servers.push(server);
    return number;
  }
}

type Session = Readonly<Record<string, string>>;
const session = (display: number, over: Session = {}): Session =>
  ({ User: String(process.getuid?.()), Active: 'yes', Remote: 'no', Type: 'x11', Class: 'user', LockedHint: 'no', Display: `:${display}`, Desktop: '', Scope: 'session-9.scope', ...over });

function desktop(told: Session | null, over: Partial<DesktopDeps> = {}) {
  return createDesktop({
    uid: process.getuid?.() ?? 0, clock: createClock(), peerOf, platform: 'linux', folders: [dir], trusted: async (path) => (existsSync(path) ? path : null),
    loginctl: async ([verb]) => (told === null ? null : verb === 'show-user' ? '9\n' : Object.entries(told).map(([name, value]) => `${name}=${value}`).join('\n')), ...over,
  });
}

describe.skipIf(!isLinux)('where the user sits', () => {
  it('[IP-10] is the display of the active session, and the process behind it as the kernel names it', async () => {
    const number = await someDisplay();
    expect(await desktop(session(number)).find()).toMatchObject({ servers: [{ pid: process.pid, uid: process.getuid?.() }], display: { x11: `:${number}`, type: 'x11' } });
  });

  it.each([
    ['of another user', { User: '4711' }, 'not graphical'],
    ['a greeter', { Class: 'greeter' }, 'not graphical'],
    ['a terminal', { Type: 'tty' }, 'not graphical'],
    ['on another machine', { Remote: 'yes' }, 'on another machine'],
    ['behind another', { Active: 'no' }, 'not the one at the screen'],
    ['locked', { LockedHint: 'yes' }, 'screen is locked'],
    ['of a display elsewhere', { Display: 'host:10' }, 'cannot be found'],
    ['of a display that nobody serves', { Display: ':65000' }, 'cannot be found'],
  ])('[IP-10] is nowhere in a session that is %s', async (_what, over, why) => {
    expect(await desktop(session(await someDisplay(), over)).find()).toContain(why);
  });

  it('is nowhere without logind, and elsewhere than on Linux', async () => {
    expect(await desktop(null).find()).toContain('knows no graphical session');
    expect(await desktop(null, { platform: 'darwin' }).find()).toContain('Linux only');
  });

  it('is told by the user\'s systemd where the session names no display', async () => {
    const number = await someDisplay();
    script('systemctl', `test "$*" = "--user show-environment" && printf 'DISPLAY=:${number}\\nXAUTHORITY=/run/user/9/x;rm\\nXDG_CURRENT_DESKTOP=GNOME\\n'`);
    expect(await desktop(session(number, { Display: '', Type: 'wayland' })).find()).toMatchObject({ display: { x11: `:${number}`, xauthority: null, type: 'wayland', desktop: 'GNOME' } });
  });
});

describe.skipIf(!isLinux)('a dialog on the desktop', () => {
  it('is shown by the pinentry of the desktop, with the display and nothing else of anybody\'s', async () => {
    const number = await someDisplay();
    writeStandIn(dir, 'refuse', 'pinentry-gnome3');
    const { said } = writeStandIn(dir, 'allow', 'pinentry-qt');
    const here = desktop(session(number));
    const seat = await here.find();
    if (typeof seat === 'string') throw new Error(seat);
    expect([await here.state(), await here.ask(seat, TEXT, 60_000, never)]).toMatchObject([{ dialogs: 'pinentry-qt', why: null }, { kind: 'yes' }]);
    const { env } = JSON.parse(readFileSync(said, 'utf8').split('\n')[0] ?? '') as { env: Record<string, string> };
    expect(env).toMatchObject({ HOME: '/', DISPLAY: `:${number}`, PATH: '/usr/bin:/bin', DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${process.getuid?.()}/bus` });
    expect(Object.keys(env).filter((name) => /^(GTK|QT|LD|NODE|XDG_(CONFIG|DATA))/.test(name))).toEqual([]);
    const gnome = desktop(session(number, { Desktop: 'ubuntu:GNOME' }));
    expect(await gnome.state()).toMatchObject({ dialogs: 'pinentry-gnome3' });
  });

  it('is none where no such program is, or somebody else could have put it there', async () => {
    const number = await someDisplay();
    writeStandIn(dir, 'allow');
    const here = desktop(session(number), { trusted: rootsProgram });
    const seat = await here.find();
    if (typeof seat === 'string') throw new Error(seat);
    expect([await here.state(), await here.ask(seat, TEXT, 60_000, never)]).toMatchObject([{ dialogs: null, why: expect.stringContaining('no pinentry') as string }, { kind: 'none' }]);
  });
});

const window = ['Xvfb', 'pinentry-gtk-2', 'xdotool'].every((name) => existsSync(`/usr/bin/${name}`)) ? null : 'no Xvfb, pinentry-gtk-2 or xdotool on this machine';
if (window !== null) process.stderr.write(`desktop.test: ${window}; no dialog is shown on a real display\n`);

describe.skipIf(window !== null)('a real dialog on a real display', () => {
  it.each([
    ['Return, on the button that has the focus', ['Return'], { kind: 'no' }],
    ['the other button', ['Tab', 'Return'], { kind: 'yes', pin: null }],
  ] as const)('[IP-10] is answered by %s, and the kernel names who shows it', async (_what, keys, expected) => {
    const x = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '800x600x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const number = Number(await firstLine(x));
      const here = desktop(session(number), { folders: ['/usr/bin'], trusted: rootsProgram });
      const seat = await here.find();
      if (typeof seat === 'string') throw new Error(seat);
      expect(seat.servers.map(({ pid }) => pid)).toContain(x.pid);
      // The one of GTK 2, whichever others are there.
      const answer = createDesktop({
        uid: process.getuid?.() ?? 0, clock: createClock(), peerOf, platform: 'linux', folders: ['/usr/bin'], loginctl: async () => null,
        trusted: async (path) => (path.endsWith('/pinentry-gtk-2') ? rootsProgram(path) : null),
      }).ask(seat, TEXT, 60_000, never);
      const env = { PATH: '/usr/bin:/bin', DISPLAY: `:${number}` };
      await expect.poll(() => spawnSync('xdotool', ['search', '--onlyvisible', '--class', 'pinentry'], { env }).status, { interval: 200 }).toBe(0);
      // The window is there a moment before it takes keys.
      const press = setInterval(() => spawnSync('xdotool', ['search', '--onlyvisible', '--class', 'pinentry', 'windowfocus', 'key', ...keys], { env }), 1_000);
      expect(await answer.finally(() => clearInterval(press))).toMatchObject(expected);
    } finally {
      await kill(x);
    }
  });
});

describe.skipIf(!isLinux)('a program that is run because of where it lies', () => {
  it('[IP-10] is one that only root could have put there', async () => {
    expect(await rootsProgram('/bin/sh')).toMatch(/^\/usr\/bin\/|^\/bin\//);
    script('sh', 'exit 0');
    symlinkSync('/bin/sh', join(dir, 'link'));
    // In a folder that everybody may write to, whoever owns the file.
    expect([await rootsProgram(join(dir, 'sh')), await rootsProgram(join(dir, 'link')), await rootsProgram('/nonexistent/sh'), await rootsProgram('/usr/bin')]).toEqual([null, null, null, null]);
  });
});

const bus = ['dbus-daemon', 'busctl', 'dbus-monitor'].every((name) => existsSync(`/usr/bin/${name}`)) ? null : 'no dbus-daemon, busctl or dbus-monitor on this machine';
if (bus !== null) process.stderr.write(`desktop.test: ${bus}; no notification is sent over a real bus\n`);

describe.skipIf(!isLinux)('a notification', () => {
  it('is shown until the question ends, and has no buttons', async () => {
    const number = await someDisplay();
    const said = join(dir, 'said');
    script('busctl', `printf '%s|' "$@" >> ${said}; echo >> ${said}; case "$*" in *" Notify "*) echo 'u 77';; esac`);
    const end = new AbortController();
    await desktop(session(number)).tell('A question waits', 'a <b> & c', end.signal);
    end.abort();
    await expect.poll(() => readFileSync(said, 'utf8').split('\n').length).toBe(3);
    const [shown, closed] = readFileSync(said, 'utf8').split('\n');
    expect(shown).toContain('|Notify|susssasa{sv}i|Valetkey|0|dialog-password|A question waits|a &lt;b&gt; &amp; c|0|1|urgency|y|1|300000|');
    expect(closed).toContain('|CloseNotification|u|77|');
  });

  it.skipIf(bus !== null)('is a call that a real bus takes, word for word, and is none where nobody shows it', async () => {
    const daemon = spawn('dbus-daemon', ['--session', '--nofork', '--print-address', `--address=unix:path=${dir}/bus`], { stdio: 'pipe' });
    const address = await firstLine(daemon);
    const env = { PATH: '/usr/bin:/bin', DBUS_SESSION_BUS_ADDRESS: address, XDG_RUNTIME_DIR: dir };
    const monitor = spawn('dbus-monitor', ['--address', address, "type='method_call',interface='org.freedesktop.Notifications'"], { stdio: 'pipe' });
    try {
      let seen = '';
      monitor.stdout.on('data', (data) => { seen += String(data); });
      await expect.poll(() => seen).toContain('NameAcquired');
      expect(await notify({ busctl: '/usr/bin/busctl', env }, '-- A question', 'curl <x>')).toBeNull();
      await takeBack({ busctl: '/usr/bin/busctl', env }, 7);
      await expect.poll(() => seen).toContain('member=CloseNotification');
      for (const part of ['member=Notify', 'string "Valetkey"', 'string "-- A question"', 'string "curl &lt;x&gt;"', 'array [\n   ]', 'byte 1', 'int32 300000', 'uint32 7']) expect(seen).toContain(part);
    } finally {
      await kill(monitor);
      await kill(daemon);
    }
  });
});
