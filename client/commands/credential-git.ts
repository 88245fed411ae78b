/** What git asks for at each of its operations; the protocol itself is adapters/git.ts. */
import { answerGit, GIT_OPERATIONS, readGitAsk } from '../adapters/git.ts';
import type { CommandContext } from '../command.ts';
import { INPUT_MAX, originFor, tokenFor } from './credential-token.ts';
import type { Named } from './credential-token.ts';

async function get(context: CommandContext, options: Named): Promise<void> {
  const ask = readGitAsk(await context.readStdin(INPUT_MAX));
  // git asks every helper that it knows; this one has nothing for others.
  if (ask.origin !== await originFor(context, options)) return;
  try {
    context.terminal.raw(answerGit(ask, await tokenFor(context, options.profile), options.username));
  } catch (error) {
    // Or git would ask for a password, which nobody has.
    context.terminal.raw('quit=true\n');
    throw error;
  }
}

/** The server refused it: unless another is there by now, it is refreshed before its time. */
async function erase(context: CommandContext, options: Named): Promise<void> {
  const { origin, used } = readGitAsk(await context.readStdin(INPUT_MAX));
  if (used === null || origin !== await originFor(context, options)) return;
  const { access_token: held } = await tokenFor(context, options.profile);
  if (held === used) await tokenFor(context, options.profile, true);
}

const STEPS: Readonly<Record<typeof GIT_OPERATIONS[number], (context: CommandContext, options: Named) => Promise<void>>> = {
  get, erase,
  // There is nothing to keep: the daemon has it.
  store: async (context) => void await context.readStdin(INPUT_MAX),
};

export async function run(context: CommandContext, operation: string, options: Named): Promise<void> {
  const step = GIT_OPERATIONS.find((known) => known === operation);
  if (step !== undefined) await STEPS[step](context, options);
}
