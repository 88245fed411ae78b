import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { CommandContext } from '../command.ts';
import { withProfile } from '../pick-profile.ts';
import { checkProfileName, DIRECTORY_FILE } from '../profile-choice.ts';
import { profileFacts } from '../profile-facts.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { closedWords } from '../vault-words.ts';

async function findProfile({ daemon, signal }: CommandContext, name: string): Promise<ProfileView> {
  const { profiles } = await daemon.api.profiles(signal);
  const found = profiles.find((profile) => profile.name === name);
  if (found === undefined) throw ValetkeyError.local('unknown_profile', profiles.length === 0
    ? `there is no profile ${name}, nor any other`
    : `there is no profile ${name}; there are: ${profiles.map((profile) => profile.name).join(', ')}`);
  return found;
}

export async function showProfile(context: CommandContext, argument: string | undefined): Promise<void> {
  const { terminal, daemon, signal } = context;
  const found = await withProfile(context, argument, async ({ profile }) => findProfile(context, profile));
  const isKnown = found.signed_in || closedWords(await daemon.api.status(signal)) === null;
  if (terminal.json) terminal.document({ ...found, signed_in: isKnown ? found.signed_in : null });
  else terminal.facts([...profileFacts(found, isKnown ? found.signed_in : null), ['Written in', found.source]]);
}

export async function setDirectoryProfile(context: CommandContext, name: string): Promise<void> {
  checkProfileName(name, 'NAME');
  const { name: profile } = await findProfile(context, name);
  const file = join(context.cwd(), DIRECTORY_FILE);
  const next = `${file}.${process.pid}`;
  // A reader sees the old file or the new one; 'wx' follows no link that somebody has put there.
  await writeFile(next, `v = 1\nprofile = ${JSON.stringify(profile)}\n`, { flag: 'wx', mode: 0o644 });
  await rename(next, file);
  if (context.terminal.json) context.terminal.document({ profile, file });
  else context.terminal.note(`${file} names ${profile} now, for this directory and those below.`);
}

export async function removeProfile(context: CommandContext, name: string): Promise<void> {
  const { terminal, daemon, signal } = context;
  checkProfileName(name, 'NAME');
  const reply = await daemon.api.removeProfile(name, signal);
  if (terminal.json) terminal.document(reply);
  else terminal.note(`Profile ${name} was removed.`);
}
