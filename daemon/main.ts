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
import type { Daemon } from './daemon.ts';
import type { World } from './edges.ts';
import { asBrokerError, problemOf } from './ipc/problem.ts';

const USAGE = `valetkeyd ${BUILD_VERSION}: the local authentication broker

Usage: valetkeyd [--version] [--help]

It runs in the foreground and listens on $XDG_RUNTIME_DIR/valetkey/socket.
To start it in the background: valetkey daemon start
Signals: SIGTERM and SIGINT drain and stop; SIGHUP reads the configuration again.
`;

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { version: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.version === true || values.help === true) {
    process.stdout.write(values.help === true ? USAGE : `${BUILD_VERSION}\n`);
    return EXIT.ok;
  }
  const claim = claimDaemon(process.env, process.execArgv);
  try {
    // Loaded only by the one that stays, and after the process was hardened.
    const [{ openWorld }, { startDaemon }] = await Promise.all([import('./edges.ts'), import('./daemon.ts')]);
    const world = await openWorld(claim, process.env);
    try {
      const daemon = await startDaemon(world.edges);
      listenForSignals(daemon, world);
      await daemon.stopped;
    } finally {
      await world.close();
    }
  } finally {
    claim.lock.release();
  }
  return EXIT.ok;
}

function listenForSignals(daemon: Daemon, { log }: World): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void daemon.stop(signal));
  process.on('SIGHUP', () => {
    log.reopen();
    daemon.reload().catch((cause: unknown) => log.error('reload_failed', {}, cause));
  });
  // A mistake in one request must not take every other caller's tokens away; it is logged as what it is.
  process.on('unhandledRejection', (cause) => log.error('unhandled_rejection', {}, cause));
  // After this one nobody knows what state things are in: the daemon ends, and the log says of what.
  process.on('uncaughtExceptionMonitor', (cause) => log.error('uncaught_exception', {}, cause));
}

// Whoever read them may have left: what is written then is lost, and that is all.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (cause) {
  const isUsage = cause instanceof TypeError && 'code' in cause && String(cause.code).startsWith('ERR_PARSE_ARGS');
  if (isUsage) {
    process.stderr.write(`${cause.message}\n\n${USAGE}`);
    process.exitCode = EXIT.usage;
  } else {
    const error = asBrokerError(cause);
    process.stderr.write(`${JSON.stringify(problemOf(error, null))}\n`);
    process.exitCode = ERRORS[error.code].exit;
  }
}
// Everything is closed and saved; only a keychain's dialog that nobody answers could still hold the process.
process.exit();
