/** The whole CLI: the real world, signals, and the exit status. main.ts and entry.ts run it. */
import { once } from 'node:events';
import { fstatSync } from 'node:fs';
import { runCli } from './cli.ts';
import type { Env, World } from './command.ts';
import { answeredOnce } from './handed-answer.ts';
import type { HandedAnswer } from './handed-answer.ts';
import { localOwner, localPaths } from './local-paths.ts';
import { loseOutput, openStandardOutput, writeNow } from './standard-output.ts';
import { createTerminal } from './terminal.ts';
import { ValetkeyError } from './valetkey-error.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The second one does not wait for a clean end.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(ValetkeyError.local('cancelled', 'cancelled at the terminal'));
  });
}
const stdout = openStandardOutput();
// What was asked for still goes to standard output.
process.stderr.on('error', () => undefined);

/** The launcher keeps this one from Node, which would read the file at every start; advice about it is still given. */
function shellEnvironment(): Env {
  const { VALETKEY_NODE_EXTRA_CA_CERTS: extraCa, ...env } = process.env;
  return extraCa === undefined ? process.env : { ...env, NODE_EXTRA_CA_CERTS: extraCa };
}

async function readStdin(max: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) throw ValetkeyError.local('bad_request', `standard input is longer than ${max} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* stdinLines(max: number): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const text of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    if ([rest, ...lines].some((line) => line.length > max)) throw ValetkeyError.local('bad_request', `standard input has a line of more than ${max} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

async function writeAll(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  // Node would not tell of a file that took half of it.
  const isFile = fstatSync(1).isFile();
  for await (const chunk of bytes) {
    if (isFile) {
      const { error } = writeNow(chunk);
      if (error !== null) loseOutput(error);
    } else if (!process.stdout.write(chunk)) {
      await once(process.stdout, 'drain');
    }
  }
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw ValetkeyError.local('no_profile', 'the working directory is gone, so it names no profile', { cause, hint: 'Name the profile, or go to another directory: cd' });
  }
}

async function realWorld(handed: HandedAnswer | null): Promise<World> {
  const [{ openConnection }, { openApi }] = await Promise.all([import('./connection.ts'), import('./api.ts')]);
  const [{ meetPerson }, { readEvents }, { screenOpener }] = await Promise.all([import('./tty.ts'), import('./event-stream.ts'), import('./watch/open-screen.ts')]);
  const owner = localOwner();
  const env = shellEnvironment();
  return {
    stdout,
    stderr: process.stderr,
    stdinIsTerminal: process.stdin.isTTY === true,
    env,
    cwd: workingDirectory,
    owner,
    paths: localPaths(owner),
    signal: interrupted.signal,
    link(options) {
      const connection = openConnection(options);
      const api = openApi(connection);
      return { events: async (signal) => readEvents((await connection.stream('/v1/events', signal)).setEncoding('utf8')), api: handed === null ? api : { ...api, token: answeredOnce(handed, api.token) }, ensureDaemon: connection.ensureDaemon, fetch: connection.fetch, close: connection.close };
    },
    meetPerson,
    openScreen: screenOpener(env),
    async openBrowser(startUrl, command, signal) {
      const { openBrowser } = await import('./browser.ts');
      return openBrowser(startUrl, command, env, signal);
    },
    async runProgram(program) {
      const { runChild, statusOf } = await import('./run-child.ts');
      return statusOf(await runChild(program), (signal) => process.kill(process.pid, signal));
    },
    readStdin,
    stdinLines,
    writeAll,
    now: () => Math.floor(Date.now() / 1000),
  };
}

/** @param handed - the answer to the one request that was sent before */
export async function runWholeCli(handed: HandedAnswer | null): Promise<void> {
  try {
    process.exitCode = await runCli(process.argv.slice(2), await realWorld(handed));
  } catch (error) {
    if (!(error instanceof ValetkeyError)) throw error;
    createTerminal({ stdout, stderr: process.stderr, env: process.env, json: process.argv.includes('--json'), quiet: false }).fail(error);
    process.exitCode = error.exit;
  } finally {
    handed?.close();
  }
}
