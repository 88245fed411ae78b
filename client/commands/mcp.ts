/**
 * MCP servers behind OAuth, for hosts that start a program and speak with it by lines: the program has the token, and
 * the host never does. All instances share the daemon's one sign-in, and its one refresh.
 */
import { bridgeMcp, remoteAt } from '../adapters/mcp.ts';
import { bindFetch, tokenOrigin } from '../bound-fetch.ts';
import { cleanText } from '../clean-text.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { pickProfile } from '../pick-profile.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { widenFetch } from '../wider-fetch.ts';
import { declare as declareAdd } from './mcp-add.ts';
import { declare as declareServe } from './mcp-serve.ts';
import { askForToken } from './token.ts';

type Options = { readonly profile?: string; readonly interactive?: boolean };

const FOLLOW_S = 60;
/** A message with a file in it. */
const LINE_MAX = 16 * 1024 * 1024;

/** RFC 8707: the token is for this resource, and what lies below it (MC-03). A query names another one, such as a tenant's. */
function isWithin(url: URL, resource: string): boolean {
  const whole = new URL(resource);
  const below = whole.pathname.endsWith('/') ? whole.pathname : `${whole.pathname}/`;
  return url.origin === whole.origin && (whole.search === '' || whole.search === url.search) && (url.pathname === whole.pathname || url.pathname.startsWith(below));
}

async function profileFor(context: CommandContext, url: URL, named: string | undefined): Promise<string> {
  const { profiles } = await context.daemon.api.profiles(context.signal);
  const fitting = profiles.filter(({ resource }) => resource !== null && URL.canParse(resource) && isWithin(url, resource));
  const [only] = fitting;
  if (named === undefined && only === undefined) throw ValetkeyError.local('bad_request', `no profile is for ${url.href}`, { hint: `Run: valetkey mcp add ${url.href}` });
  const profile = named ?? (fitting.length === 1 && only !== undefined ? only.name : (await pickProfile(context, undefined)).profile);
  const found = profiles.find(({ name }) => name === profile);
  if (found === undefined) throw ValetkeyError.local('unknown_profile', `there is no profile ${profile}`);
  if (!fitting.includes(found)) {
    throw ValetkeyError.local('bad_request', `the token of ${profile} is for ${found.resource ?? 'no resource that its profile names'}, and not for ${url.href}`, { hint: `Run: valetkey mcp add ${url.href}` });
  }
  return profile;
}

function explain(cause: unknown): { readonly message: string; readonly data?: object } {
  if (cause instanceof ValetkeyError) return { message: cleanText(`valetkey: ${cause.detail}. ${cause.hint}`), data: { code: cause.code, hint: cleanText(cause.hint) } };
  return { message: cleanText(cause instanceof Error ? cause.message : 'the server cannot be reached') };
}

async function follow({ daemon: { api }, signal }: CommandContext, id: string): Promise<void> {
  while ((await api.login(id, FOLLOW_S, signal)).state === 'pending');
}

/** OIDC Core, section 11: asked for at the sign-in, for the refresh token; servers leave it out of the access token. */
const ofTokens = (scopes: readonly string[]): string[] => scopes.filter((scope) => scope !== 'offline_access');

/** Whether tokens of all these scopes are to be had, after a person has signed in for them where they may be asked. */
async function holds(context: CommandContext, profile: string, scopes: string[], interactive: boolean): Promise<boolean> {
  try {
    await context.daemon.api.token({ profile, scopes: ofTokens(scopes), interaction: 'never' }, context.signal);
    return true;
  } catch (error) {
    if (!(error instanceof ValetkeyError) || (error.code !== 'scope_not_granted' && error.code !== 'login_required')) throw error;
    context.terminal.warn(`The server wants more scopes: ${cleanText(scopes.join(' '))}${interactive ? '' : `. Run: valetkey login ${profile} --scope "${scopes.join(' ')}"`}`);
    if (!interactive) return false;
    const { signInHere } = await import('./login.ts');
    await signInHere(context, { profile, scopes }, true);
    return true;
  }
}

async function connect(context: CommandContext, address: string, { profile: named, interactive = false }: Options): Promise<void> {
  const url = URL.canParse(address) ? new URL(address) : null;
  const origin = url === null ? null : tokenOrigin(url.href);
  if (url === null || origin === null || url.username !== '' || url.password !== '') throw ValetkeyError.local('bad_request', 'the address of an MCP server is an https:// URL, or one of this machine');
  const profile = await profileFor(context, url, named);
  /** Once the server wanted more than the profile asks for by itself. */
  let wide: string[] | null = null;
  const ask = async (proof: { readonly challenge?: string }, isForced = false): Promise<string> => {
    const wanted = { profile, interaction: 'never' as const, ...(wide === null ? {} : { scopes: ofTokens(wide) }), ...proof };
    try {
      return (await askForToken(context, { ...wanted, ...(isForced ? { force: true } : {}) }, interactive)).access_token;
    } catch (error) {
      // Hosts start many at once: the first of them opened the browser.
      if (!interactive || !(error instanceof ValetkeyError) || error.code !== 'login_required' || error.login === null) throw error;
      await follow(context, error.login.id);
      // What was just signed in is fresh.
      return (await askForToken(context, wanted, false)).access_token;
    }
  };
  const authorized = bindFetch({
    origins: async () => new Set([origin]),
    async token(refused) {
      const token = await ask({});
      return token === refused ? ask({}, true) : token;
    },
    stepUp: async (challenge) => (interactive ? ask({ challenge }) : null),
  }, globalThis.fetch);
  const widened = widenFetch(authorized, {
    scopes: async () => wide ?? (await context.daemon.api.profiles(context.signal)).profiles.find(({ name }) => name === profile)?.scopes ?? [],
    async widen(scopes) {
      if (!await holds(context, profile, [...scopes], interactive)) return false;
      wide = [...scopes];
      return true;
    },
  });
  await bridgeMcp(context.stdinLines(LINE_MAX), await remoteAt(url, widened), { write: (line) => context.terminal.raw(line), explain, warn: (text) => context.terminal.warn(text) });
}

export const declare: Declare = (command, context) => {
  command
    .command('connect')
    .description('Be an MCP server on standard input and output, which hands everything on to one behind OAuth')
    .argument('<URL>', 'of the server; the resource of a profile')
    .option('--profile <PROFILE>', 'whose token is used (default: the one whose resource it is)')
    .option('--interactive', 'sign in where it is needed: opens the browser')
    .addHelpText('after', examples('valetkey mcp connect https://mcp.example.com/mcp', 'claude mcp add example -- valetkey mcp connect https://mcp.example.com/mcp'))
    .action(async (url: string, options: Options) => connect(context, url, options));
  declareAdd(command.command('add'), context);
  declareServe(command.command('serve'), context);
  command.addHelpText('after', examples('valetkey mcp add --help', 'valetkey mcp connect --help'));
};
