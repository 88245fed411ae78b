/**
 * A program with tokens in its environment. They are those of its start: nothing renews them in a program that runs,
 * and whoever needs newer ones runs it again.
 */
import type { TokenReply, TokenRequest } from '../../shared/schemas.ts';
import { collect, examples } from '../command.ts';
import { openInjections, planInjections } from '../inject/inject-all.ts';
import type { InjectOptions } from '../inject/inject-all.ts';
import type { CommandContext, Declare, Env } from '../command.ts';
import { findProgram } from '../find-program.ts';
import { formatToken } from '../format-token.ts';
import { parseReason, parseWhole } from '../parse-flags.ts';
import { pickProfile } from '../pick-profile.ts';
import { planPlaces } from '../run-plan.ts';
import type { Place } from '../run-plan.ts';
import { remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { askForToken } from './token.ts';

type Options = InjectOptions & {
  readonly profile?: readonly string[];
  readonly env?: readonly string[];
  readonly minTtl?: string;
  readonly interactive?: boolean;
  readonly reason?: string;
};

/** Each profile is asked for once, one after the other: each may have a question for a person. */
async function tokensFor(context: CommandContext, places: readonly Place[], options: Options): Promise<ReadonlyMap<string, TokenReply>> {
  const wanted: Omit<TokenRequest, 'profile'> = {
    ...(options.minTtl === undefined ? {} : { min_ttl_s: parseWhole('--min-ttl', options.minTtl, { unit: 'seconds', min: 0, max: 86_400 }) }),
    ...(options.reason === undefined ? {} : { claimed: { reason: parseReason(options.reason) } }),
    interaction: 'never',
  };
  const replies = new Map<string, TokenReply>();
  for (const { profile } of places) {
    if (replies.has(profile)) continue;
    const reply = await askForToken(context, { profile, ...wanted }, options.interactive ?? context.isInteractive);
    if (formatToken(reply, 'raw') === null) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
    if (reply.granted_beyond.length > 0) context.terminal.note(`The issuer granted more than was asked for: ${reply.granted_beyond.join(' ')}`);
    replies.set(profile, reply);
  }
  return replies;
}

function environmentWith(env: Env, places: readonly Place[], replies: ReadonlyMap<string, TokenReply>): Env {
  const added = places.flatMap(({ profile, variable, endVariable }) => {
    const reply = replies.get(profile);
    if (reply === undefined) throw new Error('a token was not asked for');
    return [[variable, reply.access_token] as const, ...(endVariable === null ? [] : [[endVariable, String(reply.expires_at)] as const])];
  });
  return { ...env, ...Object.fromEntries(added) };
}

async function run(context: CommandContext, words: readonly string[], options: Options): Promise<void> {
  const { terminal, env, now } = context;
  const [word = ''] = words;
  // Before anybody is asked for anything: a token that nobody can use need not leave.
  const file = findProgram(word, env['PATH'], () => context.cwd());
  const injects = options.inject !== undefined || options.injectSocket !== undefined;
  const places = await planPlaces(options.profile ?? [], options.env ?? [], injects ? null : async () => (await pickProfile(context, undefined)).profile);
  const injections = planInjections(options, places.flatMap(({ variable, endVariable }) => (endVariable === null ? [variable] : [variable, endVariable])));
  const replies = await tokensFor(context, places, options);
  if (context.isInteractive) for (const [profile, { expires_at: end }] of replies) terminal.note(`The token of ${profile} is good ${remaining(end, now())}, and is not renewed in the program: for a newer one run the command again`);
  const injected = await openInjections(context, injections, options.interactive ?? context.isInteractive);
  // The program may run for days, and needs nothing of the daemon.
  if (!injects) context.daemon.close();
  const status = await context.runProgram({ file, argv: words, env: { ...environmentWith(env, places, replies), ...injected.env } }).finally(() => injected.close());
  context.endWith(status);
  const over = [...replies].filter(([, { expires_at: end }]) => end <= now()).map(([profile]) => profile);
  if (status !== 0 && over.length > 0) terminal.warn(`The program ended with ${status}, and the token of ${over.join(' and ')} was over by then: run the command again for a new one`);
}

export const declare: Declare = (command, context) => {
  command
    .usage('[options] -- COMMAND [ARGUMENT...]')
    .argument('<COMMAND...>', 'what is run, behind --')
    .option('--profile <PROFILE>', 'its token goes into VALETKEY_TOKEN; of several, each into VALETKEY_TOKEN_NAME; may be repeated', collect)
    .option('--env <NAME=PROFILE>', 'the token of PROFILE goes into the variable NAME; may be repeated', collect)
    .option('--inject <NAME=PROFILE>', 'NAME holds a base URL at which the API of PROFILE answers, without a token; may be repeated', collect)
    .option('--inject-socket <NAME=PROFILE>', 'the same, and NAME holds the path of a socket; may be repeated', collect)
    .option('--inject-key <NAME>', 'NAME holds the key that such requests bear, as VALETKEY_INJECT_KEY does; may be repeated', collect)
    .option('--min-ttl <SECONDS>', 'each token must live at least so long (default: 60)')
    .option('--interactive', 'sign in where it is needed (default at a terminal)')
    .option('--no-interactive', 'never start a sign-in (default without a terminal, and in CI)')
    .option('--reason <TEXT>', 'why it is needed: shown to whoever is asked, recorded, and required for privileged access')
    .addHelpText('after', examples(
      'valetkey run --profile work -- ./deploy.sh    # reads $VALETKEY_TOKEN',
      'valetkey run --env GITHUB_TOKEN=github --env NPM_TOKEN=packages -- npm publish',
      'valetkey run --profile work --min-ttl 1800 -- terraform apply',
      'valetkey run --inject OPENAI_BASE_URL=llm --inject-key OPENAI_API_KEY -- agent',
    ))
    .addHelpText('after', '\nThe tokens are those of the start: nothing renews them while the program runs. Run it again for new ones.\nWith --inject the program has none: each of its requests is sent by the daemon, as by valetkey fetch.\nThe exit status is that of the program; 128 and its number where a signal ended it; 126 and 127 where it could not be started.')
    .action(async (words: readonly string[], options: Options) => run(context, words, options));
};
