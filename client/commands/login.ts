import type { LoginRequest, LoginView } from '../../shared/schemas.ts';
import { collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { createLoginScreen, subjectName } from '../login-screen.ts';
import { pickProfile } from '../pick-profile.ts';
import { parseScopeFlags } from '../scope-flags.ts';
import { signIn } from '../sign-in.ts';

type Options = {
  readonly device?: true;
  readonly browser: boolean;
  readonly loginHint?: string;
  readonly scope?: readonly string[];
};

/** Signs in with a person at this terminal; `token` uses it too. */
export async function signInHere(context: CommandContext, request: LoginRequest, openBrowser: boolean): Promise<LoginView> {
  const { screen, close } = createLoginScreen(context, { openBrowser });
  try {
    return await signIn(context.daemon.api, request, screen, context.signal);
  } finally {
    close();
  }
}

/** What is told of a completed login: who, where, for what. */
function summary(view: LoginView): Record<string, unknown> {
  const { profile, flow, reason, issuer_host, scopes, subject = null } = view;
  return { profile, state: view.state, flow, reason, issuer_host, scopes, subject };
}

async function login(context: CommandContext, argument: string | undefined, options: Options): Promise<void> {
  const { profile } = await pickProfile(context, argument);
  const view = await signInHere(context, {
    profile,
    ...(options.device === undefined ? {} : { flow: 'device' as const }),
    ...(options.loginHint === undefined ? {} : { login_hint: options.loginHint }),
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
  }, options.browser);
  const { terminal } = context;
  if (terminal.json) terminal.document(summary(view));
  else if (!terminal.quiet) terminal.line(`Signed in as ${subjectName(view.subject)} at ${view.issuer_host}, profile ${view.profile}`);
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--device', 'prefer the device flow; refused where the browser would do, or where policy does not list the issuer')
    .option('--no-browser', 'print the link to open on this machine, instead of opening it')
    .option('--login-hint <WHO>', 'whom the issuer should offer to sign in, e.g. an e-mail address')
    .option('--scope <SCOPE>', 'ask for this scope instead of the profile\'s; may be repeated', collect)
    .addHelpText('after', examples('valetkey login work', 'valetkey login work --no-browser', 'valetkey login work --login-hint me@example.com'))
    .action(async (argument: string | undefined, options: Options) => login(context, argument, options));
};
