import { EXIT } from '../../shared/errors.ts';
import type { PanicReply } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { showRevoked } from '../revoked-words.ts';
import { count } from '../time-words.ts';

/** What lives on is told by the exit status as well: whoever panics by a script has to know. */
function statusOf({ grants, workloads = [], not_reached, not_durable }: PanicReply): number {
  if (not_reached !== null || not_durable !== null) return EXIT.locked;
  return [...grants, ...workloads].some(({ revoked }) => revoked.some(({ outcome }) => outcome !== 'revoked')) ? EXIT.issuer : EXIT.ok;
}

/** A daemon that has not been restarted since an update says nothing of workloads. */
function show({ terminal, now }: CommandContext, { grants, workloads = [], not_reached, not_durable, logins_ended, took_ms }: PanicReply): void {
  terminal.line(`Ended ${count(grants.length, 'grant')} and ${count(logins_ended, 'sign-in')} in ${(took_ms / 1000).toFixed(1)} s. No token is handed out until you come back: valetkey login PROFILE, or valetkey unlock.`);
  for (const { profile, issuer, revoked } of grants) showRevoked(terminal, revoked, now(), `${profile} at ${issuer}: `);
  for (const { profile, issuer, revoked } of workloads) showRevoked(terminal, revoked, now(), `workload ${profile} at ${issuer}: `);
  if (not_reached !== null) terminal.warn(`The vault could not be used (${not_reached}): what is sealed in it is handed to nobody, and is revoked as soon as it opens. Run: valetkey unlock`);
  if (not_durable !== null) terminal.warn(`The disk refused the note of it (${not_durable}): the block ends with the daemon. Free space, then run: valetkey panic`);
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', `
It asks nothing. Every grant is forgotten and its tokens are revoked at the issuers, as those of workloads are; sign-ins and consents end, and the
key of the vault leaves memory. What cannot be revoked now is tried again, and is named with the time that it lives.

Exit status: 0 everything is dead, ${EXIT.issuer} some token could not be revoked yet, ${EXIT.locked} the vault or the disk could not be used.
${examples('valetkey panic', 'valetkey panic --json')}`)
    .action(async () => {
      const { terminal, daemon, signal } = context;
      const reply = await daemon.api.panic(signal);
      context.endWith(statusOf(reply));
      if (terminal.json) terminal.document(reply);
      else show(context, reply);
    });
};
