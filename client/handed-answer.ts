/**
 * The daemon's answer to `token PROFILE`, from the launcher or the Node entry, which have asked for it: a problem, a
 * reply that they do not print, or one that is still to come. The whole CLI tells it and does not ask again, since an
 * issuer that is sick would be asked twice by one command. What is not a whole answer to the request is dropped, and
 * then it asks.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { TokenReply, TokenRequest } from '../shared/schemas.ts';
import { TOKEN_TIMEOUT_MS } from './api.ts';
import type { Api } from './api.ts';
import { ANSWER_MS, readFrameLine, readTokenLine, REPLY_MAX } from './ask-by-line.ts';
import { parseProblem, ValetkeyError } from './valetkey-error.ts';

export type HandedAnswer = {
  /** The line of the daemon; null: the connection ended without one. */
  readonly line: Promise<string | null>;
  /** Nobody waits for it any more. */
  close(): void;
};

/** `PID:DESCRIPTOR`, by client/launcher/run_node.c. Of a parent's environment it is not for this process. */
const VARIABLE = 'VALETKEY_ANSWER';
const NEWLINE = '\n';

/** The descriptor that the launcher left open: the connection, or a pipe with the line. Takes the variable away. */
export function takeHandedAnswer(env: NodeJS.ProcessEnv, pid: number): HandedAnswer | null {
  const value = env[VARIABLE] ?? '';
  delete env[VARIABLE];
  const [, owner, descriptor] = /^(\d{1,10}):(\d{1,6})$/.exec(value) ?? [];
  const fd = Number(descriptor);
  if (owner !== String(pid) || fd <= 2) return null;
  try {
    const kind = fstatSync(fd);
    if (!kind.isFIFO() && !kind.isSocket()) return null;
    const stream = new Socket({ fd, readable: true, writable: false });
    return { line: readLine(stream), close: () => stream.destroy() };
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null; // it is not open, or nothing that can be read
    throw error;
  }
}

function readLine(stream: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf(NEWLINE);
      if (end < 0 && text.length <= REPLY_MAX) return;
      resolve(end < 0 ? null : text.slice(0, end));
      stream.destroy();
    });
    stream.on('error', () => resolve(null));
    stream.on('close', () => resolve(null));
  });
}

/** `token` of the API, but the first request was sent already, and waited for as long as the one that handed it over does. */
export function answeredOnce(handed: HandedAnswer, token: Api['token'], timeoutMs = TOKEN_TIMEOUT_MS - ANSWER_MS): Api['token'] {
  let isAnswered = false;
  return async (request, signal) => {
    if (isAnswered) return token(request, signal);
    isAnswered = true;
    return tell(await waitFor(handed, signal, timeoutMs), request) ?? token(request, signal);
  };
}

/** Null: it is not the answer to this request. */
function tell(line: string | null, request: TokenRequest): TokenReply | null {
  const frame = line === null ? null : readFrameLine(line);
  if (line === null || frame === null) return null;
  const problem = frame.status >= 400 ? parseProblem(frame.data) : null;
  // It was not asked for anything then; the next daemon is.
  if (problem?.code === 'shutting_down') return null;
  if (problem !== null) throw new ValetkeyError(problem);
  return readTokenLine(line, request);
}

async function waitFor({ line, close }: HandedAnswer, signal: AbortSignal | undefined, timeoutMs: number): Promise<string | null> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const ended = AbortSignal.any(signal === undefined ? [deadline] : [signal, deadline]);
  const late = new Promise<never>((_, reject) => {
    const end = (): void => reject(signal?.aborted === true ? signal.reason : ValetkeyError.local('deadline_exceeded', `the daemon did not answer within ${TOKEN_TIMEOUT_MS / 1000} s`));
    if (ended.aborted) end();
    else ended.addEventListener('abort', end, { once: true });
  });
  try {
    return await Promise.race([line, late]);
  } finally {
    close();
  }
}
