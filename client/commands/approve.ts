import type { ApprovalAnswer, ApprovalsReply, PendingApproval } from '../../shared/approval-schemas.ts';
import { askHidden } from '../ask-hidden.ts';
import { collect, examples } from '../command.ts';
import type { CommandContext, Declare } from '../command.ts';
import { remaining } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { BINDING_WORDS, NOT_KEPT, pendingFacts, wishWords } from './approvals.ts';

type Options = {
  readonly deny?: boolean; readonly for?: string; readonly exeOnly?: boolean; readonly thisTerminal?: boolean; readonly thisRun?: boolean;
  readonly callerExe?: string; readonly callerScript?: string; readonly profile?: string; readonly scope?: readonly string[]; readonly resource?: string;
};

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** `30s`, `15m`, `1h`, `7d`. @throws ValetkeyError bad_request */
function secondsOf(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,5})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? 0);
  if (!(seconds > 0)) throw ValetkeyError.local('bad_request', `--for takes a time like 15m, 1h or 7d, not ${text}`);
  return seconds;
}

/** @throws ValetkeyError not_found, bad_request */
function pick({ pending }: ApprovalsReply, id: string | undefined): PendingApproval {
  const [only] = pending;
  const found = id === undefined && pending.length === 1 ? only : pending.find((each) => each.id === id);
  if (found !== undefined) return found;
  if (id === undefined && pending.length > 1) throw ValetkeyError.local('bad_request', 'more than one question waits for your word', { hint: 'Run: valetkey approvals' });
  throw ValetkeyError.local('not_found', id === undefined ? 'nothing waits for your word' : 'no question of this id is open', { hint: 'Run: valetkey approvals' });
}

function answerOf({ deny = false, for: time, exeOnly = false, thisTerminal = false, thisRun = false }: Options): ApprovalAnswer {
  const bindings = [...(exeOnly ? ['program' as const] : []), ...(thisTerminal ? ['session' as const] : []), ...(thisRun ? ['run' as const] : [])];
  if (bindings.length > 1) throw ValetkeyError.local('bad_request', 'give one of --exe-only, --this-terminal and --this-run');
  if (deny) return { allow: false };
  const [binding] = bindings;
  return { allow: true, ...(binding === undefined ? {} : { binding }), ...(time === undefined ? {} : { for_s: secondsOf(time) }) };
}

async function approve(context: CommandContext, id: string | undefined, options: Options): Promise<void> {
  const { terminal, runningDaemon: { api }, signal, now } = context;
  const answer = answerOf(options);
  const reply = await api.approvals(signal);
  const pending = pick(reply, id);
  // Seen before it is agreed to: what was named by its id alone, and what was the only one.
  if (!terminal.json && !terminal.quiet) terminal.facts(pendingFacts(pending, now()));
  // Without a PIN, and where this terminal may say nothing, the daemon's refusal says what to do.
  const asksPin = answer.allow && pending.pin_needed && reply.channels.pin === 'set' && reply.channels.terminal === null;
  const { outlasts } = await api.answerApproval(pending.id, asksPin ? { ...answer, pin: await askHidden(context, 'Approval PIN:') } : answer, signal);
  const ends = answer.allow && pending.may_hold_s !== null && outlasts === null ? NOT_KEPT : '';
  if (terminal.json) terminal.document({ id: pending.id, ...answer, outlasts });
  else terminal.note(answer.allow ? `Agreed, for ${BINDING_WORDS[answer.binding ?? 'session']}.${ends} Take it back by: valetkey approvals revoke ${pending.id}` : 'Refused.');
}

/** Before the program asks. */
async function grant(context: CommandContext, id: string | undefined, options: Options): Promise<void> {
  const { callerExe, callerScript, profile, scope, resource, for: time, deny = false, thisTerminal = false, thisRun = false } = options;
  if (callerExe === undefined || profile === undefined) throw ValetkeyError.local('bad_request', 'a consent beforehand names a program and a profile: --caller-exe PATH --profile NAME');
  if (id !== undefined || deny || thisTerminal || thisRun) throw ValetkeyError.local('bad_request', 'a consent beforehand answers no question, and holds wherever the program runs');
  const { terminal, daemon: { api, ensureDaemon }, signal, now } = context;
  await ensureDaemon(signal);
  const { channels } = await api.approvals(signal);
  // Without a PIN, and where this terminal may say nothing, the daemon's refusal says what to do.
  const asksPin = channels.pin === 'set' && channels.terminal === null;
  const given = await api.grantApproval({
    executable: callerExe, profile,
    ...(callerScript === undefined ? {} : { script: callerScript }),
    ...(scope === undefined ? {} : { scopes: [...scope] }),
    ...(resource === undefined ? {} : { resource }),
    ...(time === undefined ? {} : { for_s: secondsOf(time) }),
    ...(asksPin ? { pin: await askHidden(context, 'Approval PIN:') } : {}),
  }, signal);
  if (terminal.json) return terminal.document(given);
  terminal.note(`Agreed: ${given.caller} may use ${given.profile}: ${wishWords(given)}, ${given.expires_at === null ? '' : `${remaining(given.expires_at, now())}, `}as long as its file stays as it is.${given.outlasts === null ? NOT_KEPT : ''} Take it back by: valetkey approvals revoke ${given.id}`);
}

export const declare: Declare = (command, context) => {
  command
    .argument('[ID]', 'default: the only question that waits')
    .option('--deny', 'say no')
    .option('--for <TIME>', 'how long the yes holds, within what the rule allows: 15m, 1h, 7d')
    .option('--exe-only', 'for this program, wherever it runs')
    .option('--this-terminal', 'for this program in its terminal session (default)')
    .option('--this-run', 'for this run of the program, or of the agent that it belongs to')
    .option('--caller-exe <PATH>', 'agree beforehand, with the approval PIN: the program, as valetkey whoami shows it')
    .option('--caller-script <PATH>', 'with --caller-exe: the script that it interprets')
    .option('--profile <NAME>', 'with --caller-exe: the profile')
    .option('--scope <SCOPE>', 'with --caller-exe: these scopes; may be repeated', collect)
    .option('--resource <URI>', 'with --caller-exe: this resource')
    .addHelpText('after', examples('valetkey approve', 'valetkey approve 3fKx91ab --for 1h', 'valetkey approve 3fKx91ab --deny', 'valetkey approve --caller-exe /usr/bin/restic --profile backup --for 7d'))
    .action(async (id: string | undefined, options: Options) => {
      const isBeforehand = [options.callerExe, options.callerScript, options.profile, options.scope, options.resource].some((option) => option !== undefined);
      return isBeforehand ? grant(context, id, options) : approve(context, id, options);
    });
};
