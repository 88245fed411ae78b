/**
 * `status --prompt [PROFILE]` for shell prompts, without loading the CLI: what the daemon says in one short line, or
 * nothing where there is none. No daemon is started, nothing is waited for longer than a person would not notice.
 * client/launcher/prompt.c does the same where there is a launcher.
 */
import { userInfo } from 'node:os';
import { parseProfileName } from '../shared/names.ts';
import { resolvePaths } from '../shared/paths.ts';
import type { PromptReply } from '../shared/standing-schemas.ts';
import { askByLine, readFrameLine } from './ask-by-line.ts';
import type { LineAnswer } from './ask-by-line.ts';
import { isOwnSocket, reachableSockets, UntrustedPath } from './own-socket.ts';
import { writeNow } from './standard-output.ts';

const PROMPT_MS = 200;

/** EXIT of shared/errors.ts, whose table the fast entry does not load. */
const STATUSES = { signed_in: 0, nothing: 0, login_required: 3, locked: 4 } as const satisfies Record<PromptReply['state'], number>;
const EXIT_NO_DAEMON = 9;

/** Nothing that a shell takes for its own in a prompt: $ ` \ % ! and quotes. */
const HARMLESS = /^[\w.:+ -]*$/;

export function promptStatus({ state }: Pick<PromptReply, 'state'>): number {
  return STATUSES[state];
}

/** Null: it is another command line, or one that only the whole CLI reads. */
export function readPromptArguments(argv: readonly string[]): { readonly profile: string | null } | null {
  const [verb, flag, profile, ...more] = argv;
  if (verb !== 'status' || flag !== '--prompt' || more.length > 0) return null;
  if (profile === undefined) return { profile: null };
  return parseProfileName(profile) === null ? null : { profile };
}

/** The exit status; null where the whole CLI has something to say. */
export async function printPrompt({ profile }: { readonly profile: string | null }): Promise<number | null> {
  try {
    const { uid, homedir: home } = userInfo();
    for (const socket of reachableSockets(resolvePaths({ platform: process.platform, home, uid, env: process.env }), uid, process.env)) {
      if (!isOwnSocket(socket, uid)) continue;
      const { answer, close } = askByLine(socket, profile === null ? {} : { profile }, 'prompt');
      const first = await soon(answer);
      close();
      if (first === null) return EXIT_NO_DAEMON;
      if (first.kind === 'absent') continue;
      return first.kind === 'line' ? print(first.line) : null;
    }
    return EXIT_NO_DAEMON;
  } catch (error) {
    // A path of somebody else's, or a user whom the user database does not know: the whole CLI says so.
    if (error instanceof UntrustedPath || (error instanceof Error && 'syscall' in error)) return null;
    throw error;
  }
}

async function soon(answer: Promise<LineAnswer>): Promise<LineAnswer | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => { timer = setTimeout(resolve, PROMPT_MS, null); });
  const first = await Promise.race([answer, late]);
  clearTimeout(timer);
  return first;
}

function print(line: string): number | null {
  const frame = readFrameLine(line, 'prompt');
  if (frame?.status !== 200 || !isPromptReply(frame.data)) return null;
  const { text } = frame.data;
  // A reader that has left misses nothing.
  if (text !== '') writeNow(Buffer.from(`${text}\n`));
  return promptStatus(frame.data);
}

function isPromptReply(data: unknown): data is PromptReply {
  if (typeof data !== 'object' || data === null || !('text' in data) || !('state' in data)) return false;
  return typeof data.text === 'string' && HARMLESS.test(data.text) && typeof data.state === 'string' && Object.hasOwn(STATUSES, data.state);
}
