/**
 * The door at its place on the disk. A logout may remove the whole runtime directory while the daemon lives
 * on, and then nobody could reach or stop it: the place is looked at every few seconds, and the door hung
 * anew where its socket is gone. Connections through the old one go on.
 *
 * A socket that a supervisor holds is not ours to remove: it stays when this daemon ends, and who connects then
 * waits for the next one.
 */
import { lstatSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Clock, Log } from '../core/ports.ts';
import { listenAt, listenOn } from './listen.ts';

export type DoorwayDeps = {
  readonly makeDoor: () => Server;
  readonly path: string;
  /** A socket that a supervisor holds at that path, and has made sure of; null: the daemon makes its own. */
  readonly listener: number | null;
  /** Makes or verifies the directory of the socket. */
  readonly prepareDir: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
};

const LOOK_MS = 5_000;

export class Doorway {
  readonly #deps: DoorwayDeps;
  #door: Server | null = null;
  #listener: number | null;
  #inode = 0n;
  readonly #closed: Promise<void>[] = [];

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
    await (listener === null ? listenOn(door, this.#deps.path) : listenAt(door, listener));
    this.#door = door;
    this.#inode = this.#inodeNow() ?? 0n;
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
        if (signal.aborted) this.#shut();
        else log.info('listening', { socket: path });
      } catch (cause) {
        log.error('socket_not_renewed', { socket: path }, cause); // looked at again in a while
      }
    }
  }

  /** Takes no more connections; resolves when the last one has ended. */
  close(): Promise<unknown> {
    this.#shut();
    return Promise.all(this.#closed);
  }

  /** Closing removes the file at the path, so only while it is ours or none, and before a new door is hung. */
  #shut(): void {
    const door = this.#door;
    this.#door = null;
    const found = this.#inodeNow();
    if (door !== null && found !== null && found !== this.#inode) {
      door.unref(); // it goes with the process, which removes nothing
      return;
    }
    if (door !== null) this.#closed.push(new Promise((resolve) => door.close(() => resolve())));
  }

  #inodeNow(): bigint | null {
    return lstatSync(this.#deps.path, { throwIfNoEntry: false, bigint: true })?.ino ?? null;
  }
}
