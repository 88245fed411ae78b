import { lstat, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { readLockRecord } from '../find-socket.ts';
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

async function purge(context: CommandContext, yes: boolean): Promise<void> {
  const { terminal, daemon, signal } = context;
  const directories = await ownDirectories(context);
  if (!yes && !await isConfirmed(context, directories)) throw ValetkeyError.local('cancelled', 'nothing was removed');
  // First at the issuers and in the keychain: only the daemon can, and only while its files are there.
  await daemon.api.purge(signal);
  await stopDaemon(context);
  const removed = await ownDirectories(context);
  for (const path of removed) await rm(path, { recursive: true, force: true });
  if (terminal.json) terminal.document({ removed });
  else for (const path of removed) terminal.note(`Removed ${path}`);
}

export const declare: Declare = (command, context) => {
  command
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('valetkey purge', 'valetkey purge --yes --json'))
    .action(async ({ yes = false }: { yes?: boolean }) => purge(context, yes));
};
