import type { CommandContext } from './command.ts';
import { chooseProfile } from './profile-choice.ts';
import type { ProfileChoice } from './profile-choice.ts';
import { ValetkeyError } from './valetkey-error.ts';

/** The profile of a command, by the rules of profile-choice.ts. */
export async function pickProfile(context: CommandContext, argument: string | undefined): Promise<ProfileChoice> {
  const { env, cwd, owner, signal } = context;
  return chooseProfile({
    argument, env, cwd, owner,
    listProfiles: async () => (await context.daemon.api.profiles(signal)).profiles.map(({ name }) => name),
  });
}

/** For `use` of a profile that nobody typed: if there is none of the name, who named it is what has to be mended. */
export async function withProfile<T>(context: CommandContext, argument: string | undefined, use: (choice: ProfileChoice) => Promise<T>): Promise<T> {
  const choice = await pickProfile(context, argument);
  try {
    return await use(choice);
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.code !== 'unknown_profile' || choice.rule === 'argument') throw error;
    throw ValetkeyError.local('unknown_profile', `there is no profile ${choice.profile}, but ${choice.because}`, { cause: error });
  }
}
