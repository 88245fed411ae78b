/**
 * The other side of successor.ts: this process was started by the daemon that it takes over from. What it was given is
 * believed only after it was looked at, as with a supervisor. It does nothing until it is told to; where that daemon
 * ends before, it ends too, and whoever asks next starts one.
 */
import { Socket } from 'node:net';
import { BrokerError } from '../core/errors.ts';
import { checkListener } from './inherited.ts';
import type { Inherited } from './inherited.ts';
import { inheritLock } from './lock.ts';
import type { Lock } from './lock.ts';
import type { Native } from './native.ts';
import { closeFd, socketFacts } from './sockets.ts';

export type Predecessor = {
  /** `go` was said: lock, socket and grants are this process's. */
  readonly isOwner: boolean;
  /** Says that all is loaded. Resolves to whether the vault was open there; throws upgrade_failed where it leaves without a word. */
  untilGo(): Promise<{ readonly mustOpen: boolean }>;
  ready(): void;
  /** In words. */
  failed(why: string): Promise<void>;
};

/** In the order in which successor.ts gives them. */
const [TALK, LISTENER, LOCK, KEY] = [3, 4, 5, 6] as const;
const SAY_MS = 1_000;

/** @param how - 'held' where a supervisor holds the socket as well */
export function takeHandOver(how: string, place: { readonly socket: string; readonly uid: number; readonly lockFile: string }, before: Inherited, native: Native): { readonly inherited: Inherited; readonly lock: Lock; readonly predecessor: Predecessor } {
  if (how !== 'held' && how !== 'own') throw refuse(`--take-over is ${JSON.stringify(how.slice(0, 16))}`);
  if (native.platform !== 'linux' || before.listener !== null) throw refuse('what takes over was given a socket in another way as well');
  if (socketFacts(TALK, native)?.isUnix !== true) throw refuse(`descriptor ${TALK} does not lead to a daemon`);
  checkListener(LISTENER, place, native);
  const lock = inheritLock(LOCK, place.lockFile, native);
  const hasKey = socketFacts(KEY, native)?.type === 'seqpacket';
  if (!hasKey) closeFd(KEY, native);
  return {
    inherited: { ...before, listener: LISTENER, holdsListener: how === 'held', keptKey: hasKey ? KEY : null },
    lock, predecessor: talkTo(new Socket({ fd: TALK })),
  };
}

function talkTo(socket: Socket): Predecessor {
  socket.on('error', () => undefined); // it left: that is told by the end
  let isOwner = false;
  return {
    get isOwner() {
      return isOwner;
    },
    async untilGo() {
      socket.write('prepared\n');
      const word = await new Promise<string>((resolve) => {
        let said = '';
        socket.on('data', (chunk: Buffer) => {
          said += chunk.toString();
          if (said.endsWith('\n')) resolve(said.trim());
        });
        socket.once('close', () => resolve(''));
        socket.once('end', () => resolve(''));
      });
      if (word !== 'go' && word !== 'go open') throw new BrokerError('upgrade_failed', 'the daemon that started this one ended, or took its word back');
      isOwner = true;
      return { mustOpen: word === 'go open' };
    },
    ready() {
      socket.end('ready\n');
    },
    failed: (why) => new Promise((resolve) => {
      setTimeout(resolve, SAY_MS);
      socket.end(`${why.replaceAll('\n', ' ')}\n`, resolve);
    }),
  };
}

function refuse(fact: string): BrokerError {
  return new BrokerError('upgrade_failed', fact, { hint: 'Run: valetkey daemon upgrade' });
}
