import { setTimeout as sleep } from 'node:timers/promises';
import type { UpgradeReply } from '../../shared/upgrade-schemas.ts';
import { BUILD_VERSION } from '../../shared/version.ts';
import type { AnyStatus } from '../api.ts';
import { isOlder } from '../builds.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { hasLeft, isRunning, isSocketHeld, livingDaemon } from '../daemon-process.ts';
import { count } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { daemonFacts, warnOfGap } from './status.ts';

// A refresh on the wire is finished and saved before the daemon ends: a minute, where the issuer hangs.
const STOP_TIMEOUT_MS = 80_000;
const STOP_LOOK_MS = 50;
/** A sign-in in progress is waited for, five minutes at most, and an issuer that hangs for another. */
const UPGRADE_MS = 420_000;
const UPGRADE_LOOK_MS = 100;
const UPGRADE_TELL_MS = 2_000;

function isUnreachable(error: unknown): boolean {
  return error instanceof ValetkeyError && (error.code === 'daemon_unreachable' || error.code === 'shutting_down');
}

/** It can be ended, and replaced, by a client of any. */
function isOfAnotherProtocol(error: unknown): boolean {
  return error instanceof ValetkeyError && error.code === 'protocol_mismatch';
}

async function start({ terminal, daemon, signal }: CommandContext): Promise<void> {
  const started = await daemon.ensureDaemon(signal);
  const status = await daemon.api.status(signal);
  if (terminal.json) terminal.document({ started, pid: status.pid, socket: status.socket, version: status.version });
  else terminal.note(started ? `The daemon was started, pid ${status.pid}.` : `The daemon runs already, pid ${status.pid}.`);
}

/** By its socket, else, where that is gone, by its process. False if no daemon runs. */
async function askToStop({ runningDaemon: { api }, paths, owner, signal }: CommandContext): Promise<boolean> {
  try {
    await api.shutdown(signal);
    return true;
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const daemon = livingDaemon(paths, owner.uid);
    if (daemon === null) return false;
    // Elsewhere nothing tells whether the pid was given to another program since.
    if (process.platform !== 'linux') throw error;
    process.kill(daemon.pid, 'SIGTERM'); // it drains, as it does when it is asked
    return true;
  }
}

async function answers({ runningDaemon: { api }, signal }: CommandContext): Promise<boolean> {
  try {
    await api.status(signal);
    return true;
  } catch (error) {
    if (isOfAnotherProtocol(error)) return true;
    if (!isUnreachable(error)) throw error;
    return error instanceof ValetkeyError && error.code === 'shutting_down';
  }
}

/** @returns false if it did not run. Resolves when it has ended. */
export async function stopDaemon(context: CommandContext): Promise<boolean> {
  const { paths, owner, signal } = context;
  // A socket that a supervisor holds would start one only to stop it.
  if (hasLeft(paths)) return false;
  // It empties the record before it ends.
  const pid = livingDaemon(paths, owner.uid)?.pid ?? null;
  if (!await askToStop(context)) return false;
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < deadline) {
    // Where the process tells, it alone is looked at: to ask would start the next one by the socket of the service.
    if (pid === null ? !await answers(context) : !isRunning(pid, owner.uid)) return true;
    await sleep(STOP_LOOK_MS, undefined, { signal });
  }
  throw ValetkeyError.local('deadline_exceeded', `the daemon still runs after ${STOP_TIMEOUT_MS / 1000} s`, { hint: 'Run: valetkey daemon status' });
}

/** What is kept in memory alone is lost, and its tokens at the issuer are not revoked by that. */
export async function warnOfMemory({ runningDaemon: { api }, terminal, paths, signal }: CommandContext): Promise<void> {
  if (hasLeft(paths)) return;
  try {
    const { vault, grants } = await api.status(signal);
    const lost = grants.filter(({ state }) => state === 'active').map(({ profile }) => profile);
    if (vault.backend === 'memory' && lost.length > 0) {
      terminal.warn(`The vault is in memory only: ${count(lost.length, 'sign-in')} will end with the daemon, without being revoked at the issuer: ${lost.join(', ')}`);
    }
  } catch (error) {
    // Then there is nothing to lose that could still be told.
    if (!isUnreachable(error) && !isOfAnotherProtocol(error)) throw error;
  }
}

async function stop(context: CommandContext): Promise<void> {
  await warnOfMemory(context);
  const stopped = await stopDaemon(context);
  const { terminal } = context;
  if (terminal.json) terminal.document({ stopped });
  else terminal.note(`${stopped ? 'The daemon has stopped.' : 'The daemon does not run.'}${isSocketHeld(context.paths) ? ' The service starts it at the next request.' : ''}`);
}

