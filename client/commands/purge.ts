import { lstat, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { readLockRecord } from '../find-socket.ts';
import { showRevoked } from '../revoked-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { stopDaemon } from './daemon.ts';

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(() => true, () => false);
}

/** Only directories that are Valetkey's alone, by their name. The lock record may name a runtime directory of another login. */
async function ownDirectories({ paths, owner }: CommandContext): Promise<readonly string[]> {
  const recorded = readLockRecord(paths.lockFile, owner.uid)?.socket;
  const candidates = [paths.runtimeDir, ...(recorded === undefined ? [] : [dirname(recorded)]), paths.stateDir, paths.configDir];
  const own = [...new Set(candidates)].filter((path) => basename(path) === 'valetkey' || path === paths.runtimeDir);
  const present = await Promise.all(own.map(async (path) => ({ path, present: await exists(path) })));
  return present.filter((entry) => entry.present).map(({ path }) => path);
}

async function isConfirmed(context: CommandContext, directories: readonly string[]): Promise<boolean> {
  const person = context.meetPerson();
  if (person === null) throw ValetkeyError.local('consent_required', 'there is no terminal at which it could be confirmed', { hint: 'Run it at a terminal, or: valetkey purge --yes' });
  try {
    person.show(['This signs out of everything, revokes the tokens, erases the key, and removes:', ...directories.map((path) => `  ${path}`)]);
    return (await person.ask('Type purge to go on:', { signal: context.signal }))?.trim() === 'purge';
  } finally {
    person.close();
  }
}

/**
 * Only a daemon can revoke at the issuers. One that lost its socket is ended, so that another can be asked.
 * @returns why there is none.
 */
async function whyNoDaemon(context: CommandContext): Promise<ValetkeyError | null> {
  const { daemon, signal } = context;
  try {
    await daemon.ensureDaemon(signal);
    return null;
  } catch (error) {
    const why = asAbsence(error);
    return await stopDaemon(context) ? daemon.ensureDaemon(signal).then(() => null, asAbsence) : why;
  }
}

/** A path that is somebody else's, and a run on somebody else's behalf, end the purge: nothing there is ours to remove. */
function asAbsence(error: unknown): ValetkeyError {
  if (error instanceof ValetkeyError && !['server_untrusted', 'run_as_root', 'cancelled'].includes(error.code)) return error;
  throw error;
}

async function removeDirectories(context: CommandContext): Promise<readonly string[]> {
  const own = await ownDirectories(context);
  for (const path of own) await rm(path, { recursive: true, force: true });
  return own;
}

async function purge(context: CommandContext, yes: boolean): Promise<void> {
  const { terminal, daemon, signal, now } = context;
  const directories = await ownDirectories(context);
  if (!yes && !await isConfirmed(context, directories)) throw ValetkeyError.local('cancelled', 'nothing was removed');
  // First at the issuers and in the keychain: only the daemon can, and only while its files are there.
  const absence = await whyNoDaemon(context);
  const done = absence === null ? await daemon.api.purge(signal) : null;
  const grants = done?.grants ?? null;
  if (absence === null) await stopDaemon(context);
  const removed = await removeDirectories(context);
  if (terminal.json) return terminal.document({ removed, grants, workloads: done?.workloads ?? null, not_revoked: absence ?? done?.not_revoked ?? null });
  for (const { profile, revoked } of grants ?? []) showRevoked(terminal, revoked, now(), `${profile}: `);
  for (const { profile, revoked } of done?.workloads ?? []) showRevoked(terminal, revoked, now(), `workload ${profile}: `);
  for (const path of removed) terminal.note(`Removed ${path}`);
  const closed = done?.not_revoked ?? null;
  if (absence === null && closed === null) return undefined;
  terminal.warn(absence === null ? `The vault could not be opened (${closed}).` : `The daemon could not be started: ${absence.detail}`);
  terminal.warn('So no token was revoked at its issuer: those that were out live on until they expire, or until you end them there. A key in the keychain stays, and opens nothing any more.');
}

export const declare: Declare = (command, context) => {
  command
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('valetkey purge', 'valetkey purge --yes --json'))
    .action(async ({ yes = false }: { yes?: boolean }) => purge(context, yes));
};
