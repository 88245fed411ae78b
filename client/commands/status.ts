import type { StatusReply, VaultView } from '../../shared/schemas.ts';
import { EXIT } from '../../shared/errors.ts';
import { buildGap } from '../builds.ts';
import { examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { checkProfileName } from '../profile-choice.ts';
import { promptStatus } from '../prompt.ts';
import { STANDING_HEADER, standingRows } from '../standing-rows.ts';
import type { Terminal } from '../terminal.ts';
import { ago, count, duration, remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { closedWords } from '../vault-words.ts';

function vaultWords({ backend, state, detail }: VaultView): string {
  return `${backend}, ${state}${detail === '' ? '' : ` (${detail})`}`;
}

/** `daemon status` shows the same without the grants. */
export function daemonFacts(status: StatusReply, now: number): readonly (readonly [string, string])[] {
  return [
    ['Daemon', `${status.version}, protocol ${status.protocol}, pid ${status.pid}, started ${ago(status.started_at, now)} by ${status.started_by}`],
    ...(status.upgrade === null ? [] : [['Upgrade', status.upgrade.state === 'waiting' ? `waiting ${status.upgrade.detail}` : `failed: ${status.upgrade.detail}`] as const]),
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
  const closed = closedWords(status);
  const rows = standingRows(status, now);
  if (closed !== null) terminal.line(closed);
  else if (rows.length === 0) terminal.line('There is no profile yet. Run: valetkey profile add NAME --issuer URL --client-id ID');
  else terminal.table(STANDING_HEADER, rows);
  terminal.line('');
  terminal.facts([
    ...daemonFacts(status, now),
    ...Object.entries(status.environment).map(([name, value]) => [name, value ?? '(not set)'] as const),
    ...status.logins.map((login) => ['Sign-in', `${login.profile}, ${login.flow}, pending ${remaining(login.expires_at, now)}`] as const),
  ]);
  warnOfGap(terminal, status);
  for (const warning of status.warnings) terminal.warn(warning);
}

/** Where client and daemon are of different builds. */
export function warnOfGap(terminal: Pick<Terminal, 'warn'>, status: StatusReply): void {
  const gap = buildGap(status);
  if (gap !== null) terminal.warn(`${gap.what}; run: ${gap.command}`);
}

/** A prompt is drawn again and again: where there is no daemon, nothing is said and none is started. */
async function showPrompt({ terminal, runningDaemon: { api }, signal, endWith }: CommandContext, profile: string | null): Promise<void> {
  try {
    const reply = await api.prompt(profile, signal);
    if (terminal.json) terminal.document(reply);
    else if (reply.text !== '') terminal.line(reply.text);
    endWith(promptStatus(reply));
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.exit !== EXIT.daemon) throw error;
    endWith(EXIT.daemon);
  }
}

export const declare: Declare = (command, context) => {
  command
    .option('--prompt [PROFILE]', 'one short line for a shell prompt, such as work:7h; nothing where no daemon runs')
    .addHelpText('after', `${examples('valetkey status', 'valetkey status --json', 'valetkey status --prompt        # work:7h home:login')}

Exit status of --prompt: 0 signed in, 3 a person has to sign in, 4 locked, 9 no daemon.`)
    .action(async ({ prompt }: { readonly prompt?: string | true }) => {
      if (prompt !== undefined) return showPrompt(context, prompt === true ? null : checkProfileName(prompt, '--prompt'));
      const { terminal, daemon, signal, now } = context;
      const status = await daemon.api.status(signal);
      if (terminal.json) terminal.document(status);
      else showStatus(terminal, status, now());
    });
};
