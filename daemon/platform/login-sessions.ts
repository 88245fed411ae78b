/**
 * Whether the screen of this user is locked, and when the machine is about to sleep, as systemd-logind tells on the
 * system bus. A desktop session counts as locked by logind's Lock signal or by its LockedHint; one locked desktop is
 * enough, and without a desktop there is nothing to lock. Only what comes from logind itself is listened to.
 */
import type { Clock, LoginSessions, Log, SessionNews } from '../core/ports.ts';
import { BUS, connectBus } from './bus.ts';
import type { Bus } from './bus.ts';
import { arrayOf, BusFault } from './bus-message.ts';
import type { BusMessage, BusValue } from './bus-message.ts';

/** Compiled in (D-Bus specification, "System message bus"): a variable could name a bus of somebody's own making. */
export const SYSTEM_BUS = '/run/dbus/system_bus_socket';

export type LoginSessionsDeps = { readonly socket: string; readonly clock: Clock; readonly log: Log; readonly uid: number };

const LOGIND = 'org.freedesktop.login1';
const MANAGER = { destination: LOGIND, path: '/org/freedesktop/login1', interface: `${LOGIND}.Manager` } as const;
const SESSION = `${LOGIND}.Session`;
const PROPERTIES = 'org.freedesktop.DBus.Properties';
/** Others have no screen locker that would ever say that it is unlocked again. */
const DESKTOPS = ['x11', 'wayland', 'mir'];
const SESSIONS_MAX = 32;
const SAID_MAX = 64;
const PAUSE_FIRST_MS = 1_000;
const PAUSE_MAX_MS = 30_000;

const MATCHES = [
  `type='signal',sender='${LOGIND}',interface='${SESSION}'`,
  `type='signal',sender='${LOGIND}',interface='${PROPERTIES}',arg0='${SESSION}'`,
  `type='signal',sender='${LOGIND}',interface='${MANAGER.interface}'`,
];
const OWNER_CHANGED = `type='signal',sender='${BUS.destination}',interface='${BUS.interface}',member='NameOwnerChanged',arg0='${LOGIND}'`;

export function createLoginSessions(deps: LoginSessionsDeps): LoginSessions {
  return {
    async watch(onNews, signal) {
      const { clock, log } = deps;
      for (let failures = 0; !signal.aborted; failures += 1) {
        const heardMs = clock.boottimeMs();
        const why = await listen(deps, onNews, signal);
        if (signal.aborted) return;
        onNews({ kind: 'unheard', why });
        log.warn('logind_unheard', { why });
        if (clock.boottimeMs() - heardMs > PAUSE_MAX_MS) failures = 0;
        await clock.sleep(Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(failures, 10)), signal).catch(() => undefined); // nobody listens any more
      }
    },
  };
}

/** Until it cannot be heard any more. @returns why */
async function listen({ socket, clock, uid }: LoginSessionsDeps, onNews: (news: SessionNews) => void, signal: AbortSignal): Promise<string> {
  let listener: Listener | null = null;
  let bus: Bus | null = null;
  const close = (): void => bus?.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    bus = await connectBus(socket, { clock, uid, onSignal: (message) => listener?.take(message) });
    signal.throwIfAborted();
    await bus.call({ ...BUS, member: 'AddMatch', strings: [OWNER_CHANGED] });
    const [owner] = await bus.call({ ...BUS, member: 'GetNameOwner', strings: [LOGIND] });
    if (typeof owner !== 'string') throw new BusFault('logind has no name');
    listener = new Listener(bus, owner, uid, onNews);
    for (const match of MATCHES) await bus.call({ ...BUS, member: 'AddMatch', strings: [match] });
    await listener.look();
    await Promise.race([bus.lost, listener.over]);
    return 'the connection to logind was lost';
  } catch (cause) {
    if (!(cause instanceof BusFault) && !signal.aborted) throw cause;
    return cause instanceof Error ? cause.message : 'it is not listened to any more';
  } finally {
    signal.removeEventListener('abort', close);
    bus?.close();
  }
}