async function reload({ terminal, runningDaemon, signal }: CommandContext): Promise<void> {
  const reply = await runningDaemon.api.reload(signal);
  if (terminal.json) terminal.document(reply);
  else terminal.note(`${reply.file}: ${count(reply.profiles, 'profile')}, changed: ${reply.changed.join(', ') || 'none'}`);
}

/** The daemon that goes on after this one, or why it did not come to that. */
async function replaced(context: CommandContext, before: AnyStatus, how: UpgradeReply['how']): Promise<AnyStatus> {
  const { runningDaemon, paths, owner, signal, terminal } = context;
  let hasToldWhy = false;
  for (let waitedMs = 0; waitedMs < UPGRADE_MS; waitedMs += UPGRADE_LOOK_MS) {
    await sleep(UPGRADE_LOOK_MS, undefined, { signal });
    if (how === 'exit' && !isRunning(before.pid, owner.uid)) {
      await context.daemon.ensureDaemon(signal);
      return context.daemon.api.anyStatus(signal);
    }
    const now = await statusOf(runningDaemon.api, signal);
    if (now === null) continue; // between two daemons
    if (now.pid !== before.pid) return now;
    if (now.upgrade?.state === 'failed') throw ValetkeyError.local('upgrade_failed', now.upgrade.detail);
    if (!hasToldWhy && waitedMs >= UPGRADE_TELL_MS) terminal.note(`Waiting ${now.upgrade?.detail ?? 'for the daemon'}.`);
    hasToldWhy ||= waitedMs >= UPGRADE_TELL_MS;
  }
  throw ValetkeyError.local('deadline_exceeded', `daemon ${before.pid} has not been replaced within ${UPGRADE_MS / 60_000} minutes`, { hint: `See what it waits for: valetkey daemon status${livingDaemon(paths, owner.uid) === null ? ', which does not run' : ''}` });
}

async function statusOf(api: CommandContext['daemon']['api'], signal: AbortSignal): Promise<AnyStatus | null> {
  try {
    return await api.anyStatus(signal);
  } catch (error) {
    if (isUnreachable(error)) return null;
    throw error;
  }
}

/** Throws upgrade_failed for a daemon of a build that cannot be replaced yet. */
async function ask({ runningDaemon: { api }, signal }: CommandContext, { pid, version }: AnyStatus): Promise<UpgradeReply> {
  try {
    return await api.upgrade(signal);
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.code !== 'not_found') throw error;
    throw ValetkeyError.local('upgrade_failed', `the daemon, pid ${pid}, version ${version}, is of a time before upgrades`, { hint: 'Run: valetkey daemon stop, and the next command starts the newer one' });
  }
}

async function upgrade(context: CommandContext): Promise<void> {
  const { runningDaemon: { api }, terminal, signal } = context;
  const before = await api.anyStatus(signal);
  const { how, program } = await ask(context, before);
  const after = await replaced(context, before, how);
  const from = { pid: before.pid, version: before.version };
  if (terminal.json) return terminal.document({ how, program, from, to: { pid: after.pid, version: after.version } });
  terminal.note(`Daemon ${after.pid}, ${after.version}, has taken the place of ${from.pid}, ${from.version}${program === null ? '' : `: ${program}`}.`);
  if (program === null) terminal.note('No program is recorded, so it ended, and this client has started its own. To have it handed over: valetkey service install');
  if (isOlder(after.version, BUILD_VERSION)) terminal.warn(`The recorded program is of ${after.version}, and this client of ${BUILD_VERSION}; to record the program beside this client, run: valetkey service install`);
  if (after.vault?.state === 'locked') terminal.warn('The vault is locked; run: valetkey unlock');
}

async function status({ terminal, runningDaemon, signal, now }: CommandContext): Promise<void> {
  const reply = await runningDaemon.api.status(signal);
  if (terminal.json) terminal.document(reply);
  else terminal.facts(daemonFacts(reply, now()));
  if (!terminal.json) warnOfGap(terminal, reply);
}

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey daemon status', 'valetkey daemon reload', 'valetkey daemon stop'));
  command.command('start').description('Start the daemon, if it does not run')
    .addHelpText('after', examples('valetkey daemon start')).action(async () => start(context));
  command.command('stop').description('Let it finish what is on the wire, then end it')
    .addHelpText('after', examples('valetkey daemon stop')).action(async () => stop(context));
  command.command('reload').description('Read configuration, policy and hooks again; a bad one changes nothing')
    .addHelpText('after', examples('valetkey daemon reload')).action(async () => reload(context));
  command.command('upgrade').description('Let the installed build take over; no request fails, and nobody is asked')
    .addHelpText('after', examples('valetkey daemon upgrade')).action(async () => upgrade(context));
  command.command('status').description('Show the daemon; does not start it')
    .addHelpText('after', examples('valetkey daemon status --json')).action(async () => status(context));
};
