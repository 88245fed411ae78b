#!/usr/bin/env node
/**
 * valetkeyd: argv, signals and the exit status; nothing else. Why it did not start is one line of JSON on
 * standard error, a problem document, so that whoever started it can show it.
 */
import './platform/sigusr1.ts'; // first: see there
import { parseArgs } from 'node:util';
import { ERRORS, EXIT } from '../shared/errors.ts';
import { BUILD_VERSION } from '../shared/version.ts';
import { claimDaemon } from './claim.ts';
import { asBrokerError, problemOf } from './ipc/problem.ts';

const USAGE = `valetkeyd ${BUILD_VERSION}: the local authentication broker

Usage: valetkeyd [--version] [--help]

It runs in the foreground and listens on $XDG_RUNTIME_DIR/valetkey/socket.
To start it in the background: valetkey daemon start
Signals: SIGTERM and SIGINT drain and stop; SIGHUP reads the configuration again.
`;

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { version: { type: 'boolean' }, 'take-over': { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.version === true || values.help === true) {
    process.stdout.on('error', () => undefined);
    process.stdout.write(values.help === true ? USAGE : `${BUILD_VERSION}\n`);
    return EXIT.ok;
  }
  const claim = await claimDaemon(process.env, process.execArgv, values['take-over'] ?? null);
  let isFollowed = false;
  try {
    // Loaded only by the one that stays, and after the process was hardened.
    const { run } = await import('./run.ts');
    isFollowed = await run(claim, process.env, () => new Promise((resolve) => { setTimeout(resolve, LAST_WORDS_MS); })) === 'followed';
  } catch (cause) {
    await claim.predecessor?.failed(asBrokerError(cause).message);
    throw cause;
  } finally {
    // The other's by now, or still: then the record is, too.
    if (!isFollowed && claim.predecessor?.isOwner !== false) claim.lock.release();
  }
  return EXIT.ok;
}

/**
 * Under a supervisor a client waits for each start; so long does each failed one last, too, so that a program that asks
 * in a loop does not use up the starts that systemd allows (StartLimitBurst= of the unit).
 */
const LAST_WORDS_MS = 1_000;

// No await at the top: the bundle is one CommonJS file.
void main(process.argv.slice(2)).catch(explain).then((status) => {
  // Everything is closed and saved; only a keychain's dialog that nobody answers could still hold the process.
  process.exit(status);
});

/** @returns the exit status */
function explain(cause: unknown): number {
  // Whoever read it may have left: what is written then is lost, and that is all.
  process.stderr.on('error', () => undefined);
  if (cause instanceof TypeError && 'code' in cause && String(cause.code).startsWith('ERR_PARSE_ARGS')) {
    process.stderr.write(`${cause.message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  const error = asBrokerError(cause);
  process.stderr.write(`${JSON.stringify(problemOf(error, null))}\n`);
  return ERRORS[error.code].exit;
}
