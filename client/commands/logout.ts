import type { LogoutReply } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { pickProfile } from '../pick-profile.ts';
import { duration } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

type Revoked = LogoutReply['revoked'][number];

/** Says honestly what the issuer did: a token that was not revoked lives on. */
function revokedWords({ token, outcome, until }: Revoked, now: number): string {
  const what = token === 'refresh_token' ? 'refresh token' : 'access token';
  const lives = until === null ? '' : ` It may live on for ${duration(until - now)}.`;
  switch (outcome) {
    case 'revoked': return `The ${what} was revoked.${lives}`;
    case 'unsupported': return `The issuer cannot revoke the ${what}.${lives}`;
    case 'pending': return `The ${what} will be revoked as soon as the issuer can be reached.${lives}`;
    case 'failed': return `The ${what} could not be revoked.${lives}`;
  }
}

function show({ terminal, now }: CommandContext, reply: LogoutReply): void {
  terminal.line(`Signed out of ${reply.profile}.`);
  for (const revoked of reply.revoked) {
    const words = revokedWords(revoked, now());
    if (revoked.outcome === 'revoked') terminal.note(words);
    else terminal.warn(words);
  }
}

async function logout(context: CommandContext, argument: string | undefined, all: boolean): Promise<void> {
  const { terminal, daemon: { api }, signal } = context;
  if (all && argument !== undefined) throw ValetkeyError.local('bad_request', 'name a profile, or give --all');
  const names = all
    ? (await api.grants(signal)).grants.map(({ profile }) => profile)
    : [(await pickProfile(context, argument)).profile];
  const replies: LogoutReply[] = [];
  for (const name of names) {
    const reply = await api.logout(name, signal);
    replies.push(reply);
    if (!terminal.json && !terminal.quiet) show(context, reply);
  }
  if (terminal.json) terminal.document(all ? { logouts: replies } : replies[0]);
  else if (names.length === 0) terminal.note('Nobody is signed in.');
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--all', 'of all profiles')
    .addHelpText('after', examples('valetkey logout work', 'valetkey logout --all'))
    .action(async (argument: string | undefined, { all = false }: { all?: boolean }) => logout(context, argument, all));
};
