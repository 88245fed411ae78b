/**
 * One door, two dialects: a connection whose first byte is `{` speaks framed JSON, any other one HTTP. Which
 * it is changes nothing of who may ask for what. HTTP is loaded when it is first spoken; connections that
 * come meanwhile wait, and are closed where it cannot be loaded.
 */
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { later } from '../core/later.ts';
import type { Peer, PinPeer } from '../core/ports.ts';
import { Admission } from './admission.ts';
import type { AdmissionDeps } from './admission.ts';
import { Dispatch } from './dispatch.ts';
import type { DispatchDeps } from './dispatch.ts';
import type { Http, HttpDeps } from './http.ts';
import { Conversation } from './line/conversation.ts';
import type { ConversationDeps } from './line/conversation.ts';
import { Connection, Connections, NEVER } from './connections.ts';
import { Turn } from './turn.ts';

export type AppDeps = AdmissionDeps & DispatchDeps & {
  /** Where it is left out: the real one, imported then. */
  readonly loadHttp?: (deps: HttpDeps) => Promise<Http>;
};

const FIRST_BYTE_MS = 5_000;
/** For a caller that does not read its last answer. */
const LAST_WORDS_MS = 1_000;
/** Connected, and silent since: one that has something to say says it at once. */
const SILENT_MS = 1_000;
/** An issuer that hangs is waited for for a minute. */
const BUSY_MS = 65_000;
const REST_STEP_MS = 5;
const BRACE = 0x7b;

export class App {
  readonly #deps: AppDeps;
  readonly #admission: Admission;
  readonly #dispatch: Dispatch;
  readonly #connections: Connections;
  readonly #line: ConversationDeps;
  readonly #turn: Turn;
  #http: Http | null = null;
  #loading: Promise<Http> | null = null;
  #isResting = false;
  /** For HTTP to be loaded. */
  #waiting = 0;

  constructor(deps: AppDeps) {
    this.#deps = deps;
    this.#admission = new Admission(deps);
    this.#dispatch = new Dispatch(deps);
    this.#connections = new Connections(deps.clock);
    this.#turn = new Turn(deps.callers);
    this.#line = { admission: this.#admission, dispatch: this.#dispatch, connections: this.#connections };
  }

  /** A connection whose peer is known, and of which nothing was read yet. */
  take(socket: Socket, peer: Peer, pin: PinPeer): void {
    const connection = new Connection(socket, this.#admission.attest(peer, pin), this.#connections.in(FIRST_BYTE_MS));
    this.#connections.add(connection);
    socket.on('close', () => {
      this.#connections.remove(connection);
      connection.leave();
    });
    const end = (): void => {
      connection.take();
      if (connection.speaker === null) socket.destroy();
      else connection.speaker.end();
    };
    const data = (chunk: Buffer): void => {
      if (connection.speaker !== null) {
        if (this.#connections.isOne) connection.speaker.data(chunk);
        else if (connection.keep(chunk)) this.#turn.add(connection);
        return;
      }
      if (chunk[0] === BRACE) return this.#converse(connection, chunk);
      socket.off('data', data);
      socket.off('end', end);
      this.#speakHttp(connection, chunk);
    };
    socket.on('end', end);
    socket.on('data', data);
  }

  /** Requests that are not answered yet; event streams do not count. */
  get busy(): number {
    return this.#dispatch.busy + this.#waiting;
  }

  /** Somebody has connected, and has not said yet what he wants. */
  get hasNewcomer(): boolean {
    for (const { speaker, until } of this.#connections.all()) if (speaker === null && until !== NEVER) return true;
    return false;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * For a successor, which has the door by now: what was asked is answered as ever, and each connection ended at its
   * next pause. Resolves when all have ended, or only those are left that have said nothing for a while.
   */
  async rest(): Promise<void> {
    const { clock } = this.#deps;
    this.#isResting = true;
    for (const { speaker, socket, isStream } of this.#connections.all()) {
      speaker?.rest();
      if (isStream) socket.end(() => socket.destroy());
    }
    // Fastify answers what comes meanwhile, and says that it closes.
    void this.close();
    const never = new AbortController().signal;
    for (let waited = 0; this.#connections.size > 0 && (waited < SILENT_MS || this.busy > 0) && waited < BUSY_MS; waited += REST_STEP_MS) await clock.sleep(REST_STEP_MS, never);
  }

  /** Takes no more requests of HTTP; resolves when its connections have ended. */
  async close(): Promise<void> {
    // What never loaded has nothing to close; who asked for it was told.
    const http = await this.#loading?.catch(() => null);
    // Who waited for it has spoken, but was not read yet, and would count as idle.
    await setImmediate();
    await http?.close();
  }

  /** Ends all connections. */
  end(): void {
    for (const { socket } of this.#connections.all()) socket.end(() => socket.destroy());
    const { signal } = new AbortController();
    void this.#deps.clock.sleep(LAST_WORDS_MS, signal).then(() => {
      for (const { socket } of this.#connections.all()) socket.destroy();
    });
  }

  #converse(connection: Connection, chunk: Buffer): void {
    const conversation = new Conversation(this.#line, connection);
    conversation.start(chunk);
    if (this.#isResting) conversation.rest();
  }

  #speakHttp(connection: Connection, chunk: Buffer): void {
    const { socket } = connection;
    connection.until = NEVER; // from here on its own server keeps the time
    socket.pause();
    socket.unshift(chunk);
    const http = this.#http;
    if (http !== null) {
      http.take(connection);
      socket.resume();
      return;
    }
    this.#waiting += 1;
    this.#loadHttp().finally(() => {
      this.#waiting -= 1;
    }).then((loaded) => {
      if (socket.destroyed) return;
      loaded.take(connection);
      socket.resume();
    }, () => socket.destroy());
  }

  #loadHttp(): Promise<Http> {
    this.#loading ??= this.#load().catch((cause: unknown) => {
      this.#loading = null; // the next one tries again
      this.#deps.log.error('http_not_loaded', {}, cause);
      throw cause;
    });
    return this.#loading;
  }

  async #load(): Promise<Http> {
    const deps = { admission: this.#admission, dispatch: this.#dispatch, connections: this.#connections, turn: this.#turn, log: this.#deps.log };
    const http = await (this.#deps.loadHttp ?? loadFastify)(deps);
    this.#http = http;
    return http;
  }
}

const httpModule = later(() => import('./http.ts'));

async function loadFastify(deps: HttpDeps): Promise<Http> {
  const { createHttp } = await httpModule();
  return createHttp(deps);
}
