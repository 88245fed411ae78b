import type { TokenReply, TokenRequest } from '../../shared/schemas.ts';
import { choice, collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { FORMATS, formatToken } from '../format-token.ts';
import type { Format } from '../format-token.ts';
import { parseReason, parseResource, parseScopeFlags, parseWhole } from '../parse-flags.ts';
import { withProfile } from '../pick-profile.ts';
import { loginBudget, stepUp } from '../step-up.ts';
import { tellingOfQuestion } from '../tell-of-question.ts';
import { ago } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = {
  readonly scope?: readonly string[];
  readonly resource?: string;
  readonly minTtl?: string;
  readonly force?: true;
  readonly challenge?: string;
  readonly format?: Format;
  readonly interactive?: boolean;
  readonly why?: true;
  readonly reason?: string;
};

function printable(reply: TokenReply, format: Exclude<Format, 'json'>): string {
  const text = formatToken(reply, format);
  if (text === null) throw ValetkeyError.local('issuer_response_invalid', 'the access token holds characters that no token may hold (RFC 6749, appendix A.12)');
  return text;
}

function chooseFormat(format: Format | undefined, json: boolean): Format {
  if (json && format !== undefined && format !== 'json') throw ValetkeyError.local('bad_request', `--json and --format ${format} contradict each other`);
  return format ?? (json ? 'json' : 'raw');
}

export async function askForToken(context: CommandContext, request: TokenRequest, interactive: boolean): Promise<TokenReply> {
  const { daemon: { api }, signal } = context;
  const { profile, scopes, challenge, claimed, force: _force, ...rest } = request;
  const common = { ...(profile === undefined ? {} : { profile }), ...(scopes === undefined ? {} : { scopes }), ...(challenge === undefined ? {} : { challenge }) };
  let wanted = request;
  const ask = (): Promise<TokenReply> => tellingOfQuestion(context, profile, api.token(wanted, signal));
  const signIn = async (newest?: string | null): Promise<void> => {
    const { signInHere } = await import('./login.ts');
    // A daemon that does not name the newest would refuse the key.
    const since = newest === undefined ? {} : { newer_than: newest };
    await signInHere(context, { ...common, ...since, ...(claimed === undefined ? {} : { claimed }) }, true);
    // What was just signed in is fresh; a forced refresh would only spend it.
    wanted = { ...common, ...(claimed === undefined ? {} : { claimed }), ...rest };
  };
  if (!interactive) return ask();
  if (challenge !== undefined) return stepUp({ ask, signIn: () => telling(context, 'the resource wants a stronger or fresher sign-in', signIn) }, null, loginBudget());
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.code !== 'login_required') throw error;
    await telling(context, error.reason ?? error.detail, () => signIn(error.newestLogin));
    return ask();
  }
}

function telling({ terminal }: CommandContext, why: string, signIn: () => Promise<void>): Promise<void> {
  terminal.note(`A person has to sign in: ${why}`);
  return signIn();
}

/** How, and when, the person signed in for it, as the issuer says. */
function proofText({ acr, auth_time: authTime }: TokenReply, now: number): string | null {
  if (acr === undefined) return null;
  return `The sign-in behind it is of class ${acr ?? '(the issuer names none)'}${authTime === null || authTime === undefined ? '' : `, proved ${ago(authTime, now)}`}`;
}

async function token(context: CommandContext, argument: string | undefined, options: Options): Promise<void> {
  const { terminal } = context;
  const format = chooseFormat(options.format, terminal.json);
  const wanted: TokenRequest = {
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.resource === undefined ? {} : { resource: parseResource(options.resource) }),
    ...(options.minTtl === undefined ? {} : { min_ttl_s: parseWhole('--min-ttl', options.minTtl, { unit: 'seconds', min: 0, max: 86_400 }) }),
    ...(options.challenge === undefined ? {} : { challenge: options.challenge }),
    ...(options.force === undefined ? {} : { force: true }),
    ...(options.reason === undefined ? {} : { claimed: { reason: parseReason(options.reason) } }),
    interaction: 'never',
  };
  const reply = await withProfile(context, argument, async ({ profile, because }) => {
    if (options.why === true) terminal.tell(`Profile ${profile}: ${because}`);
    return askForToken(context, { profile, ...wanted }, options.interactive ?? context.isInteractive);
  });
  if (reply.granted_beyond.length > 0) terminal.note(`The issuer granted more than was asked for: ${reply.granted_beyond.join(' ')}`);
  const proof = proofText(reply, context.now());
  if (proof !== null) terminal.note(proof);
  if (format === 'json') terminal.document(reply);
  else terminal.raw(printable(reply, format));
  if (terminal.stdoutIsTerminal) terminal.warn('A token is now on your screen and in its scrollback; in scripts use $(valetkey token …)');
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--scope <SCOPE>', 'the token must hold this scope; may be repeated', collect)
    .option('--resource <URI>', 'the API that the token is for (RFC 8707)')
    .option('--min-ttl <SECONDS>', 'the token must live at least so long (default: 60)')
    .option('--force', 'refresh, even if a good token is cached')
    .option('--challenge <HEADER>', 'a resource\'s WWW-Authenticate that wants a stronger or fresher sign-in (RFC 9470)')
    .addOption(choice('--format <FORMAT>', 'how to print it (default: raw)', FORMATS))
    .option('--interactive', 'sign in where it is needed (default at a terminal)')
    .option('--no-interactive', 'never start a sign-in (default without a terminal, and in CI)')
    .option('--reason <TEXT>', 'why it is needed: shown to whoever is asked, recorded, and required for privileged access')
    .option('--why', 'say on standard error which rule chose the profile')
    .addHelpText('after', examples(
      'TOKEN=$(valetkey token work)',
      'curl -H "$(valetkey token work --format header)" https://api.example.com/me',
      'eval "$(valetkey token work --format env)"    # VALETKEY_TOKEN, VALETKEY_TOKEN_EXPIRES_AT',
      'valetkey token work --min-ttl 600 --no-interactive',
      'valetkey token work --challenge "$WWW_AUTHENTICATE"    # as the 401 of the API had it',
    ))
    .action(async (argument: string | undefined, options: Options) => token(context, argument, options));
};
