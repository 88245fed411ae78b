/**
 * `token PROFILE` with plain options, and nothing else: prints what the whole CLI would print, or nothing at all.
 * False means that the whole CLI has to run: it asks again, and says what is wrong with the right exit status.
 */
import { userInfo } from 'node:os';
import { isatty } from 'node:tty';
import { resolvePaths } from '../shared/paths.ts';
import type { TokenReply } from '../shared/schemas.ts';
import { askByLine, readTokenLine } from './ask-by-line.ts';
import { formatToken } from './format-token.ts';
import { isOwnSocket, socketCandidates, UntrustedPath } from './own-socket.ts';
import type { PlainWish } from './plain-arguments.ts';
import { loseOutput, writeNow } from './standard-output.ts';

const STDOUT = 1;

async function askDaemon({ request }: PlainWish): Promise<TokenReply | null> {
  const { uid, homedir: home } = userInfo();
  for (const socket of socketCandidates(resolvePaths({ platform: process.platform, home, uid, env: process.env }), uid)) {
    if (!isOwnSocket(socket, uid)) continue;
    const answer = await askByLine(socket, request);
    if (answer.kind !== 'absent') return answer.kind === 'line' ? readTokenLine(answer.line, request) : null;
  }
  return null;
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

export async function printFastToken(wish: PlainWish): Promise<boolean> {
  // At a terminal there is a warning to give.
  if (isatty(STDOUT)) return false;
  try {
    const reply = await askDaemon(wish);
    if (reply === null || reply.granted_beyond.length > 0) return false;
    const text = wish.format === 'json' ? formatPlainJson(reply) : formatToken(reply, wish.format);
    return text !== null && await deliver(text);
  } catch (error) {
    // A path of somebody else's, or a user whom the user database does not know: the whole CLI says so.
    if (error instanceof UntrustedPath || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}
