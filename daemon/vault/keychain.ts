/**
 * The key in the OS keychain (Secret Service, macOS Keychain, Windows Credential Manager), by @napi-rs/keyring,
 * which is loaded here and nowhere else, always with its store named: its default falls back to the kernel's
 * keyring, which forgets at reboot and says nothing.
 *
 * Each call runs in a process of its own, which is killed when it is done or late. A thread will not do: while
 * the desktop asks for the keyring's password, the native call cannot be interrupted, worker.terminate() never
 * resolves and process.exit() waits for it (seen: 25 s; the library's own limit is a year). And a keyring that
 * hangs blocks whatever thread opens it for 2 s.
 *
 * The library gives every failure the same code, so what failed is told by the step that it failed in.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../core/ports.ts';

/** Opening the keychain: libdbus gives up after 2 s, a frozen bus never does. Less than callers wait (V5), so that they are told which it is. */
const CONNECT_MS = 2_500;
/** Once it answered, it may be asking a person for its password. */
export const PERSON_MS = 120_000;
const KEYCHAIN_SERVICE = 'valetkey';

export type KeychainFailure =
  /** The native library is missing or broken. */
  | 'unloadable'
  /** No bus, or nobody on it who keeps secrets. */
  | 'absent'
  | 'frozen'
  /** It answers, but does not hand out the item. */
  | 'locked'
  /** It answers, but takes no new item. */
  | 'refused';
export type KeychainOutcome =
  /** `beside`: the second item that was asked for; null where it is not there. */
  | { readonly kind: 'found'; readonly secret: Buffer; readonly beside: Buffer | null }
  | { readonly kind: 'missing' }
  | { readonly kind: 'stored' }
  | { readonly kind: 'removed' }
  | { readonly kind: 'failed'; readonly why: KeychainFailure };

export type Keychain = {
  /** One process and one question to a person for both items; the outcome is that of the first. */
  read(account: string, beside: string): Promise<KeychainOutcome>;
  /** Stores it and reads it back. @param personMs - how long a dialog may stay open */
  store(account: string, secret: Buffer, personMs: number): Promise<KeychainOutcome>;
  remove(account: string, beside: string): Promise<KeychainOutcome>;
};

type Call = {
  readonly op: 'read' | 'store' | 'remove' | 'try';
  readonly service: string;
  readonly account: string;
  readonly beside: string | null;
  readonly secret: Uint8Array | null;
};
type Message = { readonly step: 'connected' } | { readonly step: 'done'; readonly outcome: KeychainOutcome };

export function createKeychain(clock: Clock): Keychain {
  return {
    read: (account, beside) => runCall(clock, PERSON_MS, { op: 'read', service: KEYCHAIN_SERVICE, account, beside, secret: null }),
    store: (account, secret, personMs) => runCall(clock, personMs, { op: 'store', service: KEYCHAIN_SERVICE, account, beside: null, secret }),
    remove: (account, beside) => runCall(clock, PERSON_MS, { op: 'remove', service: KEYCHAIN_SERVICE, account, beside, secret: null }),
  };
}

/** Stores an item, reads it back and removes it: outcome `stored`, or what failed. @param personMs - how long a dialog may stay open */
export function tryKeychain(clock: Clock, account: string, secret: Buffer, personMs: number): Promise<KeychainOutcome> {
  return runCall(clock, personMs, { op: 'try', service: KEYCHAIN_SERVICE, account, beside: null, secret });
}

async function runCall(clock: Clock, personMs: number, call: Call): Promise<KeychainOutcome> {
  // The program comes over stdin and the key over a pipe: the command line shows neither.
  const child = spawn(process.execPath, ['-'], { cwd: '/', stdio: ['pipe', 'ignore', 'ignore', 'ipc'], serialization: 'advanced' });
  const over = new AbortController();
  try {
    return await Promise.race([talk(child, call, () => over.signal.aborted), guard(clock, personMs, child, over.signal)]);
  } finally {
    over.abort();
    child.kill('SIGKILL');
  }
}

