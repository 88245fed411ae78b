/**
 * The door at its place on the disk. A logout may remove the whole runtime directory while the daemon lives
 * on, and then nobody could reach or stop it: the place is looked at every few seconds, and the door hung
 * anew where its socket is gone. Connections through the old one go on.
 *
 * A socket that a supervisor holds is not ours to remove: it stays when this daemon ends, and who connects then
 * waits for the next one. One of our own can be left to a successor in the same way: it listens for as long as
 * either holds it, and nobody is turned away meanwhile.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Clock, Log } from '../core/ports.ts';
import type { Listeners } from '../core/successor-port.ts';
import { listenAt, listenOn, removeStale } from './listen.ts';

export type DoorwayDeps = {
  readonly makeDoor: () => Server;
  readonly path: string;
  /** A socket that listens at that path, and was made sure of; null: the daemon makes its own. */
  readonly listener: number | null;
  /** A supervisor holds that one, too, and it is not removed. */
  readonly holdsListener: boolean;
  /** Null where sockets are not made as descriptors: then none can be left to a successor. */
  readonly listeners: Listeners | null;
  /** Makes or verifies the directory of the socket. */
  readonly prepareDir: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
};

const LOOK_MS = 5_000;
/** As long as it can be: see listen.ts. */
const QUEUE = 4_096;

export class Doorway {
  readonly #deps: DoorwayDeps;
  #door: Server | null = null;
  #listener: number | null;
  /** Another descriptor of the socket that the door listens on. */
  #kept: number | null = null;
  #isOurs = false;
  #inode = 0n;
  #isOver = false;
  readonly #closed: Promise<void>[] = [];
  /** Who had come when it was closed is let in. */
  emptied: Promise<void> = Promise.resolve();

  constructor(deps: DoorwayDeps) {
    this.#deps = deps;
    this.#listener = deps.listener;
  }

  /** Throws what listenOn throws. */
  async open(): Promise<void> {
    const door = this.#deps.makeDoor();
    // It is good once: who finds it gone makes one of his own, and leaves the supervisor with its own.
    const listener = this.#inodeNow() === null ? null : this.#listener;
    this.#listener = null;
    this.#isOurs = listener === null || !this.#deps.holdsListener;
    await this.#listen(door, listener);
    this.#door = door;
    this.#inode = this.#inodeNow() ?? 0n;
  }

  /** A descriptor for a successor, good until the socket has to be made anew; null where there is none. */
  get listener(): { readonly fd: number; readonly isHeld: boolean } | null {
    return this.#kept === null ? null : { fd: this.#kept, isHeld: !this.#isOurs };
  }

  /** Takes nobody in any more. The socket stays, and who connects waits. */
  rest(): void {
    this.#isOver = true;
    const door = this.#door;
    this.#door = null;
    if (door !== null) this.#closed.push(new Promise((resolve) => door.close(() => resolve())));
  }

  async #listen(door: Server, given: number | null): Promise<void> {
    const { path, listeners } = this.#deps;
    if (listeners === null) return given === null ? listenOn(door, path) : listenAt(door, given);
    if (given === null) await removeStale(path);
    this.#kept = given ?? listeners.make(path);
    await listenAt(door, listeners.copy(this.#kept));
  }

  /** Until the signal ends. */
  async watch(): Promise<void> {
    const { clock, log, signal, path, prepareDir } = this.#deps;
    for (;;) {
      try {
        await clock.sleep(LOOK_MS, signal);
      } catch {
        return; // the daemon stops
      }
      if (this.#isOver) return;
      try {
        const found = this.#inodeNow();
        if (found === this.#inode) continue;
        if (found !== null) {
          // Closing would remove it, and two daemons would take the place from each other for ever.
          log.error('socket_taken', { socket: path });
          continue;
        }
        log.warn('socket_gone', { socket: path });
        this.#shut();
        prepareDir();
        await this.open();
        if (signal.aborted || this.#isOver) this.#shut();
        else log.info('listening', { socket: path });
      } catch (cause) {
        log.error('socket_not_renewed', { socket: path }, cause); // looked at again in a while
      }
    }
  }

  /** Takes no more connections; resolves when the last one has ended. */
  close(): Promise<unknown> {
    this.#isOver = true;
    this.#shut();
    return Promise.all(this.#closed);
  }

  /** Where Node made the socket, closing removes the file at the path: so only while it is ours or none, and before a new door is hung. */
  #shut(): void {
    const found = this.#inodeNow();
    const { listeners } = this.#deps;
    if (listeners !== null) return this.#shutKept(listeners, found);
    const door = this.#door;
    this.#door = null;
    if (door !== null && found !== null && found !== this.#inode) {
      door.unref(); // it goes with the process, which removes nothing
      return;
    }
    if (door !== null) this.#closed.push(new Promise((resolve) => door.close(() => resolve())));
  }

  #shutKept(listeners: Listeners, found: bigint | null): void {
    const kept = this.#kept;
    const door = this.#door;
    this.#kept = null;
    this.#door = null;
    if (kept === null || door === null) return;
    if (this.#isOurs && found === this.#inode) unlinkSync(this.#deps.path);
    const close = (): Promise<void> => new Promise((resolve) => {
      listeners.close(kept);
      door.close(() => resolve());
    });
    // Who came before the path was gone is let in: a socket that closes over them would only cut them off.
    if (this.#isOurs) this.emptied = letIn(door);
    this.#closed.push(this.emptied.then(close));
  }

  #inodeNow(): bigint | null {
    return lstatSync(this.#deps.path, { throwIfNoEntry: false, bigint: true })?.ino ?? null;
  }
}

/** Those who wait in its queue: one is taken at each turn of the event loop. */
async function letIn(door: Server): Promise<void> {
  let came = 0;
  door.on('connection', () => {
    came += 1;
  });
  for (let before = -1, turns = 0; came !== before && turns < QUEUE; turns += 1) {
    before = came;
    await setImmediate();
    await setImmediate();
  }
}
