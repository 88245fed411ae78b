/** What docker and its kin ask for at each of their operations; the protocol itself is adapters/docker.ts. */
import { answerDocker, DOCKER_OPERATIONS, isRegistry, listDocker, NOT_FOUND, readDockerStore } from '../adapters/docker.ts';
import { cleanText } from '../clean-text.ts';
import type { CommandContext } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { INPUT_MAX, originFor, tokenFor } from './credential-token.ts';
import type { Named } from './credential-token.ts';

async function get(context: CommandContext, options: Named): Promise<void> {
  const named = await context.readStdin(INPUT_MAX);
  if (!isRegistry(named, await originFor(context, options))) {
    context.terminal.raw(NOT_FOUND);
    context.endWith(1);
    return;
  }
  try {
    context.terminal.raw(answerDocker(named, await tokenFor(context, options.profile), options.username));
  } catch (error) {
    // docker shows what stands on standard output, and a program that runs docker may show nothing else.
    if (error instanceof ValetkeyError) context.terminal.raw(`${cleanText(`${error.code}: ${error.detail}. ${error.hint}`)}\n`);
    throw error;
  }
}

/** `docker login` stores what it got from here, which is well; a password would be lost, and nobody would know. */
async function store(context: CommandContext, options: Named): Promise<void> {
  const { registry, username } = readDockerStore(await context.readStdin(INPUT_MAX));
  if (isRegistry(registry, await originFor(context, options)) && username === options.username) return;
  const why = `nothing is kept here but the token of the profile ${options.profile}`;
  context.terminal.raw(`${why}\n`);
  throw ValetkeyError.local('bad_request', why, { hint: 'Leave docker login out; to sign in, run: valetkey login PROFILE' });
}

/** `docker logout` forgets what it keeps, which is nothing; the grant is not docker's to end. */
async function erase(context: CommandContext, options: Named): Promise<void> {
  if (isRegistry(await context.readStdin(INPUT_MAX), await originFor(context, options))) {
    context.terminal.warn(`the profile ${options.profile} is still signed in. To sign out, run: valetkey logout ${options.profile}`);
  }
}

const STEPS: Readonly<Record<typeof DOCKER_OPERATIONS[number], (context: CommandContext, options: Named) => Promise<void>>> = {
  get, store, erase,
  list: async (context, options) => context.terminal.raw(listDocker(await originFor(context, options), options.username)),
};

export async function run(context: CommandContext, operation: string, options: Named): Promise<void> {
  const step = DOCKER_OPERATIONS.find((known) => known === operation);
  if (step === undefined) throw ValetkeyError.local('bad_request', `docker's helpers know no ${operation}`);
  if (options.username === '<token>') throw ValetkeyError.local('bad_request', 'the name <token> says that a refresh token follows, and none is given to anybody');
  await STEPS[step](context, options);
}
