import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { closedWords } from '../vault-words.ts';

const WORDS = new Map<boolean | null, string>([[true, 'yes'], [false, 'no']]);

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey profiles', 'valetkey profiles --quiet    # the names only', 'valetkey profiles --json'))
    .action(async () => {
      const { terminal, daemon, signal } = context;
      const reply = await daemon.api.profiles(signal);
      // Names only, for completion: no second question.
      if (terminal.quiet && !terminal.json) return reply.profiles.forEach(({ name }) => terminal.line(name));
      const closed = closedWords(await daemon.api.status(signal));
      const signedIn = (signed_in: boolean) => (signed_in || closed === null ? signed_in : null);
      if (terminal.json) return terminal.document({ profiles: reply.profiles.map((profile) => ({ ...profile, signed_in: signedIn(profile.signed_in) })) });
      if (reply.profiles.length === 0) return terminal.note('There is no profile yet. Run: valetkey profile add NAME --issuer URL --client-id ID');
      terminal.table(
        ['PROFILE', 'ISSUER', 'SCOPES', 'SIGNED IN'],
        reply.profiles.map(({ name, issuer, scopes, signed_in }) => [name, issuer, scopes.join(' ') || '(none)', WORDS.get(signedIn(signed_in)) ?? '-']),
      );
      if (closed !== null) terminal.tell(closed);
    });
};
