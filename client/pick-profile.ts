import { chooseProfile } from './profile-choice.ts';
import type { ProfileChoice } from './profile-choice.ts';
import type { CommandContext } from './command.ts';

/** The profile of a command, by the rules of profile-choice.ts. */
export async function pickProfile(context: CommandContext, argument: string | undefined): Promise<ProfileChoice> {
  const { env, cwd, owner, signal } = context;
  return chooseProfile({
    argument, env, cwd, owner,
    listProfiles: async () => (await context.daemon.api.profiles(signal)).profiles.map(({ name }) => name),
  });
}
