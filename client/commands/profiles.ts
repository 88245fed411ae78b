import { examples } from '../command.ts';
import type { Declare } from '../command.ts';

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey profiles', 'valetkey profiles --quiet    # the names only', 'valetkey profiles --json'))
    .action(async () => {
      const { terminal, daemon, signal } = context;
      const reply = await daemon.api.profiles(signal);
      if (terminal.json) return terminal.document(reply);
      if (terminal.quiet) return reply.profiles.forEach(({ name }) => terminal.line(name));
      if (reply.profiles.length === 0) return terminal.note('There is no profile yet. Run: valetkey profile add NAME --issuer URL --client-id ID');
      terminal.table(
        ['PROFILE', 'ISSUER', 'SCOPES', 'SIGNED IN'],
        reply.profiles.map(({ name, issuer, scopes, signed_in }) => [name, issuer, scopes.join(' '), signed_in ? 'yes' : 'no']),
      );
    });
};
