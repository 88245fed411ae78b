/**
 * `token PROFILE` with plain options, and nothing else: prints what the whole CLI would print, or nothing at all.
 * Then the whole CLI goes on with the answer, and says what is wrong with the right exit status.
 */
import { userInfo } from 'node:os';
import { isatty } from 'node:tty';
import { resolvePaths } from '../shared/paths.ts';
import type { TokenReply } from '../shared/schemas.ts';
import { ANSWER_MS, askByLine, readTokenLine } from './ask-by-line.ts';
import type { LineAnswer } from './ask-by-line.ts';
import { formatToken } from './format-token.ts';
import type { HandedAnswer } from './handed-answer.ts';
import { isOwnSocket, reachableSockets, UntrustedPath } from './own-socket.ts';
import type { PlainWish } from './plain-arguments.ts';
import { loseOutput, writeNow } from './standard-output.ts';

const STDOUT = 1;

/** What came of the request; null: nobody was asked, or what came is nothing to go by. */
async function askDaemon({ request }: PlainWish): Promise<{ readonly reply: TokenReply | null; readonly rest: HandedAnswer } | null> {
  const { uid, homedir: home } = userInfo();
  for (const socket of reachableSockets(resolvePaths({ platform: process.platform, home, uid, env: process.env }), uid, process.env)) {
    if (!isOwnSocket(socket, uid)) continue;
    const { answer, close } = askByLine(socket, request);
    const first = await soon(answer);
    if (first?.kind === 'absent') continue;
    if (first?.kind === 'none') return null;
    const rest: HandedAnswer = { line: answer.then((outcome) => (outcome.kind === 'line' ? outcome.line : null)), close };
    return { reply: first === null ? null : readTokenLine(first.line, request), rest };
  }
  return null;
}

/** Null: not yet. */
async function soon(answer: Promise<LineAnswer>): Promise<LineAnswer | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => { timer = setTimeout(resolve, ANSWER_MS, null); });
  const first = await Promise.race([answer, late]);
  clearTimeout(timer);
  return first;
}

/** As clean-text.ts writes it, but for what that would have to escape. */
function formatPlainJson(reply: TokenReply): string | null {
  const text = `${JSON.stringify(reply, null, 2)}\n`;
  return /^[\n\x20-\x7e]*$/.test(text) ? text : null;
}

/** False if nothing was written: the whole CLI then meets the same error. */
async function deliver(text: string): Promise<boolean> {
  const bytes = Buffer.from(text);
  const { written, error } = writeNow(bytes);
  if (error === null) return true;
  if (written === 0) return false;
  if (error.code !== 'EAGAIN') loseOutput(error);
  // A pipe that does not block and is full: the stream waits for its reader.
  await new Promise((resolve) => { process.stdout.on('error', loseOutput).write(bytes.subarray(written), resolve); });
  return true;
}

/** What is left to the whole CLI: an answer, or to ask (null). */
export async function printFastToken(wish: PlainWish): Promise<'printed' | HandedAnswer | null> {
  // At a terminal there is a warning to give.
  if (isatty(STDOUT)) return null;
  try {
    const asked = await askDaemon(wish);
    if (asked === null) return null;
    const text = textOf(asked.reply, wish);
    return text !== null && await deliver(text) ? 'printed' : asked.rest;
  } catch (error) {
    // A path of somebody else's, or a user whom the user database does not know: the whole CLI says so.
    if (error instanceof UntrustedPath || (error instanceof Error && 'syscall' in error)) return null;
    throw error;
  }
}

/** Null: the whole CLI has something to say besides. */
function textOf(reply: TokenReply | null, { format }: PlainWish): string | null {
  if (reply === null || reply.granted_beyond.length > 0) return null;
  return format === 'json' ? formatPlainJson(reply) : formatToken(reply, format);
}