class Listener {
  readonly over: Promise<void>;
  readonly #bus: Bus;
  readonly #owner: string;
  readonly #uid: number;
  readonly #onNews: (news: SessionNews) => void;
  /** Desktop sessions of this user, by their object: whether each is locked. */
  #desktops = new Map<string, boolean>();
  /** What signals said of each session last: of a screen locker that keeps no hint, that is all there is. */
  readonly #said = new Map<string, boolean>();
  #looking: Promise<void> | null = null;
  #isStale = false;
  #end: () => void = () => undefined;

  constructor(bus: Bus, owner: string, uid: number, onNews: (news: SessionNews) => void) {
    this.#bus = bus;
    this.#owner = owner;
    this.#uid = uid;
    this.#onNews = onNews;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Reads all sessions; at the same time once. */
  look(): Promise<void> {
    this.#isStale = true;
    this.#looking ??= this.#readAll().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  take(message: BusMessage): void {
    // Another logind will have another name: everything is read anew from that one.
    if (message.sender === BUS.destination) return message.member === 'NameOwnerChanged' ? this.#end() : undefined;
    // Any program may send what looks like a signal of logind's; the bus says who did.
    if (message.sender !== this.#owner) return undefined;
    if (message.interface === MANAGER.interface) this.#takeManager(message);
    else if (message.interface === SESSION && (message.member === 'Lock' || message.member === 'Unlock')) this.#set(message.path, message.member === 'Lock');
    else if (message.interface === PROPERTIES && message.member === 'PropertiesChanged') this.#takeChange(message);
    return undefined;
  }

  #takeManager(message: BusMessage): void {
    if (message.member === 'PrepareForSleep') {
      if (message.body()[0] === true) this.#onNews({ kind: 'sleep' });
    } else if (message.member === 'SessionNew' || message.member === 'SessionRemoved') {
      this.look().catch(() => this.#end()); // the connection is made anew
    }
  }

  #takeChange(message: BusMessage): void {
    const changed = propertiesOf(message.body()[1]);
    const isLocked = changed.get('LockedHint');
    if (typeof isLocked === 'boolean') this.#set(message.path, isLocked);
    if (changed.has('Type') || changed.has('Class')) this.look().catch(() => this.#end());
  }

  #set(path: string, isLocked: boolean): void {
    if (this.#said.size < SAID_MAX || this.#said.has(path)) this.#said.set(path, isLocked);
    this.#isStale = true; // what is being read may be older or newer than this
    if (!this.#desktops.has(path)) return;
    this.#desktops.set(path, isLocked);
    this.#tell();
  }

  #tell(): void {
    this.#onNews({ kind: 'screen', isLocked: [...this.#desktops.values()].some(Boolean) });
  }

  async #readAll(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      const [listed] = await this.#bus.call({ ...MANAGER, member: 'ListSessions', strings: [] });
      const own = arrayOf(listed).flatMap((entry) => {
        const [, uid, , , path] = arrayOf(entry);
        return uid === this.#uid && typeof path === 'string' ? [path] : [];
      }).slice(0, SESSIONS_MAX);
      const found = new Map<string, boolean>();
      for (const path of own) {
        const isLocked = await this.#readOne(path);
        if (isLocked !== null) found.set(path, isLocked || this.#said.get(path) === true);
      }
      for (const path of this.#said.keys()) if (!own.includes(path)) this.#said.delete(path);
      this.#desktops = found;
    }
    this.#tell();
  }

  /** Null: no desktop, or it has ended meanwhile. */
  async #readOne(path: string): Promise<boolean | null> {
    let all: ReadonlyMap<string, BusValue>;
    try {
      const [properties] = await this.#bus.call({ destination: LOGIND, path, interface: PROPERTIES, member: 'GetAll', strings: [SESSION] });
      all = propertiesOf(properties);
    } catch (cause) {
      if (cause instanceof BusFault && cause.message.includes('org.freedesktop.DBus.Error.Unknown')) return null;
      throw cause;
    }
    return all.get('Class') === 'user' && DESKTOPS.includes(String(all.get('Type'))) ? all.get('LockedHint') === true : null;
  }
}

function propertiesOf(value: BusValue | undefined): ReadonlyMap<string, BusValue> {
  const properties = new Map<string, BusValue>();
  for (const entry of arrayOf(value)) {
    const [name, content] = arrayOf(entry);
    if (typeof name === 'string' && content !== undefined) properties.set(name, content);
  }
  return properties;
}
