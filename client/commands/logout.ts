import type { EndSessionReply, LogoutReply } from '../../shared/schemas.ts';
import type { Api } from '../api.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { withProfile } from '../pick-profile.ts';
import { showRevoked } from '../revoked-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = { readonly all?: boolean; readonly browser?: boolean; readonly return?: boolean };

function show({ terminal, now }: CommandContext, reply: LogoutReply): void {
  // What was signed in had a token.
  if (reply.revoked.length === 0) terminal.line(`Nobody was signed in with ${reply.profile}.`);
  else terminal.line(`Signed out of ${reply.profile}.`);
  showRevoked(terminal, reply.revoked, now());
}

async function logoutAll(context: CommandContext): Promise<void> {
  const { terminal, daemon: { api }, signal } = context;
  const { grants } = await api.grants(signal);
  const replies: LogoutReply[] = [];
  for (const { profile } of grants) {
    const reply = await api.logout(profile, signal);
    replies.push(reply);
    if (!terminal.json && !terminal.quiet) show(context, reply);
  }
  if (terminal.json) terminal.document({ logouts: replies });
  else if (grants.length === 0) terminal.note('Nobody is signed in.');
}

async function linkTo(api: Api, profile: string, returns: boolean, signal: AbortSignal): Promise<EndSessionReply | ValetkeyError> {
  try {
    return await api.endSession(profile, { returns }, signal);
  } catch (error) {
    if (error instanceof ValetkeyError) return error;
    throw error;
  }
}

/** The issuer is asked first, while the daemon still knows who is meant; the sign-out here does not depend on it. */
async function logoutWithBrowser(context: CommandContext, profile: string, returns: boolean): Promise<LogoutReply & { readonly end_session?: object }> {
  const { terminal, daemon: { api }, signal } = context;
  const link = await linkTo(api, profile, returns, signal);
  const reply = await api.logout(profile, signal);
  if (!terminal.json && !terminal.quiet) show(context, reply);
  if (link instanceof ValetkeyError) throw link;
  const { start_url: startUrl, browser, issuer_host: host } = link;
  const opening = await context.openBrowser(startUrl, browser, signal);
  if (opening.kind === 'failed') terminal.warn(`The browser could not be started (${opening.why}). Open this link on this machine within five minutes: ${startUrl}`);
  else if (!terminal.json) terminal.note(`Finish in the browser: ${host} asks there whether to sign out.`);
  return { ...reply, end_session: { issuer_host: host, opened: opening.kind !== 'failed' } };
}

async function logout(context: CommandContext, argument: string | undefined, { all = false, browser = false, return: returns = false }: Options): Promise<void> {
  const { terminal, daemon: { api }, signal } = context;
  if (all && argument !== undefined) throw ValetkeyError.local('bad_request', 'name a profile, or give --all');
  if (all && browser) throw ValetkeyError.local('bad_request', 'one browser session ends at a time: name a profile with --browser');
  if (returns && !browser) throw ValetkeyError.local('bad_request', '--return goes with --browser');
  if (all) return logoutAll(context);
  if (browser) {
    const reply = await withProfile(context, argument, async ({ profile }) => logoutWithBrowser(context, profile, returns));
    if (terminal.json) terminal.document(reply);
    return undefined;
  }
  const reply = await withProfile(context, argument, async ({ profile }) => api.logout(profile, signal));
  if (terminal.json) terminal.document(reply);
  else if (!terminal.quiet) show(context, reply);
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--all', 'of all profiles')
    .option('--browser', 'sign out at the issuer too, in the browser')
    .option('--return', 'with --browser: let the issuer send the browser back; the redirect URI must be registered for logout as well')
    .addHelpText('after', examples('valetkey logout work', 'valetkey logout work --browser', 'valetkey logout --all'))
    .action(async (argument: string | undefined, options: Options) => logout(context, argument, options));
};
