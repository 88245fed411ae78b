/** For an agent: what it may have, and a way to have a person asked. Never a token. */
import { cleanText } from '../clean-text.ts';
import { serveTools } from '../adapters/mcp-serve.ts';
import type { Tool } from '../adapters/mcp-serve.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { ValetkeyError } from '../valetkey-error.ts';

const INSTRUCTIONS = 'Valetkey keeps the sign-ins of the person whose machine this is. Ask here what you may use, and have the person asked where that is needed. '
  + 'No token is given out here: to use an API, run `valetkey fetch URL`, which sends the request with the token and shows you the answer.';
const PROFILE = { type: 'string', description: 'name of a profile, as list_profiles tells it', maxLength: 64 };
const SCOPES = { type: 'array', items: { type: 'string', maxLength: 256 }, maxItems: 64, description: 'scopes of the API; default: the usual ones of the profile' };
const USE = { type: 'string', enum: ['fetch', 'token'], description: 'fetch: the daemon sends your requests and you get the answers; token: you get the token itself. Default: fetch' };
/** Hosts give a tool a minute. */
const WAIT_S = 50;

type Given = { readonly profile: string; readonly scopes?: string[]; readonly use?: 'fetch' | 'token'; readonly reason?: string };

/** The SDK has checked it by the tool's schema. */
const wishOf = ({ profile, scopes, use = 'fetch' }: Given): { profile: string; use: 'fetch' | 'token'; scopes?: string[] } => ({ profile, use, ...(scopes === undefined ? {} : { scopes }) });

function failure(error: unknown): { readonly said: object; readonly isError: boolean } {
  if (!(error instanceof ValetkeyError)) throw error;
  return { isError: true, said: { code: error.code, why: cleanText(error.detail), next: cleanText(error.hint) } };
}

function tools({ daemon: { api }, signal }: CommandContext): readonly Tool[] {
  const answering = (run: (given: Given) => Promise<object>): Tool['run'] => async (given) => {
    try {
      return { said: await run(given as Given), isError: false };
    } catch (error) {
      return failure(error);
    }
  };
  return [
    {
      name: 'list_profiles', description: 'Which APIs the person is signed in to, and may be used from here if policy allows it', input: { properties: {}, additionalProperties: false }, isReadOnly: true,
      run: answering(async () => ({
        profiles: (await api.profiles(signal)).profiles.map(({ name, issuer, resource, scopes, tier, signed_in: signedIn, fetch_origins: origins, fetch_methods: methods }) => ({ name, issuer, resource, scopes, tier, signed_in: signedIn, fetch_origins: origins, fetch_methods: methods })),
      })),
    },
    {
      name: 'check_access', description: 'Whether you may use a profile: allow, confirm (a person is asked) or deny, and by which rule. Nobody is asked by this', isReadOnly: true,
      input: { properties: { profile: PROFILE, scopes: SCOPES, use: USE }, required: ['profile'], additionalProperties: false },
      run: answering(async (given) => {
        const { caller, decision, outcome, rule, reason, tier, ask } = await api.explainPolicy(wishOf(given), signal);
        return { caller, decision, outcome, rule, reason, tier, ask };
      }),
    },
    {
      name: 'request_approval', description: 'Has the person asked whether you may use a profile, where policy wants that, and waits for the answer for up to 50 seconds', isReadOnly: false,
      input: { properties: { profile: PROFILE, scopes: SCOPES, use: USE, reason: { type: 'string', minLength: 1, maxLength: 256, description: 'what for, in a sentence; the person sees it' } }, required: ['profile', 'reason'], additionalProperties: false },
      run: answering(async ({ reason = '', ...given }) => {
        const { rule, use, profile } = await api.askApproval({ ...wishOf(given), claimed: { reason }, wait_s: WAIT_S }, signal);
        return { allowed: true, profile, use, rule, next: use === 'fetch' ? 'valetkey fetch URL' : `valetkey token ${profile}` };
      }),
    },
  ];
}

export const declare: Declare = (command, context) => {
  command
    .description('Be an MCP server that tells an agent what it may have, and has a person asked; it never gives a token')
    .addHelpText('after', examples('claude mcp add valetkey -- valetkey mcp serve'))
    .action(async () => serveTools(tools(context), INSTRUCTIONS, context.signal, (text) => context.terminal.warn(cleanText(text))));
};
