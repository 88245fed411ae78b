/**
 * The daemon that takes over from this one (docs/decisions/0021): the recorded program, as a child that gets the
 * lock, the listening socket and the data key as open descriptors, and nothing of it by its arguments, its
 * environment or a file. It loads what it needs and waits; from the word `go` on it is the owner, and this process
 * touches nothing until that one is ready, or is gone.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerError } from '../core/errors.ts';
import type { HandOver, Successor } from '../core/successor-port.ts';
import { cleanText } from '../core/text.ts';
import type { RecordedProgram } from './recorded-program.ts';

/** From its start to its word, and again from `go` to `ready`. */
const WORD_MS = 10_000;
const SAID_MAX = 4_096;
/** As client/start-daemon.ts passes them on; the variables of the supervisor beside them. */
const PASSED_ON = ['LANG', 'LC_ALL', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS', 'VALETKEY_STARTED_BY'] as const;

export type Supervised = { readonly notifySocket: string | null; readonly watchdogMs: number | null };

/** Resolves once it waits for `go`. Throws BrokerError upgrade_failed where it does not come so far. */
export async function startSuccessor({ node, flags, program }: RecordedProgram, { listener, isHeld, lock, key }: HandOver, { notifySocket, watchdogMs }: Supervised, home: string): Promise<Successor> {
  const kept = PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const env = {
    ...Object.fromEntries(kept), PATH: '/usr/bin:/bin', HOME: home,
    ...(notifySocket === null ? {} : { NOTIFY_SOCKET: notifySocket }),
    ...(watchdogMs === null ? {} : { WATCHDOG_USEC: String(watchdogMs * 1000) }),
  };
  // In the order in which predecessor.ts takes them: the way to talk, the socket, the lock, the key.
  const stdio: StdioOptions = ['ignore', 'ignore', 'inherit', 'pipe', listener, lock, key ?? 'ignore'];
  const child = spawn(node, [...flags, program, '--take-over', isHeld ? 'held' : 'own'], { cwd: '/', env, stdio, detached: true });
  const talk = listen(child);
  const { pid } = child;
  const failed = async (why: string): Promise<BrokerError> => {
    child.kill('SIGKILL');
    await talk.gone;
    return new BrokerError('upgrade_failed', `${program} did not take over: ${why}`, { hint: 'The daemon goes on as before; run: valetkey doctor' });
  };
  const first = await talk.word(WORD_MS);
  if (first !== 'prepared' || pid === undefined) throw await failed(first);
  return {
    pid, program,
    async takeOver(mustOpen) {
      talk.say(mustOpen ? 'go open' : 'go');
      const word = await talk.word(WORD_MS);
      if (word !== 'ready') throw await failed(word);
      talk.end();
      child.unref();
    },
    async abandon() {
      await failed('it is not needed');
    },
  };
}

type Talk = {
  /** The next line, or why there will be none. */
  word(ms: number): Promise<string>;
  say(line: string): void;
  /** The process has ended; nothing of it holds a descriptor any more. */
  readonly gone: Promise<void>;
  end(): void;
};

function listen(child: ChildProcess): Talk {
  const [, , , pipe] = child.stdio;
  let said = '';
  let why: string | null = null;
  let wake: () => void = () => undefined;
  const settle = (reason: string): void => {
    why ??= reason;
    wake();
  };
  const gone = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      settle(`it could not be started (${'code' in cause ? String(cause.code) : cause.message})`);
      resolve();
    });
    child.once('exit', (code, signal) => {
      // What it said last may be read after this.
      setImmediate(() => settle(`it ended with ${signal ?? `exit status ${code}`}`));
      resolve();
    });
  });
  pipe?.on('error', () => undefined); // its end is told by its exit
  pipe?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SAID_MAX);
    wake();
  });
  return {
    gone,
    async word(ms) {
      const late = new AbortController();
      void sleep(ms, undefined, { signal: late.signal, ref: true }).then(() => settle(`it said nothing for ${ms / 1000} s`), () => undefined);
      try {
        for (;;) {
          const end = said.indexOf('\n');
          if (end >= 0) {
            const line = said.slice(0, end);
            said = said.slice(end + 1);
            return cleanText(line, 512);
          }
          if (why !== null) return why;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        late.abort();
      }
    },
    say(line) {
      if (pipe !== null && pipe !== undefined && 'write' in pipe) pipe.write(`${line}\n`);
    },
    end() {
      pipe?.destroy();
    },
  };
}
