import type { GrantView } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { endOf, GRANT_HEADER, grantRow } from '../grant-rows.ts';
import { subjectName } from '../login-screen.ts';
import { checkProfileName } from '../profile-choice.ts';
import { ago, remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

function claimText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function unless(grant: GrantView, end: number): string {
  if (end === grant.authorization_expires_at || end === grant.session_ends_at) return '';
  return end === grant.idle_ends_at ? ', unless a person takes part before' : ', unless it is used before';
}

function grantFacts(grant: GrantView, now: number): readonly (readonly [string, string])[] {
  const end = endOf(grant);
  return [
    ['Profile', grant.profile],
    ['State', grant.state === 'active' ? 'active' : `login required (${grant.reason ?? 'unknown'})`],
    ['Signed in as', grant.subject === null ? '(not named)' : subjectName(grant.subject)],
    ['Issuer', grant.issuer],
    ['Client', grant.client_id],
    ['Flow', grant.flow],
    ['Scopes', grant.scopes.join(' ') || '(none)'],
    ['Resource', grant.resource ?? '(none)'],
    ['Signed in', ago(grant.signed_in_at, now)],
    ['Refreshed', grant.refreshed_at === null ? 'never' : ago(grant.refreshed_at, now)],
    ...(end === null ? [] : [['Ends', `${remaining(end, now)}${unless(grant, end)}`] as const]),
    ['Can refresh', grant.refreshable ? 'yes' : 'no: it ends with its token'],
    ['Generation', String(grant.generation)],
    ...Object.entries(grant.claims).map(([name, value]) => [`Claim ${name}`, claimText(value)] as const),
    ...grant.tokens.map((token) => ['Token', `${remaining(token.expires_at, now)}, ${token.scope || '(no scope named)'}${token.resource === null ? '' : `, for ${token.resource}`}`] as const),
  ];
}

async function grants(context: CommandContext, profile: string | undefined): Promise<void> {
  const { terminal, daemon, signal, now } = context;
  if (profile !== undefined) checkProfileName(profile, 'PROFILE');
  const all = (await daemon.api.grants(signal)).grants;
  const shown = profile === undefined ? all : all.filter((grant) => grant.profile === profile);
  if (profile !== undefined && shown.length === 0) {
    throw ValetkeyError.local('login_required', `profile ${profile} has no grant`, { reason: 'never_signed_in', hint: `Run: valetkey login ${profile}` });
  }
  if (terminal.json) return terminal.document({ grants: shown });
  if (shown.length === 0) return terminal.note('Nobody is signed in. Run: valetkey login PROFILE');
  const [only] = shown;
  if (profile !== undefined && only !== undefined) return terminal.facts(grantFacts(only, now()));
  terminal.table(GRANT_HEADER, shown.map((grant) => grantRow(grant, now())));
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'show all of this one')
    .addHelpText('after', examples('valetkey grants', 'valetkey grants work', 'valetkey grants --json'))
    .action(async (profile: string | undefined) => grants(context, profile));
};
