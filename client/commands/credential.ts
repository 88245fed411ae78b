/**
 * Tools that ask a program for what they sign in with: one verb, and a kind for each protocol. Nobody is asked for
 * anything here, since a tool waits; where a person has to sign in, the tool is told so in its own form.
 */
import type { TokenReply } from '../../shared/schemas.ts';
import { answerGit, GIT_OPERATIONS, readGitAsk } from '../adapters/git.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { formatToken } from '../format-token.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = { readonly profile: string; readonly url?: string; readonly username: string };

/** What git writes is some hundred bytes, and a header of a server's. */
const INPUT_MAX = 65_536;

/** Where the token may go: nowhere else, whoever asks. */
async function originFor({ daemon, signal }: CommandContext, { profile, url }: Options): Promise<string> {
  if (url !== undefined) return parseOrigin(url);
  const found = (await daemon.api.profiles(signal)).profiles.find(({ name }) => name === profile);
  if (found === undefined) throw ValetkeyError.local('unknown_profile', `there is no profile ${profile}`);
  const { resource } = found;
  if (resource === null || !URL.canParse(resource)) throw ValetkeyError.local('bad_request', `the profile ${profile} names no resource, so nothing says where its token may go`, { hint: 'Name it: --url https://git.example.com' });
  return parseOrigin(resource);
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLoopback = url !== null && url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url === null || (url.protocol !== 'https:' && !isLoopback) || url.username !== '' || url.password !== '') {
    throw ValetkeyError.local('bad_request', `a token goes to https:// and loopback only, which ${JSON.stringify(text)} is not`, { hint: 'Name the server: --url https://git.example.com' });
  }
  return url.origin;
}

async function tokenFor({ daemon: { api }, signal }: CommandContext, profile: string, force: boolean): Promise<TokenReply> {
  const reply = await api.token({ profile, interaction: 'never', ...(force ? { force } : {}) }, signal);
  // A line break would be a line of the tool's protocol.
  if (formatToken(reply, 'raw') === null) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
  return reply;
}

async function get(context: CommandContext, options: Options): Promise<void> {
  const ask = readGitAsk(await context.readStdin(INPUT_MAX));
  // git asks every helper that it knows; this one has nothing for others.
  if (ask.origin !== await originFor(context, options)) return;
  try {
    context.terminal.raw(answerGit(ask, await tokenFor(context, options.profile, false), options.username));
  } catch (error) {
    // Or git would ask for a password, which nobody has.
    context.terminal.raw('quit=true\n');
    throw error;
  }
}

/** The server refused it: unless another is there by now, it is refreshed before its time. */
async function erase(context: CommandContext, options: Options): Promise<void> {
  const { origin, used } = readGitAsk(await context.readStdin(INPUT_MAX));
  if (used === null || origin !== await originFor(context, options)) return;
  const { access_token: held } = await tokenFor(context, options.profile, false);
  if (held === used) await tokenFor(context, options.profile, true);
}

const STEPS: Readonly<Record<typeof GIT_OPERATIONS[number], (context: CommandContext, options: Options) => Promise<void>>> = {
  get, erase,
  // There is nothing to keep: the daemon has it.
  store: async (context) => void await context.readStdin(INPUT_MAX),
};

export const declare: Declare = (command, context) => {
  command.addHelpText('after', examples('valetkey credential git --help'));
  command.command('git')
    .description('Speak git\'s credential protocol: git calls this as a credential.helper')
    .argument('<OPERATION>', 'get, store or erase; others are of no concern, as git wants it')
    .requiredOption('--profile <PROFILE>', 'whose token is given')
    .option('--url <URL>', 'the only server that is given one (default: the profile\'s resource)')
    .option('--username <NAME>', 'the name beside the token, where git tells none and the server wants a password', 'oauth2')
    .addHelpText('after', examples(
      'git config credential.helper \'!valetkey credential git --profile work\'',
      'echo url=https://git.example.com | git credential fill    # what git is told',
    ))
    .action(async (operation: string, options: Options) => {
      const step = GIT_OPERATIONS.find((known) => known === operation);
      if (step !== undefined) await STEPS[step](context, options);
    });
};
