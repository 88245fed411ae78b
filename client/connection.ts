/**
 * The way to the daemon: finds the socket, proves that it is this user's own, keeps connections alive,
 * starts the daemon where it does not run. Every request has a deadline, and nothing is sent to a socket
 * that was not checked in the same turn of the event loop.
 */
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Paths } from '../shared/paths.ts';
import { livingDaemon, socketGone } from './daemon-process.ts';
import { findLiveSocket, isOwnSocket, reachableSockets, socketCandidates } from './find-socket.ts';
import { exchangeFetch, exchangeJson, exchangeStream } from './http-exchange.ts';
import type { Verb } from './http-exchange.ts';
import { localOwner, localPaths } from './local-paths.ts';
import type { Owner } from './local-paths.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type ConnectionOptions = {
  /** Absolute path of a socket, instead of the one that is found. It is checked all the same. */
  readonly socket?: string;
  /** Start the daemon if it does not run; default true. Never with `socket`. */
  readonly startDaemon?: boolean;
  /** Who starts the daemon; `valetkey status` shows it. */
  readonly label?: string;
};

/** The daemon of this machine alone, or also the broker of another one that ssh brought here. */
type Whose = 'own' | 'any';

/**
 * What a broker of another machine is asked for: tokens, sign-ins, and what it knows of them. Passphrases, PINs and client
 * secrets are of this machine, as are lock and panic: whoever put a socket into that place hears nothing of them.
 */
const ANYBODYS = /^(?:POST \/v1\/(?:token|fetch)|(?:GET|POST|DELETE) \/v1\/logins|(?:GET|DELETE|POST) \/v1\/grants|GET \/v1\/(?:profiles|whoami|status|events))(?:[/?]|$)/;

export type CallOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the call fails with `deadline_exceeded`. */
  readonly timeoutMs?: number;
  /** False: do not start the daemon for this call. */
  readonly startDaemon?: boolean;
  /** True: also of a daemon that speaks another protocol; for what every protocol has. */
  readonly anyProtocol?: boolean;
};

export type Connection = {
  /** Sends one request, and starts the daemon first if it does not run. */
  call(verb: Verb, path: string, body: object | null, options?: CallOptions): Promise<unknown>;
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** An API's answer, by the daemon. Sent once: nobody knows what a second time would do there. */
  fetch(body: object, signal: AbortSignal): Promise<IncomingMessage>;
  /** Starts the daemon if it does not run; false if it ran. */
  ensureDaemon(signal?: AbortSignal): Promise<boolean>;
  close(): void;
};

const CALL_TIMEOUT_MS = 15_000;
/** Of a daemon that is on its way out. */
const LOOK_MS = 25;
// The daemon takes 64 connections of one process; the rest is for the process's other uses.
const CONNECTIONS_MAX = 32;

/** Nobody accepts there: nothing was sent, so another socket may be tried. */
function isAbsence(error: unknown): boolean {
  return errorCode(error) === 'ECONNREFUSED' || errorCode(error) === 'ENOENT';
}

/**
 * The daemon closed without having read it: the write failed, or the kernel says of a Unix socket that something was
 * left in its queue (unix(7)). One that was killed in the middle of its work ends the connection in another way.
 */
function wasUnread(error: unknown): boolean {
  return errorCode(error) === 'EPIPE' || (errorCode(error) === 'ECONNRESET' && error instanceof Error && 'syscall' in error);
}

function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

