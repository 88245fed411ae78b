import type { LogoutReply } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { withProfile } from '../pick-profile.ts';
import { showRevoked } from '../revoked-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

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

async function logout(context: CommandContext, argument: string | undefined, all: boolean): Promise<void> {
  const { terminal, daemon: { api }, signal } = context;
  if (all && argument !== undefined) throw ValetkeyError.local('bad_request', 'name a profile, or give --all');
  if (all) return logoutAll(context);
  const reply = await withProfile(context, argument, async ({ profile }) => api.logout(profile, signal));
  if (terminal.json) terminal.document(reply);
  else if (!terminal.quiet) show(context, reply);
}

export const declare: Declare = (command, context) => {
  command
    .argument('[PROFILE]', 'default: VALETKEY_PROFILE, else .valetkey.toml, else the only one')
    .option('--all', 'of all profiles')
    .addHelpText('after', examples('valetkey logout work', 'valetkey logout --all'))
    .action(async (argument: string | undefined, { all = false }: { all?: boolean }) => logout(context, argument, all));
};
