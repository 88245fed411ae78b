/**
 * A request to an API, which the daemon sends with a token that never comes here. What it answers goes to standard
 * output as it comes; a redirect is an answer like any other.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { EXIT } from '../../shared/errors.ts';
import type { FetchRequest } from '../../shared/fetch-schemas.ts';
import { choice, collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { parseReason, parseResource, parseScopeFlags, parseWhole } from '../parse-flags.ts';
import { pickProfile } from '../pick-profile.ts';
import { tellingOfQuestion } from '../tell-of-question.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

type Options = {
  readonly profile?: string;
  readonly method?: (typeof METHODS)[number];
  readonly header?: readonly string[];
  readonly data?: string;
  readonly scope?: readonly string[];
  readonly resource?: string;
  readonly include?: true;
  readonly timeout?: string;
  readonly maxBytes?: string;
  readonly reason?: string;
};

/** The whole request of the socket has 64 KiB, and base64 takes a third more. */
const BODY_MAX = 46_000;

function headersOf(flags: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(flags.map((flag) => {
    const at = flag.indexOf(':');
    if (at < 1) throw ValetkeyError.local('bad_request', `--header ${JSON.stringify(flag)} is not "Name: value"`);
    return [flag.slice(0, at).trim(), flag.slice(at + 1).trim()];
  }));
}

/** `@file`, `-` for standard input, or the text itself. */
async function bodyOf({ readStdin }: CommandContext, data: string): Promise<Pick<FetchRequest, 'body' | 'body_base64'>> {
  if (data === '-') return { body: await readStdin(BODY_MAX) };
  const bytes = data.startsWith('@') ? readBody(data.slice(1)) : Buffer.from(data);
  if (bytes.byteLength > BODY_MAX) throw ValetkeyError.local('payload_too_large', `the body is larger than ${BODY_MAX} bytes`, { hint: 'Larger ones need a token: valetkey token' });
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? { body: text } : { body_base64: bytes.toString('base64') };
}

function readBody(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw ValetkeyError.local('bad_request', `the file ${path} of --data cannot be read (${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)})`, { cause });
  }
}

/** Without --profile the one whose origin it is, where there is just one such; else as for every command. */
async function profileFor(context: CommandContext, url: string, named: string | undefined): Promise<string> {
  if (named !== undefined || !URL.canParse(url)) return (await pickProfile(context, named)).profile;
  const { origin } = new URL(url);
  const { profiles } = await context.daemon.api.profiles(context.signal);
  const [only, ...more] = profiles.filter(({ fetch_origins: origins }) => origins.includes(origin));
  return only !== undefined && more.length === 0 ? only.name : (await pickProfile(context, undefined)).profile;
}

/** As HTTP/1.1 has it, so that what reads `curl -i` reads this. */
function headText({ statusCode = 0, headersDistinct }: IncomingMessage): string {
  const own = new Set(['connection', 'transfer-encoding', 'keep-alive', 'valetkey-protocol', 'valetkey-build', 'valetkey-answered-by']);
  const lines = Object.entries(headersDistinct).flatMap(([name, values]) => (own.has(name) ? [] : (values ?? []).map((value) => `${name}: ${value}`)));
  return `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n`;
}

async function* wholeOf(answer: IncomingMessage, head: string): AsyncGenerator<Uint8Array> {
  if (head !== '') yield Buffer.from(head, 'latin1');
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (cause) {
    throw ValetkeyError.local('resource_answer_refused', 'the answer was cut off: it is not whole', { cause, hint: 'See why: valetkey audit search --event fetch_ended' });
  }
}

async function fetchUrl(context: CommandContext, url: string, options: Options): Promise<void> {
  const { terminal, signal, daemon } = context;
  if (terminal.json) throw ValetkeyError.local('bad_request', 'the answer is what the API says, which --json cannot change');
  const profile = await profileFor(context, url, options.profile);
  const request: FetchRequest = {
    profile, url,
    method: options.method ?? (options.data === undefined ? 'GET' : 'POST'),
    ...(options.header === undefined ? {} : { headers: headersOf(options.header) }),
    ...(options.data === undefined ? {} : await bodyOf(context, options.data)),
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.resource === undefined ? {} : { resource: parseResource(options.resource) }),
    ...(options.timeout === undefined ? {} : { timeout_s: parseWhole('--timeout', options.timeout, { unit: 'seconds', min: 1, max: 300 }) }),
    ...(options.maxBytes === undefined ? {} : { max_bytes: parseWhole('--max-bytes', options.maxBytes, { unit: 'bytes', min: 0, max: 99_999_999 }) }),
    ...(options.reason === undefined ? {} : { claimed: { reason: parseReason(options.reason) } }),
  };
  const answer = await tellingOfQuestion(context, profile, daemon.fetch(request, signal));
  await context.writeAll(wholeOf(answer, options.include === true ? headText(answer) : ''));
  const { statusCode = 0, headers: { location } } = answer;
  if (statusCode >= 300) terminal.warn(`The API answered ${statusCode}${STATUS_CODES[statusCode] === undefined ? '' : ` ${STATUS_CODES[statusCode]}`}${location === undefined ? '' : `, and names ${location}, which was not followed`}`);
  if (statusCode >= 400) context.endWith(EXIT.issuer);
}

export const declare: Declare = (command, context) => {
  command
    .argument('<URL>', 'of an origin that the profile names')
    .option('--profile <PROFILE>', 'whose token is used (default: the only one for this origin, else as for every command)')
    .addOption(choice('-X, --method <METHOD>', 'default: GET, or POST with --data', METHODS))
    .option('-H, --header <HEADER>', '"Name: value"; may be repeated', collect)
    .option('-d, --data <DATA>', 'the body; @FILE for what is in a file, - for standard input')
    .option('--scope <SCOPE>', 'the token must hold this scope; may be repeated', collect)
    .option('--resource <URI>', 'the API that the token is for (RFC 8707)')
    .option('-i, --include', 'print status and headers as well')
    .option('--timeout <SECONDS>', 'for the whole answer (default: 60)')
    .option('--max-bytes <BYTES>', 'of the body (default: 33554432)')
    .option('--reason <TEXT>', 'why it is needed: shown to whoever is asked, recorded, and required for privileged access')
    .addHelpText('after', examples(
      'valetkey fetch https://api.example.com/me | jq .name',
      'valetkey fetch https://api.example.com/jobs -H "content-type: text/csv" -d @jobs',
      'valetkey fetch -i --profile work https://api.example.com/me',
    ))
    .action(async (url: string, options: Options) => fetchUrl(context, url, options));
};
