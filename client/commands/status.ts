import type { StatusReply, VaultView } from '../../shared/schemas.ts';
import { examples } from '../command.ts';
import type { Declare } from '../command.ts';
import { GRANT_HEADER, grantRow } from '../grant-rows.ts';
import type { Terminal } from '../terminal.ts';
import { ago, count, duration, remaining } from '../time-words.ts';
import { closedWords } from '../vault-words.ts';

function vaultWords({ backend, state, detail }: VaultView): string {
  return `${backend}, ${state}${detail === '' ? '' : ` (${detail})`}`;
}

/** `daemon status` shows the same without the grants. */
export function daemonFacts(status: StatusReply, now: number): readonly (readonly [string, string])[] {
  return [
    ['Daemon', `${status.version}, protocol ${status.protocol}, pid ${status.pid}, started ${ago(status.started_at, now)} by ${status.started_by}`],
    ['Socket', status.socket],
    ['State', status.state_dir],
    ['Configuration', `${status.config.file}, ${count(status.config.profiles, 'profile')}, read ${ago(status.config.loaded_at, now)}`],
    ['Vault', vaultWords(status.vault)],
    ...(status.locked ? [['Locked', 'by valetkey lock; nothing is handed out. Run: valetkey unlock'] as const] : []),
    ...(status.locked_out_since === null ? [] : [['Locked out', `by valetkey panic, ${ago(status.locked_out_since, now)}; nothing is handed out. Run: valetkey login PROFILE, or: valetkey unlock`] as const]),
    ...(status.screen === 'locked' ? [['Screen', 'locked; policy lets no token out'] as const] : []),
    ...status.issuers.flatMap(({ issuer, failing_since: since, cause }) => (since === null ? [] : [['Issuer', `${issuer} has failed for ${duration(now - since)} (${cause ?? 'unknown'})`] as const])),
    ...(status.pending_revocations > 0 ? [['Revocations', `${count(status.pending_revocations, 'token')} still to be sent to their issuers`] as const] : []),
  ];
}

export function showStatus(terminal: Terminal, status: StatusReply, now: number): void {
  terminal.facts([
    ...daemonFacts(status, now),
    ...Object.entries(status.environment).map(([name, value]) => [name, value ?? '(not set)'] as const),
    ...status.logins.map((login) => ['Sign-in', `${login.profile}, ${login.flow}, pending ${remaining(login.expires_at, now)}`] as const),
  ]);
  terminal.line('');
  if (status.grants.length === 0) terminal.line(closedWords(status) ?? 'Nobody is signed in. Run: valetkey login PROFILE');
  else terminal.table(GRANT_HEADER, status.grants.map((grant) => grantRow(grant, now)));
  for (const warning of status.warnings) terminal.warn(warning);
}

export const declare: Declare = (command, context) => {
  command
    .addHelpText('after', examples('valetkey status', 'valetkey status --json'))
    .action(async () => {
      const { terminal, daemon, signal, now } = context;
      const status = await daemon.api.status(signal);
      if (terminal.json) terminal.document(status);
      else showStatus(terminal, status, now());
    });
};