export function openConnection(options: ConnectionOptions = {}): Connection {
  const owner: Owner = localOwner();
  const paths: Paths = localPaths(owner);
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, maxFreeSockets: 4 });
  const mayStart = options.socket === undefined && options.startDaemon !== false;
  let starting: Promise<string> | null = null;
  const known: Record<Whose, string | null> = { own: options.socket ?? null, any: options.socket ?? null };

  const found = (whose: Whose): readonly string[] => (whose === 'own' ? socketCandidates(paths, owner.uid) : reachableSockets(paths, owner.uid, process.env));
  /** Who would not start a daemon means the own one. */
  const whoseFor = (verb: Verb, path: string): Whose => (options.startDaemon !== false && ANYBODYS.test(`${verb} ${path}`) ? 'any' : 'own');

  /** `attempt` runs on each socket until one is there; null if none is. */
  async function onFirstSocket<T>(whose: Whose, attempt: (socket: string) => Promise<T>): Promise<{ reply: T } | null> {
    const [last, candidates] = [known[whose], known[whose] === null ? found(whose) : [known[whose]]];
    for (const socket of candidates) {
      if (!isOwnSocket(socket, owner.uid)) continue;
      try {
        const reply = await attempt(socket);
        known[whose] = socket;
        return { reply };
      } catch (error) {
        if (!isAbsence(error)) throw error;
      }
    }
    if (options.socket !== undefined || last === null) return null;
    known[whose] = null; // that daemon is gone: look again where the lock record says
    return onFirstSocket(whose, attempt);
  }

  async function start(signal: AbortSignal | undefined): Promise<string> {
    const { startDaemon } = await import('./start-daemon.ts');
    // One start for all who wait in this process; it goes on when one of them gives up.
    starting ??= startDaemon({ label: options.label ?? 'valetkey/client' }).finally(() => { starting = null; });
    const socket = await starting;
    signal?.throwIfAborted();
    return socket;
  }

  /** One that is ending has closed its door and finishes what is on the wire; only then another can start. */
  async function whenGone(signal: AbortSignal | undefined): Promise<void> {
    for (let daemon = livingDaemon(paths, owner.uid); daemon !== null && !existsSync(daemon.socket); daemon = livingDaemon(paths, owner.uid)) {
      try {
        await sleep(LOOK_MS, undefined, signal === undefined ? {} : { signal });
      } catch {
        throw socketGone(paths, owner.uid) ?? ValetkeyError.local('daemon_unreachable', 'the daemon ended too late'); // the time is over
      }
    }
  }

  /** A daemon that is being replaced has done nothing of what it was asked, so the next one is asked. */
  async function untilServed<T>(attempt: () => Promise<T>, signal: AbortSignal, mayRetry: boolean): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!mayRetry || signal.aborted || !(wasUnread(error) || (error instanceof ValetkeyError && error.code === 'shutting_down'))) throw error;
        await sleep(LOOK_MS);
      }
    }
  }

  async function reach<T>(whose: Whose, attempt: (socket: string) => Promise<T>, signal: AbortSignal | undefined, startsHere = mayStart): Promise<T> {
    const first = await onFirstSocket(whose, attempt);
    if (first !== null) return first.reply;
    if (!startsHere) {
      throw (options.socket === undefined ? socketGone(paths, owner.uid) : null)
        ?? ValetkeyError.local('daemon_unreachable', `no daemon answers on ${options.socket ?? paths.socket}`);
    }
    await whenGone(signal);
    const socket = await start(signal);
    if (!isOwnSocket(socket, owner.uid)) throw ValetkeyError.local('daemon_unreachable', 'the daemon ended right after its start');
    known[whose] = socket;
    return attempt(socket);
  }

  function translate(error: unknown, deadline: AbortSignal, caller: AbortSignal | undefined, timeoutMs: number): unknown {
    if (error instanceof ValetkeyError) return error;
    if (caller?.aborted === true) return caller.reason;
    if (deadline.aborted) return ValetkeyError.local('deadline_exceeded', `the daemon did not answer within ${timeoutMs / 1000} s`);
    return ValetkeyError.local('daemon_unreachable', `the daemon ended the connection without an answer (${errorCode(error) ?? 'unknown'})`, { cause: error });
  }

  return {
    async call(verb, path, body, { signal, timeoutMs = CALL_TIMEOUT_MS, startDaemon = true, anyProtocol = false } = {}) {
      signal?.throwIfAborted();
      const deadline = AbortSignal.timeout(timeoutMs);
      const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      try {
        const mayAsk = mayStart && startDaemon;
        return await untilServed(() => reach(whoseFor(verb, path), (socket) => exchangeJson(agent, { socket, verb, path, body, signal: both, anyProtocol }), both, mayAsk), both, mayAsk);
      } catch (error) {
        throw translate(error, deadline, signal, timeoutMs);
      }
    },
    async stream(path, signal) {
      signal.throwIfAborted();
      try {
        return await reach(whoseFor('GET', path), (socket) => exchangeStream({ socket, verb: 'GET', path, body: null, signal, anyProtocol: false }), signal);
      } catch (error) {
        throw translate(error, new AbortController().signal, signal, 0);
      }
    },
    async fetch(body, signal) {
      signal.throwIfAborted();
      try {
        return await reach(whoseFor('POST', '/v1/fetch'), (socket) => exchangeFetch({ socket, verb: 'POST', path: '/v1/fetch', body, signal, anyProtocol: false }), signal);
      } catch (error) {
        throw translate(error, new AbortController().signal, signal, 0);
      }
    },
    async ensureDaemon(signal) {
      if (await findLiveSocket(paths, owner.uid) !== null) return false;
      known.own = await start(signal);
      return true;
    },
    close() {
      agent.destroy();
    },
  };
}
