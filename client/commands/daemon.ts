import { setTimeout as sleep } from 'node:timers/promises';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { count } from '../time-words.ts';
import { daemonFacts } from './status.ts';

// A refresh on the wire is finished and saved before the daemon ends.
const STOP_TIMEOUT_MS = 45_000;
const STOP_LOOK_MS = 50;

function isUnreachable(error: unknown): boolean {
  return error instanceof ValetkeyError && (error.code === 'daemon_unreachable' || error.code === 'shutting_down');
}

async function start({ terminal, daemon, signal }: CommandContext): Promise<void> {
  const started = await daemon.ensureDaemon(signal);
  const status = await daemon.api.status(signal);
  if (terminal.json) terminal.document({ started, pid: status.pid, socket: status.socket, version: status.version });
  else terminal.note(started ? `The daemon was started, pid ${status.pid}.` : `The daemon runs already, pid ${status.pid}.`);
}

/** @returns false if it did not run. Resolves when it no longer answers. */
export async function stopDaemon({ runningDaemon: { api }, signal }: CommandContext): Promise<boolean> {
  try {
    await api.shutdown(signal);
  } catch (error) {
    if (isUnreachable(error)) return false;
    throw error;
  }
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < deadline) {
    try {
      await api.status(signal);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (error instanceof ValetkeyError && error.code === 'daemon_unreachable') return true;
    }
    await sleep(STOP_LOOK_MS, undefined, { signal });
  }
  throw ValetkeyError.local('deadline_exceeded', `the daemon still runs after ${STOP_TIMEOUT_MS / 1000} s`, { hint: 'Run: valetkey daemon status' });
}

async function stop(context: CommandContext): Promise<void> {
  const stopped = await stopDaemon(context);
  const { terminal } = context;
  if (terminal.json) terminal.document({ stopped });
  else terminal.note(stopped ? 'The daemon has stopped.' : 'The daemon does not run.');
}

async function reload({ terminal, runningDaemon, signal }: CommandContext): Promise<void> {
  const reply = await runningDaemon.api.reload(signal);
  if (terminal.json) terminal.document(reply);
  else terminal.note(`${reply.file}: ${count(reply.profiles, 'profile')}, changed: ${reply.changed.join(', ') || 'none'}`);
}

async function status({ terminal, runningDaemon, signal, now }: CommandContext): Promise<void> {
  const reply = await runningDaemon.api.status(signal);
  if (terminal.json) terminal.document(reply);
  else terminal.facts(daemonFacts(reply, now()));
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey daemon status', 'valetkey daemon reload', 'valetkey daemon stop'));
  command.command('start').description('Start the daemon, if it does not run')
    .addHelpText('after', examples('valetkey daemon start')).action(async () => start(context));
  command.command('stop').description('Let it finish what is on the wire, then end it')
    .addHelpText('after', examples('valetkey daemon stop')).action(async () => stop(context));
  command.command('reload').description('Read the configuration again; a bad one changes nothing')
    .addHelpText('after', examples('valetkey daemon reload')).action(async () => reload(context));
  command.command('status').description('Show the daemon; does not start it')
    .addHelpText('after', examples('valetkey daemon status --json')).action(async () => status(context));
};
