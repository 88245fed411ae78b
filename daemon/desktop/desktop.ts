/**
 * The desktop of this user (Linux): dialogs by a pinentry, notifications by busctl. Programs are found at constant
 * paths where only root could have put them, and get an environment that is made here: the display that was found,
 * and a home in which nobody but root can leave settings or modules for them to load.
 */
import { join } from 'node:path';
import type { Desktop, Display, Seat } from '../core/desktop-port.ts';
import type { Clock } from '../core/ports.ts';
import { notify, takeBack } from './notification.ts';
import type { NotifyDeps } from './notification.ts';
import { runPinentry } from './pinentry.ts';
import { runProgram } from './run-program.ts';
import { findSeat } from './seat.ts';
import type { SeatDeps } from './seat.ts';

export type DesktopDeps = Omit<SeatDeps, 'userEnvironment'> & {
  readonly clock: Pick<Clock, 'boottimeMs' | 'sleep'>;
  readonly platform: string;
  /** Where programs are looked for; a compiled constant outside of tests. */
  readonly folders: readonly string[];
  /** The path that is run, or null where somebody but root could change it. */
  readonly trusted: (path: string) => Promise<string | null>;
};

/** Where distributions, their admins and NixOS install programs. */
export const PROGRAM_FOLDERS = ['/usr/bin', '/usr/local/bin', '/run/current-system/sw/bin'] as const;
/** Those that open a window of their own. The one of GNOME asks the shell over the session bus: there it comes first, elsewhere last. */
const GNOME = 'pinentry-gnome3';
const WINDOWED = ['pinentry-qt', 'pinentry-qt5', 'pinentry-gtk-2', 'pinentry-gtk', 'pinentry-fltk', 'pinentry-x11'] as const;

const NOT_HERE = 'dialogs are shown on Linux only';

export function createDesktop(deps: DesktopDeps): Desktop {
  const found = async (names: readonly string[]): Promise<{ readonly name: string; readonly path: string } | null> => {
    for (const name of names) {
      for (const folder of deps.folders) {
        const path = await deps.trusted(join(folder, name));
        if (path !== null) return { name, path };
      }
    }
    return null;
  };
  const pinentryFor = ({ desktop }: Display): ReturnType<typeof found> => found(/gnome/i.test(desktop) ? [GNOME, ...WINDOWED] : [...WINDOWED, GNOME]);
  const find = async (): Promise<Seat | string> => {
    if (deps.platform !== 'linux') return NOT_HERE;
    const userEnvironment = async (): Promise<string | null> => {
      const systemctl = await found(['systemctl']);
      return systemctl === null ? null : runProgram(systemctl.path, ['--user', 'show-environment'], busEnvironment(deps.uid));
    };
    return findSeat({ ...deps, userEnvironment });
  };
  const bus = async (): Promise<NotifyDeps | null> => {
    const busctl = await found(['busctl']);
    return busctl === null ? null : { busctl: busctl.path, env: busEnvironment(deps.uid) };
  };
  return {
    find,
    async ask({ display }, text, lifeMs, signal) {
      const program = await pinentryFor(display);
      if (program === null) return { kind: 'none', why: 'no pinentry for desktops is installed' };
      return runPinentry(deps, { program: program.path, env: dialogEnvironment(display, deps.uid), options: [], text, lifeMs }, signal);
    },
    async tell(title, body, signal) {
      const service = await bus();
      const id = service === null || signal.aborted ? null : await notify(service, title, body);
      if (service === null || id === null) return;
      const close = (): void => void takeBack(service, id);
      if (signal.aborted) close();
      else signal.addEventListener('abort', close, { once: true });
    },
    async state() {
      const seat = await find();
      if (typeof seat === 'string') return { dialogs: null, notifications: false, why: seat };
      const program = await pinentryFor(seat.display);
      return {
        dialogs: program?.name ?? null,
        notifications: await bus() !== null,
        why: program === null ? `no pinentry for desktops is installed (${WINDOWED[0]}, ${WINDOWED[2]} or ${GNOME})` : null,
      };
    },
  };
}

const COMMON = { PATH: '/usr/bin:/bin', HOME: '/', LC_ALL: 'C.UTF-8' } as const;

function busEnvironment(uid: number): Readonly<Record<string, string>> {
  return { ...COMMON, XDG_RUNTIME_DIR: `/run/user/${uid}`, DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${uid}/bus` };
}

function dialogEnvironment({ x11, wayland, xauthority, type, desktop }: Display, uid: number): Readonly<Record<string, string>> {
  return {
    ...busEnvironment(uid),
    XDG_SESSION_TYPE: type,
    ...(desktop === '' ? {} : { XDG_CURRENT_DESKTOP: desktop }),
    ...(x11 === null ? {} : { DISPLAY: x11 }),
    ...(wayland === null ? {} : { WAYLAND_DISPLAY: wayland }),
    ...(xauthority === null ? {} : { XAUTHORITY: xauthority }),
  };
}
