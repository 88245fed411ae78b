import type { LoginRequest, LoginView } from '../../shared/schemas.ts';
import { collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { explainLogin } from './login-explain.ts';
import { createLoginScreen, subjectName } from '../login-screen.ts';
import { parseReason, parseScopeFlags, REASON_MAX } from '../parse-flags.ts';
import { withProfile } from '../pick-profile.ts';
import { signIn } from '../sign-in.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Options = {
  readonly device?: true;
  readonly browser: boolean;
  readonly explain?: true;
  readonly loginHint?: string;
  readonly scope?: readonly string[];
  readonly reason?: string;
};

/** Signs in with a person at this terminal, who says why where that is needed; `token` uses it too. */
export async function signInHere(context: CommandContext, request: LoginRequest, openBrowser: boolean): Promise<LoginView> {
  try {
    return await signInFor(context, request, openBrowser);
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.code !== 'reason_required') throw error;
    const reason = await askReason(context, error);
    return signInFor(context, { ...request, claimed: { ...request.claimed, reason } }, openBrowser);
  }
}

async function askReason(context: CommandContext, why: ValetkeyError): Promise<string> {
  const person = context.isInteractive ? context.meetPerson() : null;
  if (person === null) throw why;
  try {
    person.show(['', why.detail]);
    const typed = (await person.ask('Reason:', { signal: context.signal }))?.trim() ?? '';
    if (typed === '') throw why;
    return typed.slice(0, REASON_MAX);
  } finally {
    person.close();
  }
}

async function signInFor(context: CommandContext, request: LoginRequest, openBrowser: boolean): Promise<LoginView> {
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

/** What the daemon says of the new grant, such as that the disk refuses it. Not knowing it undoes no sign-in. */
async function warningsOf({ daemon, signal }: CommandContext, profile: string): Promise<readonly string[]> {
  try {
    const { warnings } = await daemon.api.status(signal);
    return warnings.filter((warning) => warning.startsWith(`${profile}: `));
  } catch (error) {
    if (error instanceof ValetkeyError) return [];
    throw error;
  }
}

async function login(context: CommandContext, argument: string | undefined, options: Options): Promise<void> {
  const wanted: LoginRequest = {
    ...(options.device === undefined ? {} : { flow: 'device' as const }),
    // The person's word that there is one: without a desktop nothing else tells.
    ...(options.browser ? {} : { browser: 'manual' as const }),
    ...(options.loginHint === undefined ? {} : { login_hint: options.loginHint }),
    ...(options.scope === undefined ? {} : { scopes: [...parseScopeFlags(options.scope)] }),
    ...(options.reason === undefined ? {} : { claimed: { reason: parseReason(options.reason) } }),
  };
  if (options.explain === true) {
    await withProfile(context, argument, async ({ profile }) => explainLogin(context, { profile, ...wanted }));
    return;
  }
  const view = await withProfile(context, argument, async ({ profile }) => signInHere(context, { profile, ...wanted }, options.browser));
  const { terminal } = context;
  const warnings = await warningsOf(context, view.profile);
  if (terminal.json) terminal.document({ ...summary(view), warnings });
  else if (!terminal.quiet) terminal.line(`Signed in as ${subjectName(view.subject)} at ${view.issuer_host}, profile ${view.profile}`);
  for (const warning of warnings) terminal.warn(warning);
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--device', 'prefer the device flow; refused where the browser would do, or where policy does not list the issuer')
    .option('--no-browser', 'print the link to open on this machine, instead of opening it')
    .option('--login-hint <WHO>', 'whom the issuer should offer to sign in, e.g. an e-mail address')
    .option('--scope <SCOPE>', 'ask for this scope instead of the profile\'s; may be repeated', collect)
    .option('--reason <TEXT>', 'why: for privileged access, which is had for a quarter of an hour and never stored')
    .option('--explain', 'say which sign-in it would be here, why, and what would change it; starts none')
    .addHelpText('after', examples('valetkey login work --explain', 'valetkey login work', 'valetkey login work --no-browser', 'valetkey login work --login-hint me@example.com', 'valetkey login prod --scope admin:all --reason "restore the backup, ticket 4711"'))
    .action(async (argument: string | undefined, options: Options) => login(context, argument, options));
};