/** The late side of the race. */
async function guard(clock: Clock, personMs: number, child: ChildProcess, signal: AbortSignal): Promise<KeychainOutcome> {
  const connected = new Promise<'connected'>((resolve) => {
    child.on('message', (message: Message) => {
      if (message.step === 'connected') resolve('connected');
    });
  });
  try {
    const first = await Promise.race([connected, clock.sleep(CONNECT_MS, signal)]);
    if (first !== 'connected') return { kind: 'failed', why: 'frozen' };
    await clock.sleep(personMs, signal);
    return { kind: 'failed', why: 'locked' };
  } catch (cause) {
    // The call is over, and with it this watch; its result is no longer looked at.
    if (signal.aborted) return { kind: 'failed', why: 'frozen' };
    throw cause;
  }
}

function talk(child: ChildProcess, call: Call, isOver: () => boolean): Promise<KeychainOutcome> {
  return new Promise((resolve) => {
    // Only whoever waits for the answer keeps the daemon alive, never the keychain.
    child.unref();
    child.channel?.unref();
    child.on('message', (message: Message) => {
      if (message.step === 'done') resolve(withBuffer(message.outcome));
    });
    // A start that fails, a crash of the native code: neither leaves an answer.
    const fail = (): void => {
      if (!isOver()) resolve({ kind: 'failed', why: 'unloadable' });
    };
    child.on('error', fail);
    child.on('exit', fail);
    child.stdin?.on('error', fail);
    child.stdin?.end(`(${String(answerOneCall)})(require, process, ${JSON.stringify(import.meta.url)});`);
    child.send(call, (failed) => {
      if (failed !== null) fail();
    });
  });
}

function withBuffer(outcome: KeychainOutcome): KeychainOutcome {
  if (outcome.kind !== 'found') return outcome;
  return { kind: 'found', secret: Buffer.from(outcome.secret), beside: outcome.beside === null ? null : Buffer.from(outcome.beside) };
}

/** The whole program of the child. Its text is sent over, so it may use nothing but its arguments. */
function answerOneCall(require: NodeJS.Require, child: NodeJS.Process, base: string): void {
  type Library = typeof import('@napi-rs/keyring');
  const send = (message: unknown): void => {
    child.send?.(message);
  };
  const done = (outcome: unknown): void => send({ step: 'done', outcome });
  const failed = (why: string): void => done({ kind: 'failed', why });

  const run = async ({ op, service, account, beside, secret }: Call): Promise<void> => {
    let library: Library;
    try {
      library = (require('node:module') as typeof import('node:module')).createRequire(base)('@napi-rs/keyring') as Library;
    } catch {
      return failed('unloadable');
    }
    const connect = (name = account) => new library.AsyncEntry(service, name, { linux: { store: 'secret-service' } });
    const startedAt = performance.now();
    let entry: ReturnType<typeof connect>;
    try {
      entry = connect();
    } catch {
      // Nobody there is known at once; nobody who answers after libdbus's 2 s.
      return failed(performance.now() - startedAt > 1_500 ? 'frozen' : 'absent');
    }
    send({ step: 'connected' });
    try {
      if (op === 'remove') {
        if (beside !== null) await connect(beside).deletePassword().catch(() => false); // it may not be there
        await entry.deletePassword();
        return done({ kind: 'removed' });
      }
      if (op === 'store' || op === 'try') await entry.setSecret(secret ?? new Uint8Array());
      const found = await entry.getSecret();
      if (op === 'read' && found === null) return done({ kind: 'missing' });
      if (op === 'read') {
        const second = beside === null ? null : await connect(beside).getSecret().catch(() => null);
        return done({ kind: 'found', secret: Uint8Array.from(found ?? []), beside: second === null || second === undefined ? null : Uint8Array.from(second) });
      }
      if (op === 'try') await entry.deletePassword();
      const isSame = found !== null && secret !== null && found.length === secret.length && found.every((byte, i) => byte === secret[i]);
      return isSame ? done({ kind: 'stored' }) : failed('refused');
    } catch {
      try {
        connect();
      } catch {
        return failed('frozen');
      }
      return failed(op === 'store' || op === 'try' ? 'refused' : 'locked');
    }
  };
  // Without a handler the signal opens a debugger's port, and this process is about to hold the key.
  child.on('SIGUSR1', () => undefined);
  child.on('message', (call) => void run(call as Call));
  // The daemon is gone; a native call that waits for a person would keep this process for ever.
  child.on('disconnect', () => child.kill(child.pid, 'SIGKILL'));
}
